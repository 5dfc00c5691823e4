"""The one way to a server that all partitions share.

One batch is in flight. Who is told to come back later tells the others, and after a stop
nobody waits for a server that has not answered one of them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from sinks.influx.answer import Answer, Step

__all__ = ["Gate"]

_HURRIED_SECONDS = 3.0

Post = Callable[[bytes, float | None], None]


def _never() -> bool:
    return False


class Gate:
    """``post(lines, timeout_seconds)`` with what all that use it have to know.

    ``good`` is the newest record that was taken, of whichever partition. Its points may
    be sent again: no later revision was taken, for that would stand here instead.
    """

    def __init__(
        self,
        post: Post,
        *,
        stopping: Callable[[], bool] = _never,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._post = post
        self._stopping = stopping
        self._clock = clock
        self._lock = threading.Lock()
        self._later: tuple[float, Answer] | None = None
        self._silent = False
        self.good: bytes | None = None

    def post(self, lines: bytes) -> None:
        """Post once nobody else does; Answer, as of the server or in its place."""
        with self._lock:
            stopping = self._stopping()
            if stopping and self._silent:
                raise Answer(
                    None, "not asked again: it did not answer, and a stop came"
                )
            if self._later is not None:
                until, why = self._later
                if (left := until - self._clock()) > 0:
                    raise Answer(why.status, why.text, left)
                self._later = None
            try:
                self._post(lines, _HURRIED_SECONDS if stopping else None)
            except Answer as answer:
                # It may have come while we waited.
                self._silent = answer.status is None and self._stopping()
                # Of other answers it says when they may be asked for, not that others wait.
                if answer.retry_after and answer.step is Step.AGAIN:
                    self._later = self._clock() + answer.retry_after, answer
                raise
            self._silent = False
