"""Commits the rolls of one partition, one after another, for as long as it takes."""

from __future__ import annotations

import time
from concurrent.futures import Executor, Future, wait
from typing import Generic

from sinks.contract import Host
from sinks.rolls.contract import R, Refused, RollWriter

__all__ = ["Committer", "one_line"]

_LOOK_SECONDS = 0.05


class Committer(Generic[R]):
    """Gives a writer's rolls to ``background``, or commits them itself where None.

    A refusal (OSError) is told to the host and tried again after ``retry_seconds``, or
    when the refusal itself says (Refused), until a stop. Any other exception comes out
    of whichever call meets it.
    """

    def __init__(
        self,
        writer: RollWriter[R],
        *,
        host: Host,
        background: Executor | None,
        retry_seconds: float,
    ) -> None:
        self._writer = writer
        self._host = host
        self._background = background
        self._retry_seconds = retry_seconds
        self._under_way: tuple[R, Future[None]] | None = None
        self._retry_at: float | None = None

    def roll(self) -> bool:
        """Cut a roll and have it committed; False where a stop came while held."""
        if not self.finish():
            return False
        while True:
            try:
                roll = self._writer.cut()
            except OSError as error:
                if not self._refused(error):
                    return False
            else:
                break
        if roll is not None:
            self._start(roll)
            if self._background is None:
                return self.finish()
        return True

    def look(self) -> None:
        """Take the outcome of what is under way, if there is one; never waits."""
        if self._under_way is None:
            return
        roll, future = self._under_way
        if not future.done():
            self._host.alive()
        elif isinstance(error := future.exception(), OSError):
            now = time.monotonic()
            if self._retry_at is None:
                self._retry_at = now + self._pause_after(error)
                self._host.hold(one_line(error))
            elif now >= self._retry_at:
                self._start(roll)
        else:
            future.result()
            self._under_way = None
            self._writer.committed(roll)
            self._host.clear()

    def finish(self) -> bool:
        """Wait for what is under way; False where a stop came while held."""
        self.look()
        while self._under_way is not None:
            if self._retry_at is None:
                wait([self._under_way[1]], _LOOK_SECONDS)
            elif self._host.stopping():
                return False
            else:
                self._pause()
            self.look()
        return True

    def _start(self, roll: R) -> None:
        self._retry_at = None
        if self._background is not None:
            self._under_way = roll, self._background.submit(roll.commit)
            return
        future: Future[None] = Future()
        try:
            roll.commit()
        except Exception as error:  # noqa: BLE001 - finish() gives it to whoever asks
            future.set_exception(error)
        else:
            future.set_result(None)
        self._under_way = roll, future

    def _pause_after(self, error: OSError) -> float:
        if isinstance(error, Refused):
            return error.retry_seconds
        return self._retry_seconds

    def _pause(self) -> None:
        assert self._retry_at is not None
        self._host.alive()
        left = self._retry_at - time.monotonic()
        time.sleep(min(max(left, 0.0), _LOOK_SECONDS))

    def _refused(self, error: OSError) -> bool:
        """Hold until it is time to try again; False for a stop."""
        self._host.hold(one_line(error))
        self._retry_at = time.monotonic() + self._pause_after(error)
        while time.monotonic() < self._retry_at and not self._host.stopping():
            self._pause()
        self._retry_at = None
        return not self._host.stopping()


def one_line(error: Exception) -> str:
    """An error in one line: deltalake's run over several."""
    return " ".join(str(error).split()) or type(error).__name__
