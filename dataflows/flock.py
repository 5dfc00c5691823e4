"""Files as locks (flock): the kernel gives them back when the process ends, however."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

__all__ = ["Patience", "is_held", "lock", "lock_file"]

_LOOK_SECONDS = 0.05


class Patience:
    """Waits for locks, all together no longer than ``seconds``.

    ``waits`` is told once whom it waits for (a pid, None where unknown); a true ``stop``
    ends the waiting.
    """

    def __init__(
        self,
        seconds: float,
        *,
        waits: Callable[[int | None], None] = lambda _: None,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self._deadline = time.monotonic() + seconds
        self._waits = waits
        self._stop = stop
        self._said = False

    def until(
        self,
        taken: Callable[[], bool],
        holder: Callable[[], int | None],
        refusal: Callable[[], Exception],
    ) -> bool:
        """Try until it is taken; False where a stop came first, else ``refusal``."""
        while not taken():
            if time.monotonic() >= self._deadline:
                raise refusal()
            if self._stop():
                return False
            if not self._said:
                self._waits(holder())
                self._said = True
            time.sleep(_LOOK_SECONDS)
        return True


def lock_file(path: Path) -> int:
    """A descriptor to lock, made where there is none and not inherited. OSError.

    Leave it open: the lock lasts as long as it does.
    """
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o644)


def lock(descriptor: int, *, shared: bool = False) -> bool:
    """Whether the lock could be had at once."""
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_held(path: Path, *, shared: bool = False) -> bool:
    """Whether a process holds it, in the way of ``lock``; False for no file."""
    try:
        descriptor = os.open(path, os.O_RDWR if shared else os.O_RDONLY)
    except OSError:
        return False
    try:
        # Looking for an exclusive lock, readers do not see each other.
        return not lock(descriptor, shared=not shared)
    finally:
        os.close(descriptor)
