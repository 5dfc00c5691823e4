"""What a replay reads and writes, opened as the site describes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from enum import StrEnum
from typing import NamedTuple

from connectors.log.contract import Log
from connectors.log.embedded import EmbeddedLog
from connectors.log.kafka.log import KafkaLog
from connectors.log.schemas import Schemas, copy_schemas, publish_schemas
from connectors.profiles import load_profile, profile_names
from dataflows.archive_store import archive_store
from dataflows.kafka import kafka_client, topic_rules
from dataflows.replay.blocks import History
from dataflows.replay.from_log import LogHistory
from dataflows.replay.span import Assets, Span
from dataflows.replay.target import KafkaTarget, LogTarget, Target
from dataflows.site import Site
from transforms.codec.frame import FrameSchema, frame_schema

__all__ = ["Source", "Wanted", "archive_history", "open_replay"]


class Source(StrEnum):
    """Where history comes from."""

    kafka = "kafka"
    log = "log"
    archive = "archive"


class Wanted(NamedTuple):
    """Which history; ``topic`` is one of pm500's own."""

    source: Source
    topic: str
    span: Span
    assets: Assets


def open_replay(
    site: Site,
    wanted: Wanted,
    into: str,
    stack: ExitStack,
    *,
    exact: bool,
    stopping: Callable[[], bool],
    told: Callable[[str], None],
) -> tuple[History, Target]:
    """Both ends of a replay; what they hold open is closed with the stack.

    Every schema stands in the target's log before the first record of it. LogError,
    OSError, KafkaSettingsError.
    """
    logs = _Logs(site, stack)
    target = _target(site, logs.reached, into, stopping)
    if wanted.source is Source.archive:
        history = archive_history(
            site, logs.reached, wanted, stopping=stopping, logs=logs.there
        )
        return history, target
    log = logs.kafka if wanted.source is Source.kafka else logs.edge
    history = LogHistory(
        log,
        wanted.topic,
        wanted.span,
        wanted.assets,
        exact=exact,
        stopping=stopping,
        told=told,
    )
    if log is not logs.reached:
        # After the end is known: what is appended later may have newer schemas.
        copy_schemas(log, logs.reached)
    return history, target


def _target(site: Site, log: Log, into: str, stopping: Callable[[], bool]) -> Target:
    if site.kafka is None:
        return LogTarget(log, into)
    return KafkaTarget(kafka_client(site), log, into, stopping=stopping)


def archive_history(
    site: Site,
    log: Log,
    wanted: Wanted,
    *,
    stopping: Callable[[], bool],
    logs: Iterable[Log] = (),
) -> History:
    """History of the archive; its schemas go to ``log``. LogError, OSError."""
    # The other sources need no Parquet.
    from dataflows.replay.from_archive import ArchiveHistory

    publish_schemas(log, ())  # of events and the like

    def needs(schemas: Iterable[FrameSchema]) -> None:
        publish_schemas(log, schemas)

    return ArchiveHistory(
        archive_store(site),
        wanted.topic,
        wanted.span,
        wanted.assets,
        known=list(_known_schemas([*logs, log])),
        needs=needs,
        stopping=stopping,
    )


def _known_schemas(logs: Iterable[Log]) -> Iterator[FrameSchema]:
    """Of the shipped profiles, then of the logs: those are the ones in use."""
    for profile in map(load_profile, profile_names()):
        for group in profile.group:
            yield frame_schema(profile, group)
    for log in logs:
        for avro in Schemas(log).schemas().values():
            if (schema := FrameSchema.from_avro(avro)) is not None:
                yield schema


class _Logs:
    """The site's logs, each opened when it is first asked for. LogError."""

    def __init__(self, site: Site, stack: ExitStack) -> None:
        self._site = site
        self._stack = stack
        self._kafka: Log | None = None
        self._edge: Log | None = None

    @property
    def reached(self) -> Log:
        """The log that the replay goes to."""
        return self.edge if self._site.kafka is None else self.kafka

    @property
    def there(self) -> tuple[Log, ...]:
        """All that can be asked, the one that the replay goes to last."""
        if self._site.kafka is None or not self._site.log_path.exists():
            return (self.reached,)
        return self.edge, self.kafka

    @property
    def edge(self) -> Log:
        """The log of the edge, which must exist."""
        if self._edge is None:
            settings = self._site.log
            log = EmbeddedLog(
                self._site.log_path, synchronous=settings.synchronous, create=False
            )
            self._edge = self._stack.enter_context(closing(log))
        return self._edge

    @property
    def kafka(self) -> Log:
        """The log in Kafka."""
        if self._kafka is None:
            log = KafkaLog(kafka_client(self._site), topic_rules(self._site))
            self._kafka = self._stack.enter_context(closing(log))
        return self._kafka
