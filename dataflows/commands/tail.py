"""``pm500 tail``: the log's records as JSON lines, as they come."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from connectors.log.contract import (
    DEAD,
    EVENTS,
    FRAMES,
    Log,
    LogError,
    OffsetGone,
    Record,
)
from connectors.log.schemas import Schemas
from dataflows.commands.open_log import open_site_log
from dataflows.commands.options import SiteOption
from dataflows.commands.record_line import Line, RecordLines

__all__ = ["Topic", "tail"]

_BATCH = 500
_IDLE_SECONDS = 0.05


class Topic(StrEnum):
    """What to print."""

    frames = "frames"
    events = "events"
    dead = "dead"


_TOPICS = {Topic.frames: FRAMES, Topic.events: EVENTS, Topic.dead: DEAD}


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
    follow: Annotated[
        bool, typer.Option(help="Wait for what comes, or end with what is there.")
    ] = True,
    count: Annotated[
        int | None, typer.Option(min=1, help="End after so many lines.")
    ] = None,
    topic: Annotated[Topic, typer.Option(help="What to print.")] = Topic.frames,
    site: SiteOption = Path("site.toml"),
) -> None:
    """Print the log's records, one JSON object a line, until a signal comes.

    A failed poll is a line too, with its status. `quality` counts the readings by
    quality, a reading without a value is null, `latency_ms` is the meter's own: from
    the request to the answer. A record that cannot be read is a line with its `error`.
    """
    name = _TOPICS[topic]
    with open_site_log(site) as log:
        view = RecordLines(Schemas(log), name, asset=asset, group=group)
        try:
            first = _first(log, name, start or ("end" if follow else "beginning"))
            with _Stop() as stop:
                for records in _batches(log, name, first, stop if follow else None):
                    lines = [line for r in records if (line := view.line(r))][:count]
                    stop.write(lines)
                    if count is not None and not (count := count - len(lines)):
                        break
        except LogError as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(1) from None


class _Stopped(Exception):  # noqa: N818 - a signal, no error
    """SIGTERM or SIGINT came while nothing was half done."""


class _Stop:
    """Ends the block quietly on SIGTERM, SIGINT, and when nobody reads our output.

    A signal interrupts only a wait, for records or for a slow reader of our output.
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
    def _waiting(self) -> Iterator[None]:
        self._waits = True
        try:
            if self._asked:
                raise _Stopped
            yield
        finally:
            self._waits = False

    def sleep(self, seconds: float) -> None:
        with self._waiting():
            time.sleep(seconds)

    def write(self, lines: list[Line]) -> None:
        text = "".join(f"{json.dumps(line)}\n" for line in lines)
        with self._waiting():
            sys.stdout.write(text)
            sys.stdout.flush()


def _first(log: Log, topic: str, start: str) -> int:
    """The offset to begin at; typer.BadParameter where ``start`` names none."""
    first, following = log.bounds(topic, 0)
    if start == "beginning":
        return first
    if start == "end":
        return following
    if not start.isdecimal() or int(start) > following:
        raise typer.BadParameter(
            f"{start!r} is none of beginning, end, {first}..{following}",
            param_hint="--from",
        )
    return int(start)


def _batches(
    log: Log, topic: str, offset: int, waits: _Stop | None
) -> Iterator[list[Record]]:
    """Records from an offset on; without ``waits`` it ends where the topic ends now."""
    while True:
        try:
            records = log.read(topic, 0, offset, _BATCH)
        except OffsetGone as gone:
            typer.echo(f"{gone}: going on there", err=True)
            offset = gone.first
            continue
        if records:
            offset = records[-1].offset + 1
            yield records
        elif waits is None:
            return
        else:
            waits.sleep(_IDLE_SECONDS)
