"""Frames to cells: each slot of each lane has its place, whatever order frames come in.

A *cell* is the shortest stretch that is looked at as a whole; all that is derived
follows from closed cells in the order of time. A cell closes when its lane has a frame
that is later than its end by the lateness that is allowed. So frames that are shuffled
within the lateness give the same cells, and so does any cutting of the log in batches.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from transforms.model.quality import Quality
from transforms.sequence import EMPTY
from transforms.windows.fold import Powers, fold
from transforms.windows.rows import Rows

__all__ = ["NOWHERE", "Cells", "Closed", "Slots"]

Longs = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

NOWHERE = -1


class Slots(NamedTuple):
    """Frames of lanes of one period, ``n`` of them in the order of arrival."""

    lane: Longs
    slot_us: Longs
    status: Bytes
    quality: Bytes  # (n, readings)
    values: npt.NDArray[np.generic]  # (n, readings)

    def take(self, places: Any) -> Slots:
        """Some of them."""
        return Slots(*(column[places] for column in self))


class Closed(NamedTuple):
    """Cells that closed, by lane and then by time: a row each, and their slots."""

    lane: Longs
    rows: Rows
    status: Bytes  # (m, slots)
    quality: Bytes  # (m, slots, readings)
    values: npt.NDArray[np.generic]  # (m, slots, readings)


class Cells:
    """The open cells of many lanes of one period and one layout.

    Cells begin at multiples of ``cell_us``, which is one of the period.
    ``newest_us`` is the latest slot of each lane, ``closed_us`` the end of what is
    closed, ``first_us`` the first slot; NOWHERE for a lane without a frame.
    """

    def __init__(
        self,
        *,
        period_us: int,
        cell_us: int,
        lateness_us: int,
        readings: int,
        dtype: npt.DTypeLike,
        powers: Powers,
    ) -> None:
        self.period_us = period_us
        self.cell_us = cell_us
        self.lateness_us = lateness_us
        self.slots = cell_us // period_us
        self._readings = readings
        self._dtype = np.dtype(dtype)
        self._powers = powers
        self.newest_us = self.closed_us = self.first_us = np.empty(0, np.int64)
        # Open cells stand anywhere in the pool; their lane is NOWHERE in a free place.
        self._pool = self._places(0)
        self._free: Longs = np.empty(0, np.int64)

    def __len__(self) -> int:
        return len(self.newest_us)

    def _places(self, count: int) -> tuple[npt.NDArray[Any], ...]:
        """Lane, start, status, quality and values of so many empty cells."""
        wide = (count, self.slots, self._readings)
        return (
            np.full(count, NOWHERE, np.int64),
            np.zeros(count, np.int64),
            np.full((count, self.slots), EMPTY, np.uint8),
            np.full(wide, Quality.BAD_NO_VALUE, np.uint8),
            np.zeros(wide, self._dtype),
        )

    def grow(self, lanes: int) -> None:
        """Make room for so many lanes."""
        more = np.full(lanes - len(self), NOWHERE, np.int64)
        self.newest_us = np.concatenate((self.newest_us, more))
        self.closed_us = np.concatenate((self.closed_us, more))
        self.first_us = np.concatenate((self.first_us, more))

    def reset(self, lane: int) -> None:
        """As if nothing had ever come of a lane; it has no open cells."""
        for times in (self.newest_us, self.closed_us, self.first_us):
            times[lane] = NOWHERE

    def late(self, lane: Longs, slot_us: Longs) -> npt.NDArray[np.bool_]:
        """Which of these, in the order of arrival, belong to cells that are closed."""
        before = self._newest_before(lane, slot_us)
        end = (slot_us // self.cell_us + 1) * self.cell_us
        # Of a lane that has nothing yet no cell is closed.
        return (end <= before - self.lateness_us) & (before >= 0)

    def behind(self, lane: Longs, slot_us: Longs) -> npt.NDArray[np.bool_]:
        """Which of these, in the order of arrival, come behind a later slot."""
        return np.asarray(slot_us < self._newest_before(lane, slot_us))

    def _newest_before(self, lane: Longs, slot_us: Longs) -> Longs:
        """The latest slot of each lane before each frame came; the least for a first."""
        newest = self.newest_us[lane]
        if (slot_us[1:] >= slot_us[:-1]).all() and (slot_us >= newest).all():
            return newest
        order = np.argsort(lane, kind="stable")
        of, slots = lane[order], slot_us[order]
        begins = np.diff(of, prepend=-1) != 0
        out = np.empty_like(slots)
        out[order] = np.maximum(_running(slots, begins), newest[order])
        return out

    def add(self, new: Slots) -> tuple[npt.NDArray[np.bool_] | None, Closed | None]:
        """Take frames that are not late: which came before, and the cells that close.

        A frame that came before changes nothing. None where there are none.
        """
        number = new.slot_us // self.cell_us
        place_in = (new.slot_us - number * self.cell_us) // self.period_us
        pool = self._pool_places(new.lane, number)
        again = self._again(pool, place_in)
        if again is not None:
            new, pool, place_in = new.take(~again), pool[~again], place_in[~again]
        _, _, status, quality, values = self._pool
        status[pool, place_in] = new.status
        quality[pool, place_in] = new.quality
        values[pool, place_in] = new.values
        np.maximum.at(self.newest_us, new.lane, new.slot_us)
        nowhere = self.first_us[new.lane] == NOWHERE
        if nowhere.any():
            self.first_us[new.lane[nowhere]] = np.iinfo(np.int64).max
        np.minimum.at(self.first_us, new.lane, new.slot_us)
        return again, self._close()

    def finish(self, lane: int) -> Closed | None:
        """Close all that is open of a lane."""
        return self._closed(np.flatnonzero(self._pool[0] == lane))

    def _pool_places(self, lane: Longs, number: Longs) -> Longs:
        """Where the cell of each frame stands; new ones are given a place."""
        least = int(number.min())
        wide = int(number.max()) - least + 1
        cells, which = np.unique(lane * wide + (number - least), return_inverse=True)
        held = np.flatnonzero(self._pool[0] != NOWHERE)
        own = self._pool[1][held] // self.cell_us - least
        # Cells of other times would have the keys of other lanes.
        held, own = held[(own >= 0) & (own < wide)], own[(own >= 0) & (own < wide)]
        keys = self._pool[0][held] * wide + own
        order = np.argsort(keys)
        at = np.asarray(np.searchsorted(keys, cells, sorter=order), np.int64)
        at[at == len(order)] = 0
        places = np.zeros(len(cells), np.int64)
        new = np.arange(len(cells))
        if len(order):
            places[:] = held[order[at]]
            new = np.flatnonzero(keys[order[at]] != cells)
        if len(new):
            places[new] = self._take_places(len(new))
            self._pool[0][places[new]] = cells[new] // wide
            self._pool[1][places[new]] = (cells[new] % wide + least) * self.cell_us
        found: Longs = places[which]
        return found

    def _take_places(self, count: int) -> Longs:
        if len(self._free) < count:
            room = len(self._pool[0])
            more = max(16, room, count)
            self._pool = tuple(
                np.concatenate(parts)
                for parts in zip(self._pool, self._places(more), strict=True)
            )
            self._free = np.concatenate((self._free, np.arange(room, room + more)))
        taken, self._free = self._free[:count], self._free[count:]
        return taken

    def _again(self, pool: Longs, place_in: Longs) -> npt.NDArray[np.bool_] | None:
        """Which frames came before, in the pool or among themselves; the first stays."""
        again: npt.NDArray[np.bool_] = self._pool[2][pool, place_in] != EMPTY
        key = pool * self.slots + place_in
        if np.bincount(key).max() > 1:
            _, first = np.unique(key, return_index=True)
            later = np.ones(len(key), np.bool_)
            later[first] = False
            again |= later
        return again if again.any() else None

    def _close(self) -> Closed | None:
        lane, start = self._pool[:2]
        # Of a free place the last lane is looked at, and left out.
        limit = self.newest_us[lane] - self.lateness_us - self.cell_us
        return self._closed(np.flatnonzero((lane != NOWHERE) & (start <= limit)))

    def _closed(self, places: npt.NDArray[np.intp]) -> Closed | None:
        if not len(places):
            return None
        lane, start = self._pool[0][places], self._pool[1][places]
        order = np.lexsort((start, lane))
        places, lane, start = places[order], lane[order], start[order]
        _, _, *parts = self._pool
        status, quality, values = (part[places] for part in parts)
        end = start + self.cell_us
        rows = fold(start, end, self.period_us, status, quality, values, self._powers)
        self._pool[0][places] = NOWHERE
        parts[0][places] = EMPTY
        parts[1][places] = Quality.BAD_NO_VALUE
        self._free = np.concatenate((self._free, places))
        np.maximum.at(self.closed_us, lane, end)
        return Closed(lane, rows, status, quality, values)

    def to_snapshot(self) -> tuple[bytes, ...]:
        """Times of all lanes, then the cells that are open."""
        places = np.flatnonzero(self._pool[0] != NOWHERE)
        return (
            *(
                each.tobytes()
                for each in (self.newest_us, self.closed_us, self.first_us)
            ),
            *(part[places].tobytes() for part in self._pool),
        )

    def restore(self, snapshot: tuple[bytes, ...]) -> None:
        """Be as when the snapshot was taken."""
        self.newest_us, self.closed_us, self.first_us = (
            np.frombuffer(part, np.int64).copy() for part in snapshot[:3]
        )
        count = len(snapshot[3]) // 8
        self._pool = tuple(
            np.frombuffer(part, own.dtype).reshape((count, *own.shape[1:])).copy()
            for part, own in zip(snapshot[3:], self._pool, strict=True)
        )
        self._free = np.empty(0, np.int64)


def _running(slots: Longs, begins: npt.NDArray[np.bool_]) -> Longs:
    """The greatest earlier slot of the same run; the least possible for the first."""
    least = int(slots.min()) - 1
    relative = slots - least
    wide = int(relative.max()) + 1
    run = np.cumsum(begins) - 1
    if wide * (int(run[-1]) + 1) >= 1 << 62:
        return _running_slowly(slots, begins, least)
    greatest = np.maximum.accumulate(run * wide + relative) - run * wide + least
    before = np.empty_like(slots)
    before[1:] = greatest[:-1]
    before[begins] = least
    return before


def _running_slowly(slots: Longs, begins: npt.NDArray[np.bool_], least: int) -> Longs:
    before = np.empty_like(slots)
    greatest = least
    for place, (slot, begin) in enumerate(zip(slots.tolist(), begins, strict=True)):
        greatest = least if begin else greatest
        before[place] = greatest
        greatest = max(greatest, slot)
    return before
