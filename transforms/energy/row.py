"""The intervals of a counter in the order of time, made as they are needed. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable

from transforms.energy.interval import Interval

__all__ = ["MOST", "Row"]

MOST = 3_100  # a month of quarter hours


class Row:
    """Intervals that do not overlap; ``cuts`` are bounds beside those of the calendar.

    None begins before ``floor_us``. Places are those in ``intervals``.
    """

    def __init__(
        self,
        interval_of: Callable[[int], tuple[int, int]],
        intervals: Iterable[Interval],
        floor_us: int,
        cuts: tuple[int, ...],
    ) -> None:
        self._interval_of = interval_of
        self.intervals = [*intervals]
        self.floor_us = floor_us
        self.cuts = cuts

    def find(self, at_us: int) -> int | None:
        """The place of the interval that holds a time; None where it is not made."""
        place = bisect_right(self.intervals, at_us, key=_start) - 1
        if place >= 0 and at_us < self.intervals[place].end_us:
            return place
        return None

    def at(self, at_us: int) -> int:
        """The place of the interval that holds a time."""
        place = self.find(at_us)
        return self._make(at_us) if place is None else place

    def stretch(self, start_us: int, end_us: int) -> list[int]:
        """Places of the intervals that a stretch of time touches.

        Of more than ``MOST`` all but the first and the last become one.
        """
        places = [self.at(start_us)]
        inner_us = self.intervals[places[0]].end_us
        if inner_us < end_us and self._too_many(inner_us, end_us):
            self._merge(inner_us, self._interval_of(end_us - 1)[0])
        while (at_us := self.intervals[places[-1]].end_us) < end_us:
            places.append(self.at(at_us))
        return places

    def _make(self, at_us: int) -> int:
        start_us, end_us = self._interval_of(at_us)
        before = [cut for cut in self.cuts if start_us < cut <= at_us]
        after = [cut for cut in self.cuts if at_us < cut < end_us]
        # Of many cuts the first are forgotten, but not the intervals that they made.
        place = bisect_right(self.intervals, at_us, key=_start)
        if place > 0 and self.intervals[place - 1].end_us > start_us:
            before.append(self.intervals[place - 1].end_us)
        if place < len(self.intervals) and self.intervals[place].start_us < end_us:
            after.append(self.intervals[place].start_us)
        interval = Interval(
            max(start_us, self.floor_us, *before),
            min(end_us, *after) if after else end_us,
            whole=start_us >= self.floor_us or bool(before),
            reasons=("ct_change",) if before or after else (),
        )
        return self._insert(interval)

    def _insert(self, interval: Interval) -> int:
        place = bisect_right(self.intervals, interval.start_us, key=_start)
        self.intervals.insert(place, interval)
        return place

    def _too_many(self, start_us: int, end_us: int) -> bool:
        at_us = start_us
        for _ in range(MOST + 1):
            place = self.find(at_us)
            if place is None:
                at_us = self._interval_of(at_us)[1]
            else:
                at_us = self.intervals[place].end_us
            if at_us >= end_us:
                return False
        return True

    def _merge(self, start_us: int, end_us: int) -> None:
        """Make one interval of ``[start_us, end_us)``; nothing is booked there yet."""
        merged, others = Interval(start_us, end_us), []
        for interval in self.intervals:
            if not start_us <= interval.start_us < end_us:
                others.append(interval)
                continue
            merged = merged._replace(
                power_wh=merged.power_wh + interval.power_wh,
                covered_us=merged.covered_us + interval.covered_us,
                peak_kw=max(merged.peak_kw, interval.peak_kw),
                first_kw=merged.first_kw or interval.first_kw,
                final_kw=interval.final_kw or merged.final_kw,
            )
        self.intervals = others
        self._insert(merged)


def _start(interval: Interval) -> int:
    return interval.start_us
