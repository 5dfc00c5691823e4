"""The site's calendar: windows aligned to its wall clock, days with DST, months.

A bound is an instant at which the wall clock reads a multiple of the window's length,
counted from local midnight. Where the clock jumps over a multiple, the jump is the
bound. Where it goes back by the length or more, the multiples it reads again are bounds
again; where it goes back by less, they are not and the window is longer. So in Berlin a
day has 23, 24 or 25 hours, and the repeated hour is two windows of one hour, or part of
one of seven hours.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

__all__ = ["DAY_US", "Calendar", "problem_with_length"]

DAY_US = 86_400_000_000
_SECOND_US = 1_000_000
# Offsets of all zones in use are multiples of it.
_QUARTER_US = 900_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Where Python's own calendar ends, with room; beyond it the offset stays what it was.
_FIRST_US, _LAST_US = -700_000 * DAY_US, 2_900_000 * DAY_US
_KEPT_DAYS = 16

Longs = npt.NDArray[np.int64]
Transition = tuple[int, int, int]
"""Its instant, the offset before it and the offset from it on."""


def problem_with_length(length_us: int) -> str | None:
    """What is wrong with a window's length, to be said after its name; None if good.

    >>> problem_with_length(7_000_000)
    'does not divide the day'
    """
    if length_us < _SECOND_US:
        return "is shorter than a second"
    return "does not divide the day" if DAY_US % length_us else None


class Calendar:
    """Windows and billing periods of one time zone; times in microseconds, UTC.

    ``zone`` is an IANA name; ZoneInfoNotFoundError for one that is not known. Lengths
    are those in which ``problem_with_length`` finds none; ValueError for another.
    """

    def __init__(self, zone: str) -> None:
        self.zone = zone
        self._zone = ZoneInfo(zone)
        # By length and day of UTC.
        self._bounds: dict[tuple[int, int], tuple[list[int], Longs]] = {}
        self._months: dict[int, tuple[int, int]] = {}

    def __repr__(self) -> str:
        return f"Calendar({self.zone!r})"

    def window(self, time_us: int, length_us: int) -> tuple[int, int]:
        """The window ``[start, end)`` of that length that holds the instant."""
        if _is_plain(length_us):
            start_us = time_us // length_us * length_us
            return start_us, start_us + length_us
        bounds, _ = self._bounds_around(time_us // DAY_US, length_us)
        place = bisect_right(bounds, time_us)
        return bounds[place - 1], bounds[place]

    def starts(self, times_us: Longs, length_us: int) -> tuple[Longs, Longs]:
        """Starts and ends of the windows that hold the instants, as ``window``."""
        if _is_plain(length_us):
            starts = times_us // length_us * length_us
            return starts, starts + length_us
        if not len(times_us):
            return times_us.copy(), times_us.copy()
        days = np.unique(times_us // DAY_US).tolist()
        tables = [self._bounds_around(day, length_us)[1] for day in days]
        bounds = tables[0]
        if len(tables) > 1:
            bounds = np.unique(np.concatenate(tables))
        places = np.searchsorted(bounds, times_us, side="right")
        return bounds[places - 1], bounds[places]

    def month(self, time_us: int, first_day: int = 1) -> tuple[int, int]:
        """The billing period ``[start, end)`` that holds the instant.

        It begins at local midnight of day ``first_day``, 1 to 28, of each month.
        """
        kept = self._months.get(first_day)
        if kept is None or not kept[0] <= time_us < kept[1]:
            # Months of days that lie so much earlier begin with the first of a month.
            shifted = np.datetime64(self._day(time_us) - first_day + 1, "D")
            month = shifted.astype("datetime64[M]")
            kept = (
                self._midnight(_number(month.astype("datetime64[D]")) + first_day - 1),
                self._midnight(
                    _number((month + 1).astype("datetime64[D]")) + first_day - 1
                ),
            )
            self._months[first_day] = kept
        return kept

    def _bounds_around(self, utc_day: int, length_us: int) -> tuple[list[int], Longs]:
        """All bounds of the windows that touch the day, in order, in both forms."""
        key = length_us, utc_day
        kept = self._bounds.get(key)
        if kept is None:
            if problem := problem_with_length(length_us):
                raise ValueError(f"a window of {length_us} µs {problem}")
            # No zone is a whole day from UTC.
            days = range(utc_day - 1, utc_day + 2)
            parts = [self._bounds_of(day, length_us) for day in days]
            last = np.array([self._midnight(utc_day + 2)], np.int64)
            bounds = np.concatenate([*parts, last])
            kept = bounds.tolist(), bounds
            while len(self._bounds) >= _KEPT_DAYS:
                del self._bounds[next(iter(self._bounds))]
            self._bounds[key] = kept
        return kept

    def _bounds_of(self, day: int, length_us: int) -> Longs:
        """The windows' starts of one local day; none of a day that was left out."""
        start, end = self._midnight(day), self._midnight(day + 1)
        if start == end:
            return np.empty(0, np.int64)
        found = [np.array([start], np.int64)]
        change = self._transition(start, end - 1)
        if change is None:
            found.append(_multiples(start, end, self._offset(start), length_us))
        else:
            instant, before, after = change
            found.append(_multiples(start, instant, before, length_us))
            back = before - after
            again = instant + back if 0 < back < length_us else instant
            found.append(_multiples(again, end, after, length_us))
            if -(-(instant + before) // length_us) <= (instant + after) // length_us:
                found.append(np.array([instant], np.int64))
        return np.unique(np.concatenate(found))

    def _day(self, time_us: int) -> int:
        """The local day, counted from 1970-01-01, that holds the instant."""
        day = (time_us + self._offset(time_us)) // DAY_US
        while self._midnight(day + 1) <= time_us:
            day += 1
        while self._midnight(day) > time_us:
            day -= 1
        return day

    def _midnight(self, day: int) -> int:
        """The first instant at which the wall clock reads the day's 0:00 or more."""
        wall = day * DAY_US
        change = self._transition(wall - DAY_US, wall + DAY_US)
        if change is None:
            return wall - self._offset(wall)
        instant, before, after = change
        if wall - before < instant:
            return wall - before
        return max(wall - after, instant)

    def _transition(self, low: int, high: int) -> Transition | None:
        """The change of the offset after ``low`` and up to ``high``, if there is one.

        Two changes within two days that undo each other are not seen; no zone has them.
        """
        before, after = self._offset(low), self._offset(high)
        if before == after:
            return None
        while high - low > 1:
            middle = (low + high) // 2
            if self._offset(middle) == before:
                low = middle
            else:
                high = middle
        return high, before, after

    def _offset(self, time_us: int) -> int:
        """Wall clock less UTC."""
        within = min(max(time_us, _FIRST_US), _LAST_US)
        moment = _EPOCH + timedelta(microseconds=within)
        offset = moment.astimezone(self._zone).utcoffset()
        return 0 if offset is None else offset // timedelta(microseconds=1)


def _is_plain(length_us: int) -> bool:
    """Whether bounds of the wall clock are bounds of UTC, in every zone."""
    return length_us >= _SECOND_US and not _QUARTER_US % length_us


def _multiples(start: int, end: int, offset: int, length_us: int) -> Longs:
    """Instants in ``[start, end)`` at which that clock reads a multiple."""
    first = -(-(start + offset) // length_us) * length_us - offset
    return np.arange(first, end, length_us, dtype=np.int64)


def _number(day: np.datetime64[Any]) -> int:
    return int(day.astype(np.int64))
