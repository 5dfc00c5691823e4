"""Windows of one length: rows of a finer length in, rows of this one out."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from transforms.calendar import Calendar
from transforms.windows.rows import Rows, merge, no_rows

__all__ = ["Level", "rounds"]

Longs = npt.NDArray[np.int64]


def rounds(lanes: Longs) -> Iterator[npt.NDArray[np.intp]]:
    """Places in ``lanes`` such that no lane comes twice in a round, in order.

    >>> [places.tolist() for places in rounds(np.array([4, 7, 4, 4]))]
    [[0, 1], [2], [3]]
    """
    count = len(lanes)
    if (lanes[1:] > lanes[:-1]).all():
        if count:
            yield np.arange(count)
        return
    order = np.argsort(lanes, kind="stable")
    ordered = lanes[order]
    begins = np.flatnonzero(np.diff(ordered, prepend=ordered[0] - 1))
    if len(begins) == count:
        yield np.arange(count)
        return
    lengths = np.diff(begins, append=count)
    number = np.arange(count) - np.repeat(begins, lengths)
    for each in range(int(lengths.max())):
        yield np.sort(order[number == each])


class Level:
    """The open window of each lane, and those that closed lately.

    A lane's rows come in the order of time. A window is closed by the first row that
    reaches its end or lies beyond it; a late row is merged by ``amend``.
    """

    def __init__(self, length_us: int, readings: int, calendar: Calendar) -> None:
        self.length_us = length_us
        self.open = no_rows(0, readings)
        self._readings = readings
        self._calendar = calendar
        # Closed windows of each lane, oldest first, by their start: their row, and with
        # which revision it was told.
        self.kept: dict[int, dict[int, tuple[Rows, int]]] = {}

    def grow(self, lanes: int) -> None:
        """Make room for so many lanes."""
        more = no_rows(lanes - len(self.open), self._readings)
        self.open = np.concatenate((self.open, more))

    def take(self, lanes: Longs, rows: Rows) -> tuple[Longs, Rows]:
        """Merge rows, by lane and then by time; the windows that closed, as they came.

        One after the other, so that sums come out the same in whatever batches.
        """
        starts, ends = self._calendar.starts(rows["start"], self.length_us)
        whole = rows["end"] - rows["start"] == ends - starts
        held = self.open["start"][lanes] >= 0
        if whole.all() and not held.any():
            return lanes, rows
        # A run is what belongs to one window of one lane.
        begins = np.ones(len(lanes), np.bool_)
        begins[1:] = (lanes[1:] != lanes[:-1]) | (starts[1:] != starts[:-1])
        first = np.flatnonzero(begins)
        lengths = np.diff(first, append=len(lanes))
        of = lanes[first]
        leads = np.ones(len(first), np.bool_)
        leads[1:] = of[1:] != of[:-1]
        runs = no_rows(len(first), self._readings)
        runs["start"], runs["end"] = starts[first], ends[first]
        past = self._go_on(runs, of, np.flatnonzero(leads & held[first]))
        for step in range(int(lengths.max())):
            more = lengths > step
            if more.all():
                merge(runs, rows[first + step])
            else:
                own = runs[more]
                merge(own, rows[first[more] + step])
                runs[more] = own
        last = np.ones(len(first), np.bool_)
        last[:-1] = leads[1:]
        done = ~last | (rows["end"][first + lengths - 1] >= runs["end"])
        over_lanes, over = of[done], runs[done]
        if len(past):
            # Windows that nothing more came of, before those that followed.
            over_lanes = np.concatenate((past, over_lanes))
            over = np.concatenate((self.open[past], over))
            order = np.argsort(over_lanes, kind="stable")
            over_lanes, over = over_lanes[order], over[order]
        self.open["start"][of] = -1
        self.open[of[~done]] = runs[~done]
        return over_lanes, over

    def _go_on(self, runs: Rows, of: Longs, leads: npt.NDArray[np.intp]) -> Longs:
        """Open windows go on in the run that is theirs; lanes whose are past."""
        if not len(leads):
            return np.empty(0, np.int64)
        held = self.open[of[leads]]
        same = held["start"] == runs["start"][leads]
        runs[leads[same]] = held[same]
        past: Longs = of[leads[~same]]
        return past

    def keep(self, lanes: Longs, closed: Rows, before_us: Longs) -> None:
        """Remember closed windows for rows that come late.

        Those of the same lane that ended by ``before_us`` are forgotten.
        """
        fresh = np.flatnonzero(closed["end"] > before_us)
        if len(fresh) < len(lanes):
            # A backlog brings windows that no late frame may change any more.
            lanes, closed, before_us = lanes[fresh], closed[fresh], before_us[fresh]
        starts, before = closed["start"].tolist(), before_us.tolist()
        for place, lane in enumerate(lanes.tolist()):
            own = self.kept.setdefault(lane, {})
            while own:
                oldest = next(iter(own))
                if own[oldest][0]["end"][0] > before[place]:
                    break
                del own[oldest]
            own[starts[place]] = closed[place : place + 1], 0

    def amend(self, lane: int, row: Rows, closed_us: int) -> tuple[Rows, int] | None:
        """Merge one late row; the closed window that it belongs to and its revision.

        None where that window is still open, or will be: it has to ``take`` the row.
        All before ``closed_us`` is closed, and no window is open that ended by then.
        """
        (start,), (end,) = self._calendar.starts(row["start"], self.length_us)
        own = self.kept.setdefault(lane, {})
        before, told = own.get(int(start), (None, -1))
        if before is not None:
            # What was told stays as it was told.
            closed = before.copy()
        elif end > closed_us:
            return None
        else:
            # Nothing of it had come in time, so it was never told.
            closed = no_rows(1, self._readings)
            closed["start"], closed["end"] = start, end
        merge(closed, row)
        own[int(start)] = closed, told + 1
        return closed, told + 1

    def over(self, lane: int, closed_us: int) -> Rows | None:
        """Take the open window out where it ended by then; None where it did not."""
        over = self.open["end"][lane] <= closed_us
        return self.release(lane) if over else None

    def holding(self, time_us: int) -> Rows:
        """An empty window that holds the instant."""
        row = no_rows(1, self._readings)
        row["start"], row["end"] = self._calendar.window(time_us, self.length_us)
        return row

    def release(self, lane: int) -> Rows | None:
        """Take the open window out; None where there is none."""
        if self.open["start"][lane] < 0:
            return None
        held = self.open[lane : lane + 1].copy()
        self.open[lane : lane + 1] = no_rows(1, self._readings)
        return held

    def to_snapshot(self) -> tuple[bytes, tuple[tuple[int, int, int, bytes], ...]]:
        """Open windows, then the closed ones: lane, start, revision, row."""
        kept = tuple(
            (lane, start, told, row.tobytes())
            for lane, own in self.kept.items()
            for start, (row, told) in own.items()
        )
        return self.open.tobytes(), kept

    def restore(
        self, snapshot: tuple[bytes, tuple[tuple[int, int, int, bytes], ...]]
    ) -> None:
        """Be as when the snapshot was taken."""
        held, kept = snapshot
        kind = self.open.dtype
        self.open = np.frombuffer(held, kind).copy()
        for lane, start, told, row in kept:
            own = self.kept.setdefault(lane, {})
            own[start] = np.frombuffer(row, kind).copy(), told
