"""The clock grid of one group, without a clock: times come in as arguments.

``slot = seq * period`` since the epoch, exactly; the meter's stagger moves only the
instant of asking. Numbers only grow: a clock stepped back never gives one twice.
"""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["Slots", "stagger_us"]

# A poll that ran, or a loop that stood still, for longer than this leaves holes: what
# happened there is unknown, and a hole says so.
_GRID_US = 10_000
_EXPLAINED_US = 60_000_000


class Slots:
    """The slots of one group of one meter. All times in microseconds, UTC."""

    __slots__ = ("next_seq", "period_us", "stagger_us")

    def __init__(self, period_us: int, stagger_us: int, now_us: int) -> None:
        self.period_us = period_us
        self.stagger_us = stagger_us
        # A slot already begun is not polled at start.
        self.next_seq = now_us // period_us + 1

    @property
    def next_us(self) -> int:
        """The next slot."""
        return self.next_seq * self.period_us

    @property
    def due_us(self) -> int:
        """When the next slot is to be asked for."""
        return self.next_us + self.stagger_us

    def take(self, now_us: int) -> tuple[Iterator[int], int] | None:
        """The slots overrun since the last call, and the one to poll now.

        None while nothing is due. Overrun slots are those that passed while the meter
        was still busy; more than a minute of them stay holes.
        """
        if now_us < self.due_us:
            return None
        latest = (now_us - self.stagger_us) // self.period_us
        first = max(self.next_seq, latest - _EXPLAINED_US // self.period_us)
        self.next_seq = latest + 1
        return iter(range(first, latest)), latest


def stagger_us(index: int, count: int, shortest_period_us: int) -> int:
    """Spread ``count`` meters evenly over most of the shortest period, at most 1 s.

    On a grid of 10 ms: polls that begin together cost less than each by itself.

    >>> [stagger_us(i, 4, 1_000_000) for i in range(4)]
    [0, 200000, 400000, 600000]
    """
    spread = min(shortest_period_us, 1_000_000) * 8 // 10
    return spread * index // max(count, 1) // _GRID_US * _GRID_US
