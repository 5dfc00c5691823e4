"""What the host has not been given yet: ranges of log offsets, per device.

A frame that could not be sent at once is owed, and is sent later as historical data.
The value is immutable, so a snapshot of it costs nothing: the publisher keeps the one
that the server has proved to have, and falls back on it when the connection breaks.
A range may hold offsets of other devices; they are passed over when it is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

__all__ = ["MOST_RANGES", "NOTHING", "Owed", "Range"]

Range = tuple[int, int]  # first offset, and the offset behind the last
MOST_RANGES = 32


@dataclass(frozen=True, slots=True)
class Owed:
    """Owed ranges by device: sorted, apart from each other, never empty."""

    ranges: Mapping[str, tuple[Range, ...]] = field(default_factory=dict)

    def add(self, devices: Iterable[str], start: int, stop: int) -> Owed:
        """Owe ``[start, stop)`` to each of the devices.

        >>> Owed().add(["main"], 3, 5).add(["main"], 4, 9).ranges
        {'main': ((3, 9),)}
        """
        if start >= stop:
            return self
        new = dict(self.ranges)
        for device in devices:
            new[device] = _joined((*new.get(device, ()), (start, stop)))
        return Owed(new)

    def union(self, other: Owed) -> Owed:
        """Everything that either owes."""
        new = dict(self.ranges)
        for device, ranges in other.ranges.items():
            new[device] = _joined((*new.get(device, ()), *ranges))
        return Owed(new)

    def settle(self, devices: Iterable[str], stop: int) -> Owed:
        """Nothing below ``stop`` is owed to these devices any more."""
        new = dict(self.ranges)
        for device in devices:
            left = tuple((max(a, stop), b) for a, b in new.get(device, ()) if b > stop)
            if left:
                new[device] = left
            else:
                new.pop(device, None)
        return Owed(new)

    def holds(self, device: str, offset: int) -> bool:
        """Whether this record is owed, if it is the device's."""
        return any(a <= offset < b for a, b in self.ranges.get(device, ()))

    def lowest(self, devices: Iterable[str] | None = None) -> int | None:
        """The first offset owed to any of the devices (to any at all without them)."""
        wanted = self.ranges if devices is None else devices
        return min(
            (self.ranges[d][0][0] for d in wanted if d in self.ranges), default=None
        )

    @property
    def records(self) -> int:
        """How many log records are still to be looked through: an upper bound."""
        every = _joined(r for ranges in self.ranges.values() for r in ranges)
        return sum(b - a for a, b in every)


def _joined(ranges: Iterable[Range]) -> tuple[Range, ...]:
    """Sorted, with touching ranges joined; beyond MOST_RANGES the nearest are too.

    Joining over a gap owes what was sent already: a duplicate, never a hole.
    """
    out: list[Range] = []
    for start, stop in sorted(ranges):
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(stop, out[-1][1]))
        else:
            out.append((start, stop))
    while len(out) > MOST_RANGES:
        at = min(range(len(out) - 1), key=lambda i: out[i + 1][0] - out[i][1])
        out[at : at + 2] = [(out[at][0], out[at + 1][1])]
    return tuple(out)


NOTHING = Owed()
