"""``pm500 replay``: history from Kafka, the log or the archive into a topic."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from connectors.log.contract import (
    DEAD,
    DERIVED,
    EVENTS,
    FRAMES,
    SCHEMAS,
    TOPICS,
    LogError,
)
from connectors.stop import STOP, install_stop_signals
from dataflows.commands.open_log import leave, site_of_command
from dataflows.commands.options import SiteOption
from dataflows.kafka import KafkaSettingsError
from dataflows.replay.opening import Source, Wanted, open_replay
from dataflows.replay.pace import Pace, parse_speed
from dataflows.replay.progress import watch
from dataflows.replay.run import Replayed
from dataflows.replay.run import replay as run_replay
from dataflows.replay.span import Assets, parse_span
from dataflows.site import Site

__all__ = ["Topic", "replay"]

T = TypeVar("T")

_NAME = re.compile(r"[a-zA-Z0-9._-]{1,200}")
_STOPPED = 130


class Topic(StrEnum):
    """What is replayed."""

    frames = "frames"
    events = "events"
    derived = "derived"


_TOPICS = {Topic.frames: FRAMES, Topic.events: EVENTS, Topic.derived: DERIVED}


def replay(
    into: Annotated[
        str, typer.Option(metavar="TOPIC", help="Where to; made where it is missing.")
    ],
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="TIME|OFFSET",
            help="The first record, ISO 8601 (UTC where unsaid) or an offset; all that "
            "there is where absent.",
        ),
    ] = None,
    end: Annotated[
        str | None,
        typer.Option("--to", metavar="TIME|OFFSET", help="Records before this."),
    ] = None,
    asset: Annotated[
        list[str] | None,
        typer.Option(
            help="Assets, as a pattern such as `plant/*/press-?`; repeatable."
        ),
    ] = None,
    source: Annotated[
        Source | None,
        typer.Option(help="Whose history: Kafka where the site has it, else the log."),
    ] = None,
    topic: Annotated[Topic, typer.Option(help="What to replay.")] = Topic.frames,
    speed: Annotated[
        str,
        typer.Option(
            metavar="max|FACTORx",
            help="As fast as it goes, or by the records' own times: 1x, 10x, 0.5x.",
        ),
    ] = "max",
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Also into the live topics of frames, events or derived."
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="The sums as one JSON object.")
    ] = False,
    site: SiteOption = Path("site.toml"),
) -> None:
    """Put history into a topic again: of Kafka, or of the log where there is no Kafka.

    The time of a frame is its slot, that of an event its beginning. From a log the bytes
    are passed on as they are; from the archive they are made again from its rows. The
    records of one asset keep their order. Archiving the topic into an empty folder gives
    the same rows again.

    Flows take what stands in pm500's live topics as new, so those are refused.

    Exit code 0 where all was acknowledged, 1 where something failed, 2 where the
    question is wrong, 130 where a signal ended it; the sums count what was acknowledged.
    """
    span = _parsed("--from, --to", lambda: parse_span(start, end))
    factor = _parsed("--speed", lambda: parse_speed(speed))
    _check_target(into, force=force)
    loaded = site_of_command(site)
    if source is None:
        source = Source.log if loaded.kafka is None else Source.kafka
    wanted = Wanted(source, _TOPICS[topic], span, Assets(asset or ()))
    _check_source(loaded, wanted)
    install_stop_signals()
    pace = Pace(factor, stopping=_stopping)
    with ExitStack() as stack:
        try:
            history, target = open_replay(
                loaded,
                wanted,
                into,
                stack,
                exact=pace.exact,
                stopping=_stopping,
                told=_told,
            )
        except KafkaSettingsError as error:
            leave(2, f"{site}: {error}")
        except (LogError, OSError) as error:
            leave(1, str(error))
        with watch(history.total, f"{source.value} to {into}") as watcher:
            done = run_replay(history, target, pace, watcher, stopping=_stopping)
    _say(done, source, wanted.topic, into, as_json=as_json)


def _stopping() -> bool:
    return STOP.requested


def _told(text: str) -> None:
    typer.echo(text, err=True)


def _parsed(option: str, parse: Callable[[], T]) -> T:
    try:
        return parse()
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None


def _check_target(into: str, *, force: bool) -> None:
    if not _NAME.fullmatch(into):
        problem = f"{into!r} must be of letters, digits, '.', '_' and '-'"
    elif into in (SCHEMAS, DEAD):
        problem = f"{into} takes no frames or events"
    elif into in TOPICS and not force:
        problem = f"{into} is live: flows would take history as new; --force does it"
    else:
        return
    raise typer.BadParameter(problem, param_hint="--into")


def _check_source(site: Site, wanted: Wanted) -> None:
    if wanted.source is Source.kafka and site.kafka is None:
        raise typer.BadParameter("this site has no [kafka]", param_hint="--source")
    if wanted.source is not Source.archive:
        return
    if wanted.span.has_offsets:
        problem = "the archive knows times, no offsets"
        raise typer.BadParameter(problem, param_hint="--from, --to")
    if wanted.topic == DERIVED:
        problem = "the archive holds frames and events only"
        raise typer.BadParameter(problem, param_hint="--topic")


def _say(
    done: Replayed, source: Source, topic: str, into: str, *, as_json: bool
) -> None:
    if as_json:
        told = {
            "source": source.value,
            "topic": topic,
            "into": into,
            "records": done.records,
            "seconds": round(done.seconds, 3),
            "records_per_second": round(done.records_per_second, 1),
            "complete": done.complete,
            "trouble": done.trouble,
        }
        typer.echo(json.dumps(told))
    else:
        typer.echo(
            f"{into}: {done.records:,} records in {done.seconds:.1f} s, "
            f"{done.records_per_second:,.0f} records/s"
        )
    if done.trouble is not None:
        leave(1, done.trouble)
    if not done.complete:
        leave(_STOPPED, "stopped before the end")
