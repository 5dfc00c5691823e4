"""Power and counters of one asset in the order of time, whichever comes first.

They are lanes of their own, and a batch may hold a quarter of an hour of one before the
other. Energy is held against power, so it is looked at in one order only.
"""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

from transforms.energy.intervals import PowerMinute
from transforms.snapshot import fields_of

__all__ = ["PowerItem", "PowerMerge", "ReadItem"]

# One lane waits for the other no longer than this, as the slots tell, and the time in
# which the counters' cells close.
_WAIT_US = 300_000_000
_PERIODS = 3


class PowerItem(NamedTuple):
    """A minute that ends at ``time_us``: its power by the quantity that it counts."""

    time_us: int
    minutes: tuple[tuple[str, PowerMinute], ...]


class ReadItem(NamedTuple):
    """A slot of counters: each with its reading in Wh, None where it has none."""

    time_us: int
    period_us: int
    counted: tuple[tuple[str, int | None], ...]


class PowerMerge:
    """Holds what one lane is ahead of the other; without power nothing waits."""

    VERSION = 1

    def __init__(self, has_power: bool) -> None:
        self._has_power = has_power
        self._minutes: deque[PowerItem] = deque()
        self._reads: deque[ReadItem] = deque()
        self._power_us = self._read_us = -1
        self._wait_us = _WAIT_US

    def expect(self, period_us: int) -> None:
        """Counters come with this period: so much later may they be."""
        self._wait_us = max(self._wait_us, _WAIT_US + _PERIODS * period_us)

    def power(self, end_us: int, minutes: tuple[tuple[str, PowerMinute], ...]) -> None:
        """Take a minute."""
        self._minutes.append(PowerItem(end_us, minutes))
        self._power_us = max(self._power_us, end_us)

    def read(
        self, slot_us: int, period_us: int, counted: tuple[tuple[str, int | None], ...]
    ) -> None:
        """Take a slot of the counters."""
        self._reads.append(ReadItem(slot_us, period_us, counted))
        self._read_us = max(self._read_us, slot_us)

    def due(self) -> list[PowerItem | ReadItem]:
        """What is next; to be asked when all of a batch was taken."""
        if not self._has_power:
            return self._until(1 << 62)
        ahead = max(self._power_us, self._read_us)
        both = min(self._power_us, self._read_us)
        return self._until(max(both, ahead - self._wait_us))

    def rest(self) -> list[PowerItem | ReadItem]:
        """All that is held, in order: nothing more comes."""
        return self._until(1 << 62)

    def _until(self, time_us: int) -> list[PowerItem | ReadItem]:
        out: list[PowerItem | ReadItem] = []
        minutes, reads = self._minutes, self._reads
        while True:
            minute = minutes[0].time_us if minutes else time_us + 1
            read = reads[0].time_us if reads else time_us + 1
            if min(minute, read) > time_us:
                return out
            out.append(minutes.popleft() if minute <= read else reads.popleft())

    def to_snapshot(self) -> tuple[Any, ...]:
        """The state as plain tuples, version first."""
        minutes = tuple(
            (time, tuple((name, tuple(minute)) for name, minute in own))
            for time, own in self._minutes
        )
        reads = tuple(tuple(read) for read in self._reads)
        return (
            self.VERSION, minutes, reads, self._power_us, self._read_us, self._wait_us,
        )  # fmt: skip

    def restore(self, snapshot: tuple[Any, ...]) -> None:
        """Be as when the snapshot was taken; ValueError for an unknown version."""
        own = fields_of(snapshot, self.VERSION, "a snapshot of power")
        minutes, reads, self._power_us, self._read_us, self._wait_us = own
        self._minutes = deque(
            PowerItem(time, tuple((name, PowerMinute(*own)) for name, own in parts))
            for time, parts in minutes
        )
        self._reads = deque(ReadItem(*read) for read in reads)
