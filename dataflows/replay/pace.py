"""How fast history passes: by its own clock, or as fast as it goes."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator

import numpy as np

from dataflows.replay.blocks import Block

__all__ = ["Pace", "parse_speed"]

_LOOK_SECONDS = 0.05


def parse_speed(text: str) -> float | None:
    """Seconds of history per second; None for ``max``. ValueError.

    >>> parse_speed("10x"), parse_speed("0.5x"), parse_speed("max")
    (10.0, 0.5, None)
    """
    if text == "max":
        return None
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)x", text)
    if not found or not float(found[1]):
        raise ValueError(f"{text!r} is neither max nor a factor such as 1x or 0.5x")
    return float(found[1])


class Pace:
    """Gives out records when they are due; the first is due at once.

    ``sleep`` is never asked for more than 50 ms, so that a stop is soon seen.
    """

    def __init__(
        self,
        factor: float | None,
        *,
        stopping: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._factor = factor
        self._stopping = stopping
        self._clock = clock
        self._sleep = sleep
        self._begun: float | None = None
        self._first_us = 0
        self._latest_us = 0

    @property
    def exact(self) -> bool:
        """Whether the order of times matters."""
        return self._factor is not None

    def portions(self, block: Block) -> Iterator[Block]:
        """The block in parts, each when it is due; a stop leaves out the rest.

        A record that is older than one before it is due with that one.
        """
        if self._factor is None or not block.keys:
            yield block
            return
        if self._begun is None:
            self._begun = self._clock()
            self._first_us = self._latest_us = int(block.times_us[0])
        rising = np.maximum(np.maximum.accumulate(block.times_us), self._latest_us)
        self._latest_us = int(rising[-1])
        due = self._begun + (rising - self._first_us) / 1e6 / self._factor
        at = 0
        while at < len(due) and not self._stopping():
            now = self._clock()
            ready = int(np.searchsorted(due, now, "right"))
            if ready > at:
                yield block.part(at, ready)
                at = ready
            else:
                self._sleep(min(float(due[at]) - now, _LOOK_SECONDS))
