"""When the disk stood still for everyone: a small file that is only written to.

A virtual disk shares its host's, and may hold up a write by a second while nothing much
is written. Whoever waits for a frame then waits for the disk, Kafka or not.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Self

__all__ = ["Disk"]

_EVERY_SECONDS = 0.02
_WRITES_A_SYNC = 25
_LONG_MS = 50.0


class Disk:
    """Writes a page every 20 ms, as the edge's log does, and notes what took long."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="disk", daemon=True)
        self.stalls_ms: list[tuple[float, float]] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(30)

    def stood_still(self, start_ms: float, end_ms: float) -> bool:
        """Whether it did at any instant between two (ms since the epoch)."""
        return any(a < end_ms and start_ms < b for a, b in self.stalls_ms)

    def _watch(self) -> None:
        file = os.open(self._path, os.O_CREAT | os.O_WRONLY)
        try:
            page, number = bytes(4096), 0
            while not self._ended.wait(_EVERY_SECONDS):
                start_ms = time.time_ns() / 1e6
                os.pwrite(file, page, number % 256 * len(page))
                number += 1
                if number % _WRITES_A_SYNC == 0:
                    os.fdatasync(file)
                end_ms = time.time_ns() / 1e6
                if end_ms - start_ms > _LONG_MS:
                    self.stalls_ms.append((start_ms, end_ms))
        finally:
            os.close(file)
