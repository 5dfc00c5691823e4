"""``pm500 tail``: the log's records as JSON lines, as they come."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from connectors.log.contract import (
    DEAD,
    DERIVED,
    EVENTS,
    FRAMES,
    Log,
    OffsetGone,
    Record,
)
from connectors.log.schemas import Schemas
from dataflows.commands.open_log import LogName, open_log, site_of_command
from dataflows.commands.options import SiteOption
from dataflows.commands.record_line import Line, RecordLines

__all__ = ["Topic", "tail"]

_BATCH = 500
_IDLE_SECONDS = 0.05


class Topic(StrEnum):
    """What to print."""

    frames = "frames"
    derived = "derived"
    events = "events"
    dead = "dead"


_TOPICS = {
    Topic.frames: FRAMES,
    Topic.derived: DERIVED,
    Topic.events: EVENTS,
    Topic.dead: DEAD,
}


def tail(
    asset: Annotated[
        str, typer.Option(help="Assets, as a pattern such as `plant/*/press-?`.")
    ] = "*",
    group: Annotated[
        str | None, typer.Option(help="Only this group, such as `realtime`.")
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="OFFSET|beginning|end",
            help="Where to begin: at the end where it follows, else at the beginning.",
        ),
    ] = None,
    partition: Annotated[
        int | None,
        typer.Option(min=0, help="Only this partition; in Kafka a topic has several."),
    ] = None,
    follow: Annotated[
        bool, typer.Option(help="Wait for what comes, or end with what is there.")
    ] = True,
    count: Annotated[
        int | None, typer.Option(min=1, help="End after so many lines.")
    ] = None,
    topic: Annotated[Topic, typer.Option(help="What to print.")] = Topic.frames,
    log: Annotated[
        LogName, typer.Option(help="The log of the edge, or the one in Kafka.")
    ] = LogName.edge,
    site: SiteOption = Path("site.toml"),
) -> None:
    """Print the log's records, one JSON object a line, until a signal comes.

    A failed poll is a line too, with its status. `quality` counts the readings by
    quality, a reading without a value is null, `latency_ms` is the meter's own: from
    the request to the answer. A record that cannot be read is a line with its `error`.
    Lines of one partition come in its order; those of Kafka name their partition.

    Exit code 1 where the log is not there or does not answer, 2 where the site is wrong
    or has no Kafka.
    """
    name = _TOPICS[topic]
    with open_log(site, site_of_command(site), log) as opened:
        view = RecordLines(Schemas(opened), name, asset=asset, group=group)
        start = start or ("end" if follow else "beginning")
        first = _first(opened, name, _chosen(opened, name, partition), start)
        told = _place if log is LogName.kafka else _no_place
        with _Stop() as stop:
            for number, records in _batches(
                opened, name, first, stop if follow else None
            ):
                lines = [line for r in records if (line := view.line(r))][:count]
                stop.write([line | told(line, number) for line in lines])
                if count is not None and not (count := count - len(lines)):
                    break


class _Stopped(Exception):  # noqa: N818 - a signal, no error
    """SIGTERM or SIGINT came while nothing was half done."""


class _Stop:
    """Ends the block quietly on SIGTERM, SIGINT, and when nobody reads our output.

    A signal interrupts only a wait: for records, for a log that does not answer or for a
    slow reader of our output.
    """

    def __init__(self) -> None:
        self._asked = self._waits = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> _Stop:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type] # as it was given
        if kind is None or not issubclass(kind, _Stopped | BrokenPipeError):
            return False
        # What is still buffered would be tried again, and wait again, at the exit.
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True

    def _ask(self, *_: object) -> None:
        self._asked = True
        if self._waits:
            raise _Stopped

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """A block that a signal ends."""
        self._waits = True
        try:
            if self._asked:
                raise _Stopped
            yield
        finally:
            self._waits = False

    def sleep(self, seconds: float) -> None:
        with self.waiting():
            time.sleep(seconds)

    def write(self, lines: list[Line]) -> None:
        text = "".join(f"{json.dumps(line)}\n" for line in lines)
        with self.waiting():
            sys.stdout.write(text)
            sys.stdout.flush()


def _chosen(log: Log, topic: str, partition: int | None) -> tuple[int, ...]:
    """The partitions to print; typer.BadParameter where there is none such."""
    there = log.partitions(topic)
    if partition is None:
        return there
    if partition not in there:
        raise typer.BadParameter(
            f"{partition} is none of {there[0]}..{there[-1]}", param_hint="--partition"
        )
    return (partition,)


def _first(
    log: Log, topic: str, partitions: tuple[int, ...], start: str
) -> dict[int, int]:
    """The offset of each partition to begin at.

    typer.BadParameter where ``start`` names none.
    """
    bounds = {number: log.bounds(topic, number) for number in partitions}
    if start == "beginning":
        return {number: first for number, (first, _) in bounds.items()}
    if start == "end":
        return {number: following for number, (_, following) in bounds.items()}
    if len(bounds) > 1:
        raise typer.BadParameter(
            f"{start!r} needs --partition: {topic} has {len(bounds)} partitions",
            param_hint="--from",
        )
    ((number, (first, following)),) = bounds.items()
    if not start.isdecimal() or int(start) > following:
        raise typer.BadParameter(
            f"{start!r} is none of beginning, end, {first}..{following}",
            param_hint="--from",
        )
    return {number: int(start)}


def _batches(
    log: Log, topic: str, offsets: dict[int, int], waits: _Stop | None
) -> Iterator[tuple[int, list[Record]]]:
    """Records by partition, from its offset on, the partitions in turn.

    Without ``waits`` it ends where the topic ends now.
    """
    while True:
        idle = True
        for number, offset in offsets.items():
            try:
                with waits.waiting() if waits else nullcontext():
                    records = log.read(topic, number, offset, _BATCH)
            except OffsetGone as gone:
                typer.echo(f"{gone}: going on there", err=True)
                offsets[number] = gone.first
                idle = False
                continue
            if records:
                idle = False
                offsets[number] = records[-1].offset + 1
                yield number, records
        if not idle:
            continue
        if waits is None:
            return
        waits.sleep(_IDLE_SECONDS)


def _place(line: Line, partition: int) -> Line:
    # A dead letter has a partition of its own: where its record stood.
    return {"log_partition" if "log_offset" in line else "partition": partition}


def _no_place(_: Line, __: int) -> Line:
    return {}
