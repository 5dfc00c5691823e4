"""How far a replay is: a bar on a terminal, else a line now and then; on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from dataflows.replay.run import Watcher

__all__ = ["Lines", "watch"]

_LINE_SECONDS = 10.0


@contextmanager
def watch(total: int, title: str) -> Iterator[Watcher]:
    """The bar or the lines; ``total`` is what will be looked at."""
    if not sys.stderr.isatty():
        yield Lines(total, title, sys.stderr)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[sent]:,} records"),
        TextColumn("{task.fields[rate]:,.0f}/s"),
        TextColumn("ETA"),
        TimeRemainingColumn(compact=True),
        console=Console(stderr=True),
        refresh_per_second=4,
    )
    with bar:
        yield _Bar(bar, total, title)


class _Bar:
    def __init__(self, bar: object, total: int, title: str) -> None:
        from rich.progress import Progress

        assert isinstance(bar, Progress)
        self._bar = bar
        self._begun = time.monotonic()
        self._task = bar.add_task(title, total=total, sent=0, rate=0.0)

    def advance(self, looked: int, sent: int) -> None:
        seconds = time.monotonic() - self._begun
        rate = sent / seconds if seconds else 0.0
        self._bar.update(self._task, completed=looked, sent=sent, rate=rate)


class Lines:
    """A line every ten seconds."""

    def __init__(
        self,
        total: int,
        title: str,
        file: TextIO,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._total = total
        self._title = title
        self._file = file
        self._clock = clock
        self._begun = clock()
        self._next = self._begun + _LINE_SECONDS

    def advance(self, looked: int, sent: int) -> None:
        """Say it where it is time."""
        now = self._clock()
        if now < self._next:
            return
        self._next = now + _LINE_SECONDS
        seconds = now - self._begun
        part = looked / self._total if self._total else 1.0
        left = f", {seconds / part - seconds:.0f} s left" if part else ""
        self._file.write(
            f"{self._title}: {part:.0%}, {sent:,} records, {sent / seconds:,.0f}/s{left}\n"
        )
        self._file.flush()
