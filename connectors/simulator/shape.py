"""The course of a load over a week as hourly straight lines; pure.

A straight line integrates exactly and has its extremes at its ends, so energies and
maxima are closed forms. The week begins on Thursday, 00:00 UTC, as the epoch does.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

__all__ = ["HOURS", "SHAPES", "WEEK_HOURS", "Range", "Shape", "shape_named"]

WEEK_HOURS = 168
HOURS = range(WEEK_HOURS)
_WEEKEND_DAYS = (2, 3)  # Saturday and Sunday, counted from Thursday

_OFFICE = [0.28] * 6 + [0.4, 0.6, 0.85, 0.95, 1, 1, 0.9, 0.95, 1, 0.95, 0.85, 0.6]
_SHIFTS = [0.3] * 5 + [0.6, 0.95, 1, 1, 0.98, 1, 0.8, 0.9, 1, 0.9, 0.95, 1, 1]
_ROUND = [0.82] * 6 + [0.95, 1, 1, 1, 0.98, 0.9, 0.92, 1, 0.95, 1, 1, 0.97]
_SUN = [0.35] * 9 + [-0.3, -0.6, -0.85, -1, -0.9, -0.65, -0.35, 0.4, 0.5]
SHAPES: dict[str, tuple[list[float], float]] = {
    # The day's hours and what remains of them on a weekend.
    "office": ([*_OFFICE, 0.45, 0.35, 0.3, 0.28, 0.28, 0.28], 0.0),
    "two_shift": ([*_SHIFTS, 0.9, 0.9, 0.85, 0.8, 0.5, 0.35], 0.2),
    "three_shift": ([*_ROUND, 0.9, 0.88, 0.88, 0.85, 0.85, 0.82], 0.6),
    "solar": ([*_SUN, 0.6, 0.6, 0.55, 0.5, 0.4, 0.35], 1.0),
}


class Range(NamedTuple):
    """Extremes of the course and of its magnitude."""

    low: float
    high: float
    magnitude_low: float
    magnitude_high: float


class Shape:
    """One course: dimensionless, about -1 ... 1; negative where power is fed back."""

    __slots__ = ("begins", "ends", "magnitudes", "negative", "sums")

    def __init__(self, begins: list[float], ends: list[float]) -> None:
        self.begins = begins
        self.ends = ends
        self.sums = [0.0]
        self.magnitudes = [0.0]
        for begin, end in zip(begins, ends, strict=True):
            mean = (begin + end) / 2
            self.sums.append(self.sums[-1] + mean)
            self.magnitudes.append(self.magnitudes[-1] + abs(mean))
        self.negative = _runs(begins)

    def value(self, hours: float) -> float:
        """The course at ``hours`` of the week, 0 <= hours < 168."""
        hour = int(hours)
        begin = self.begins[hour]
        return begin + (self.ends[hour] - begin) * (hours - hour)

    def integral(self, hours: float) -> tuple[float, float]:
        """The integral of the course and of its magnitude from 0 to ``hours``."""
        hour = min(int(hours), WEEK_HOURS - 1)
        rest = hours - hour
        begin = self.begins[hour]
        area = rest * (begin + (self.ends[hour] - begin) * rest / 2)
        return self.sums[hour] + area, self.magnitudes[hour] + abs(area)

    def extremes(self, since_hours: float, hours: float) -> Range:
        """The extremes over ``[since_hours, hours]``, counted from any week's start."""
        seen = [self.value(since_hours % WEEK_HOURS), self.value(hours % WEEK_HOURS)]
        first = int(since_hours)
        last = min(int(hours), first + WEEK_HOURS)
        for hour in range(first, last):
            seen.append(self.ends[hour % WEEK_HOURS])
            seen.append(self.begins[(hour + 1) % WEEK_HOURS])
        sizes = [abs(value) for value in seen]
        return Range(min(seen), max(seen), min(sizes), max(sizes))


@cache
def shape_named(name: str) -> Shape:
    """The shape of this name; it is shared, so never change it."""
    day, weekend = SHAPES[name]
    quiet = min(value for value in day if value > 0)
    nodes = []
    for hour in HOURS:
        value = day[hour % 24]
        if hour // 24 in _WEEKEND_DAYS and value > 0:
            value = quiet + (value - quiet) * weekend
        nodes.append(value)
    ends = []
    for hour in HOURS:
        following = nodes[(hour + 1) % WEEK_HOURS]
        # Power changes its sign in a step between two hours, never within one.
        ends.append(following if following * nodes[hour] > 0 else nodes[hour])
    return Shape(nodes, ends)


def _runs(begins: list[float]) -> tuple[tuple[int, int], ...]:
    """The hours ``[begin, end)`` in which power is fed back."""
    edges = [
        hour
        for hour in range(WEEK_HOURS + 1)
        if (hour < WEEK_HOURS and begins[hour] < 0)
        != (hour > 0 and begins[hour - 1] < 0)
    ]
    return tuple(zip(edges[::2], edges[1::2], strict=True))
