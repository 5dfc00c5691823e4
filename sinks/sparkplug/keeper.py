"""Keeps an edge node's record up to date, without holding a frame up.

A file system may take half a second to replace a small file, so that is done beside.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path

import structlog

from sinks.sparkplug.account import Mark
from sinks.sparkplug.record import NodeRecord, save_record

__all__ = ["Keeper"]


class Keeper:
    """Writes the record of one edge node; ``mark`` says how its account stands.

    ``forget(offset)`` is told, by the thread that ticks, what the log need not keep any
    more: never before the record is written that no longer owes it.
    """

    def __init__(
        self,
        path: Path,
        log_id: str,
        bd_seq: int,
        *,
        mark: Callable[[], Mark],
        forget: Callable[[int], None],
        background: Executor,
        every_seconds: float = 1.0,
    ) -> None:
        self._path = path
        self._log_id = log_id
        self._bd_seq = bd_seq
        self._mark = mark
        self._forget = forget
        self._background = background
        self._every_seconds = every_seconds
        self._lock = threading.Lock()
        self._under_way: tuple[Mark, Future[None]] | None = None
        self._kept = True
        self._kept_at = time.monotonic()
        path.parent.mkdir(parents=True, exist_ok=True)

    def count(self, bd_seq: int) -> None:
        """Keep the ``bdSeq`` of an attempt, before anything is sent in it; any thread.

        OSError.
        """
        mark = self._mark()
        with self._lock:
            self._bd_seq = bd_seq
            self._save(mark, sync=True)

    def tick(self) -> None:
        """Begin to keep the account, every ``every_seconds``; never waits."""
        if self._under_way is not None:
            if self._under_way[1].done():
                self._settle()
        elif time.monotonic() - self._kept_at >= self._every_seconds:
            self._kept_at = time.monotonic()
            self._begin(self._mark())

    def end(self, mark: Mark) -> None:
        """Keep the last account, and wait for it."""
        self._settle()
        self._begin(mark)
        self._settle()

    def _begin(self, mark: Mark) -> None:
        self._under_way = mark, self._background.submit(self._keep, mark)

    def _keep(self, mark: Mark) -> None:
        with self._lock:
            self._save(mark, sync=False)

    def _settle(self) -> None:
        if self._under_way is None:
            return
        mark, future = self._under_way
        self._under_way = None
        try:
            future.result()
        except OSError as error:
            if self._kept:
                log = structlog.get_logger()
                log.warning("sparkplug_record_not_written", error=str(error))
            self._kept = False
            return
        self._kept = True
        self._forget(mark.lowest)

    def _save(self, mark: Mark, *, sync: bool) -> None:
        record = NodeRecord(
            bd_seq=self._bd_seq,
            log_id=self._log_id,
            live=mark.live,
            owed=mark.owed.ranges,
        )
        save_record(self._path, record, sync=sync)
