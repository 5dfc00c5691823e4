"""When a lost meter is asked again: pauses that double, with a spread of their own."""

from __future__ import annotations

from zlib import crc32

__all__ = ["Backoff"]


class Backoff:
    """Pauses of one meter. The spread comes from its name, so a fleet never storms."""

    def __init__(self, name: str, first_us: int, most_us: int) -> None:
        self._first_us = first_us
        self._most_us = most_us
        self._share = 0.75 + 0.25 * (crc32(name.encode()) % 1000) / 1000
        self._failures = 0
        self.until_us = 0

    def failed(self, now_us: int) -> None:
        """One more attempt has failed: wait, longer each time."""
        pause = min(self._first_us << min(self._failures, 20), self._most_us)
        self._failures += 1
        self.until_us = now_us + int(pause * self._share)

    def succeeded(self) -> None:
        """The meter answers: the next loss starts with the first pause again."""
        self._failures = 0
        self.until_us = 0

    def waits(self, now_us: int) -> bool:
        """Whether it is too early for another attempt.

        A clock stepped back by more than the longest pause ends the wait.
        """
        return now_us < self.until_us <= now_us + self._most_us
