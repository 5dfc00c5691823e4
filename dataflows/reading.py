"""What a flow reads: Kafka where the site has it, else the edge's own log.

A replica takes its part of the partitions of all topics; the parts of all replicas are
the whole.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import structlog
from bytewax.inputs import FixedPartitionedSource

from connectors.log.contract import Batch, Log, LogError, OffsetGone
from connectors.log.kafka.log import KafkaLog
from connectors.log.kafka.source import Consumers, KafkaSource
from connectors.log.loss import tell_loss
from connectors.log.schemas import Schemas
from connectors.log.source import LogSource
from connectors.stop import STOP
from connectors.ticks import Ticks
from connectors.together import Together
from dataflows.edge_log import hold_edge_log
from dataflows.kafka import kafka_client, open_kafka, patiently, wait_for

if TYPE_CHECKING:
    from dataflows.runtime import FlowContext

__all__ = [
    "Reading",
    "Start",
    "open_log_of",
    "part_name",
    "patient",
    "route_parts",
    "skip_lost",
    "store_position",
]

_LOOK_SECONDS = 0.2

T = TypeVar("T")
Part = tuple[str, int]
Start = Callable[[Log, str, int], int]


class Reading:
    """The partitions that ``reader`` reads in this process, from where, and how.

    ``start(log, topic, partition)`` says where a partition begins. All are asked at
    once, before the engine starts: each source's epochs begin when it is built, and
    sources that were not built together wait for each other in every epoch. Where Kafka
    is read, constructing it waits until the cluster answers. ``identities`` are those of
    the topics; ``schemas`` are those that the log has now, so that nobody waits for
    them at the first frame.
    """

    def __init__(
        self, context: FlowContext, reader: str, topics: Sequence[str], start: Start
    ) -> None:
        self._context = context
        self._consumers: Consumers | None = None
        self.identities: dict[str, str] = {}
        ask = partial(self._starts, topics, start)
        if context.site.kafka is not None:
            self._offsets = wait_for(context, ask)
            client = kafka_client(context.site)
            self._consumers = Consumers(client, reader, held=self._held)
        else:
            # The edge's log has one partition, and belongs to its folder.
            hold_edge_log(context)
            self._offsets = patiently(context, reader, ask)

    @property
    def parts(self) -> tuple[Part, ...]:
        """Topic and number of each of the replica's own partitions."""
        return tuple(self._offsets)

    def open_log(self) -> Log:
        """A fresh handle on the log that is read; LogError."""
        return open_log_of(self._context)

    def source(
        self, topic: str, on_gone: Callable[[OffsetGone], int]
    ) -> FixedPartitionedSource[Batch, None] | None:
        """The batches of the replica's partitions of a topic; None where it has none."""
        starts = {n: at for (name, n), at in self._offsets.items() if name == topic}
        if not starts:
            return None
        if self._consumers is not None:
            return KafkaSource(self._consumers, topic, starts, on_gone=on_gone)
        return LogSource(self.open_log, topic, lambda _, n: starts[n], on_gone=on_gone)

    def together(self, words: Mapping[str, str]) -> Together[Batch | None]:
        """The batches of several topics, and ticks; ``words`` name the topics' sources.

        What retention took meanwhile is passed over, and told.
        """
        sources: dict[str, FixedPartitionedSource[Any, None]] = {"ticks": Ticks()}
        for topic, word in words.items():
            source = self.source(topic, skip_lost(self._context, self.open_log))
            if source is not None:
                sources[word] = source
        return Together[Batch | None](sources)

    def _starts(self, topics: Sequence[str], start: Start) -> dict[Part, int]:
        log = self.open_log()
        try:
            # First: it makes a topic that is missing, with all its partitions.
            self.identities = {topic: log.identity(topic) for topic in topics}
            self.schemas = Schemas(log)
            self.schemas.fingerprints()
            found = [(topic, n) for topic in topics for n in log.partitions(topic)]
            if self._context.site.kafka is not None:
                found = self._context.replica.own(found)
            return {part: start(log, *part) for part in found}
        finally:
            log.close()

    def _held(self, trouble: str | None) -> None:
        if trouble is None:
            self._context.health.clear("kafka")
        else:
            self._context.health.hold("kafka", trouble)


def part_name(topic: str, partition: int) -> str:
    """Names a partition among the parts of a sink."""
    return f"{topic}-{partition}"


def route_parts(
    context: FlowContext, names: Sequence[str]
) -> Callable[[Batch | None], list[tuple[str, Batch | None]]]:
    """A batch goes to its partition's part of the sink, a tick to all of them."""

    def step(batch: Batch | None) -> list[tuple[str, Batch | None]]:
        if batch is not None:
            return [(part_name(batch.topic, batch.partition), batch)]
        context.health.progress(context.name)
        return [(name, None) for name in names]

    return step


def open_log_of(context: FlowContext) -> Log:
    """A fresh handle on Kafka where the site has it, else on the edge's own log."""
    if context.site.kafka is not None:
        return open_kafka(context.site)
    return context.open_edge_log()


def skip_lost(
    context: FlowContext, open_log: Callable[[], Log]
) -> Callable[[OffsetGone], int]:
    """Go on behind what retention took, and tell of it in the events."""

    def skip(gone: OffsetGone) -> int:
        log = open_log()
        try:
            tell_loss(log, context.name, gone, metrics=context.metrics)
        finally:
            log.close()
        return gone.first

    return skip


def store_position(
    log: Log, reader: str, topic: str, partition: int, offset: int
) -> None:
    """Tell the log where the reader goes on; a log that refuses is told the next time."""
    try:
        if isinstance(log, KafkaLog):
            log.commit_soon(reader, topic, partition, offset)
        else:
            log.store_position(reader, topic, partition, offset)
    except LogError as error:
        structlog.get_logger().warning("position_not_stored", error=str(error))


def patient(context: FlowContext, find: Callable[[bytes], T]) -> Callable[[bytes], T]:
    """Look a schema up, however long the log is away; LogError after a stop only."""

    def found(value: bytes) -> T:
        while True:
            try:
                schema = find(value)
            except LogError as error:
                if STOP.requested:
                    raise
                context.health.hold("schemas", str(error))
                context.health.progress(context.name)
                time.sleep(_LOOK_SECONDS)
            else:
                context.health.clear("schemas")
                return schema

    return found
