"""All lanes of one layout and period: frames in, closed cells, windows and records out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import gcd
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from transforms.calendar import Calendar
from transforms.codec.frame import FrameSchema
from transforms.codec.records import Event, LedgerHour
from transforms.codec.window import WindowSchema
from transforms.ledger import HOUR_US
from transforms.model.quality import Quality
from transforms.over_time import OverTime, OverTimeRules, mark_clock
from transforms.sequence import EMPTY, Failing
from transforms.sequence import Sequence as SlotSequence
from transforms.snapshot import fields_of
from transforms.windows.cells import NOWHERE, Cells, Closed, Slots
from transforms.windows.fold import fold
from transforms.windows.level import Level
from transforms.windows.rows import Rows, codes_of, merge, move, worsen

__all__ = ["Bay", "BayOut", "WindowRules", "Windows", "ladder"]

Longs = npt.NDArray[np.int64]

MINUTE_US = 60_000_000
# What is looked at as a whole, and what demand and energy are made of.
_OWN_LENGTHS_US = (10_000_000, MINUTE_US)
# All zones in use keep to the bounds of such cells.
_LONGEST_CELL_US = MINUTE_US
_MOST_SLOTS = 1200


@dataclass(frozen=True, kw_only=True)
class WindowRules:
    """How windows are made.

    ``lengths_us`` are told. A frame that comes ``lateness_us`` behind its lane's newest
    is late; one that comes ``correction_us`` later still is not in the windows any more.
    """

    calendar: Calendar
    lengths_us: tuple[int, ...]
    lateness_us: int = 2_000_000
    correction_us: int = 60_000_000
    over_time: OverTimeRules = field(default_factory=OverTimeRules)


class Windows(NamedTuple):
    """Windows of one length that are told, ``n`` of them."""

    length_us: int
    lanes: Longs
    rows: Rows
    due: Longs
    code: npt.NDArray[np.uint8]  # (n, readings)
    revision: list[int]


@dataclass(slots=True)
class BayOut:
    """What a batch of frames came to.

    ``minutes`` are rows of minutes, and whether they correct what was told before.
    Among ``records``, where they belong in time, stand runs of failed slots that go on.
    """

    cells: list[Closed] = field(default_factory=list)
    minutes: list[tuple[Longs, Rows, bool]] = field(default_factory=list)
    windows: list[Windows] = field(default_factory=list)
    records: list[Event | LedgerHour | Failing] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


def ladder(
    lengths_us: Sequence[int], period_us: int
) -> tuple[int, list[tuple[int, int]]]:
    """The cell, and the lengths that a period can be counted in.

    Each stands with the length that it is built from: the longest shorter one that
    divides it, 0 for the cells themselves. The cell is what all lengths are multiples
    of; where that is long, or holds very many slots, it is the period.

    >>> ladder([60_000_000, 900_000_000], 10_000_000)
    (60000000, [(60000000, 0), (900000000, 60000000)])
    """
    fitting = [each for each in sorted(set(lengths_us)) if each % period_us == 0]
    cell = gcd(*fitting)
    if not 0 < cell <= _LONGEST_CELL_US or cell // period_us > _MOST_SLOTS:
        cell = period_us
    return cell, _ladder(fitting)


def _ladder(lengths_us: Sequence[int]) -> list[tuple[int, int]]:
    steps: list[tuple[int, int]] = []
    for length in lengths_us:
        finer = [each for each, _ in steps if length % each == 0]
        steps.append((length, finer[-1] if finer else 0))
    return steps


class Bay:
    """The lanes of one layout and period; a lane is one group of one asset.

    ``take`` gives what frames came to; the same whatever way they are cut in batches.
    """

    VERSION = 1

    def __init__(
        self,
        schema: FrameSchema,
        period_us: int,
        rules: WindowRules,
        *,
        may_freeze: npt.NDArray[np.bool_],
    ) -> None:
        self.schema = schema
        self.period_us = period_us
        self.windows = WindowSchema(schema)
        self.assets: list[str] = []
        self.sequences: list[SlotSequence] = []
        self.lane_of: dict[str, int] = {}
        # Lanes that went on elsewhere, for others to come.
        self.free: list[int] = []
        # Lanes whose cells somebody looks at, whatever they are; the shard says which.
        self.attention = np.empty(0, np.bool_)
        self.watched_by_some = False
        # Runs of failed slots that are longer than this are said while they go on.
        self.failing_us: int | None = None
        # Of each lane and reading the values between which no alert is raised.
        self.limits: npt.NDArray[np.float64] | None = None
        self._rules = rules
        self._told = frozenset(rules.lengths_us)
        names = schema.names
        powers = tuple(
            names.index(name) if name in names else None
            for name in ("realPower", "reactivePower")
        )
        cell, steps = ladder((*rules.lengths_us, *_OWN_LENGTHS_US), period_us)
        self._powers = powers[0], powers[1]
        self.cells = Cells(
            period_us=period_us,
            cell_us=cell,
            lateness_us=rules.lateness_us,
            readings=len(names),
            dtype=np.float64 if self.windows.value_type == "double" else np.float32,
            powers=self._powers,
        )
        self._steps = steps
        self._levels = {
            length: Level(length, len(names), rules.calendar) for length, _ in steps
        }
        self._over_time = OverTime(
            names,
            schema.group,
            rules.over_time,
            period_us=period_us,
            may_freeze=may_freeze,
        )
        # All slots before this were answered since the sequence looked last.
        self._answered_us: Longs = np.empty(0, np.int64)
        # Times in which the host's clock was wrong: from, and until or None.
        self.clock_off: list[tuple[int, int | None]] = []
        # Instants at which a lane's values began to mean something else.
        self.splits: dict[int, list[int]] = {}
        self._hour_us: Longs = np.empty(0, np.int64)
        # Windows before this were told by another bay.
        self._since_us: Longs = np.empty(0, np.int64)

    # -- lanes -----------------------------------------------------------------------

    def lane(self, asset: str, sequence: SlotSequence) -> int:
        """A new lane; its sequence may have a past."""
        if self.free:
            lane = self.free.pop()
            self._reset(lane)
            self.assets[lane], self.sequences[lane] = asset, sequence
        else:
            lane = len(self.assets)
            self.assets.append(asset)
            self.sequences.append(sequence)
        self.lane_of[asset] = lane
        if lane >= len(self.cells):
            self._grow(max(16, 2 * lane))
        if sequence.next_us is not None:
            since = sequence.next_us // self.cells.cell_us * self.cells.cell_us
            self._since_us[lane] = self.cells.closed_us[lane] = since
        return lane

    def give_up(self, lane: int) -> None:
        """The lane goes on elsewhere, and all that it had was taken out."""
        asset = self.assets[lane]
        del self.lane_of[asset]
        # The sequence went along.
        self.sequences[lane] = SlotSequence(asset, self.schema.group, self.period_us)
        self.attention[lane] = False
        self.splits.pop(lane, None)
        self.free.append(lane)

    def _reset(self, lane: int) -> None:
        """As if nothing had ever come of it."""
        self.cells.reset(lane)
        self._over_time.reset(lane)
        for level in self._levels.values():
            level.release(lane)
            level.kept.pop(lane, None)
        for times in (self._answered_us, self._hour_us, self._since_us):
            times[lane] = NOWHERE

    def _grow(self, room: int) -> None:
        self.cells.grow(room)
        self._over_time.grow(room)
        for level in self._levels.values():
            level.grow(room)
        more = np.full(room - len(self._answered_us), NOWHERE, np.int64)
        self._answered_us = np.concatenate((self._answered_us, more))
        self._hour_us = np.concatenate((self._hour_us, more))
        self._since_us = np.concatenate((self._since_us, more))
        self.attention = np.concatenate((self.attention, np.zeros(len(more), np.bool_)))

    def limit(self, lane: int, low: Sequence[float], high: Sequence[float]) -> None:
        """Cells with a value beyond these want to be looked at."""
        if self.limits is None and not np.isfinite((low, high)).any():
            return
        room = len(self.cells)
        if self.limits is None or len(self.limits) < room:
            more = np.empty((room, 2, len(low)))
            more[:, 0], more[:, 1] = -np.inf, np.inf
            if self.limits is not None:
                more[: len(self.limits)] = self.limits
            self.limits = more
        self.limits[lane] = low, high

    def beyond_limits(self, closed: Closed) -> npt.NDArray[np.bool_]:
        """Which cells have such a value."""
        assert self.limits is not None
        low, high = self.limits[closed.lane, 0], self.limits[closed.lane, 1]
        beyond = (closed.rows["low"] < low) | (closed.rows["high"] > high)
        return np.asarray(beyond.any(axis=1))

    # -- frames ----------------------------------------------------------------------

    def take(self, new: Slots) -> BayOut:
        """Take frames in the order of their arrival."""
        out = BayOut()
        if (new.status == EMPTY).any():
            # No status has this number: here it stands for no frame.
            new = new._replace(status=np.minimum(new.status, EMPTY - 1))
        late = self.cells.late(new.lane, new.slot_us)
        late |= new.slot_us < self._since_us[new.lane]
        out.counts["reordered"] += int(
            (self.cells.behind(new.lane, new.slot_us) & ~late).sum()
        )
        at = 0
        for place in [*np.flatnonzero(late).tolist(), len(late)]:
            if place > at:
                self._in_time(new.take(slice(at, place)), out)
            if place < len(late):
                self._late(new.take(slice(place, place + 1)), out)
            at = place + 1
        return out

    def finish(self, lane: int, until_us: int | None = None) -> BayOut:
        """Tell all that is open of a lane: a replay ends, or another layout follows.

        Slots are due up to ``until_us``, or up to the last frame.
        """
        out = BayOut()
        lanes = np.array([lane])
        end = until_us or int(self.cells.newest_us[lane]) + self.period_us
        self._close(lane, end, out)
        for length, _ in self._steps:
            row = self._levels[length].release(lane)
            if row is not None:
                self._over(length, lanes, row, out, limit_us=end)
        if until_us is None:
            out.records += self.sequences[lane].finish()
        return out

    def leave(self, lane: int, until_us: int) -> tuple[BayOut, dict[int, Rows]]:
        """A lane goes on with another period: its open windows, to be taken along.

        Its slots are due up to ``until_us``; what ended by then is told.
        """
        out = BayOut()
        self._close(lane, until_us, out)
        self._settle(lane, until_us, out)
        held: dict[int, Rows] = {}
        whole: dict[int, Rows] = {}
        for length, below in self._steps:
            level = self._levels[length]
            row = level.release(lane)
            if row is None:
                row = level.holding(until_us)
            whole[length] = row.copy()
            if below:
                merge(whole[length], whole[below])
            due = self._due(np.array([lane]), row, until_us)
            move(row, whole[length], due, self.period_us)
            held[length] = row
        return out, held

    def join(self, lane: int, held: dict[int, Rows]) -> BayOut:
        """Go on with open windows; those that cannot be made here are told."""
        out = BayOut()
        lanes = np.array([lane])
        finer = dict(_ladder(sorted(held)))
        for length in sorted(held):
            row, below = held[length].copy(), finer[length]
            # What a finer window still has comes up from it, where that goes on too.
            while below and not (length in self._levels and below in self._levels):
                merge(row, held[below])
                below = finer[below]
            if length in self._levels:
                self._levels[length].open[lane] = row[0]
            elif row["seen"][0]:
                self._tell(length, lanes, row, out, limit_us=0)
        return out

    def end_over_time(self, lane: int, at_us: int) -> list[Event]:
        """A lane goes on elsewhere: what only time shows begins anew there."""
        return self._over_time.end(lane, self.assets[lane], at_us)

    def _close(self, lane: int, until_us: int, out: BayOut) -> None:
        closed = self.cells.finish(lane)
        if closed is not None:
            self._closed(closed, out, until_us)
        self._sync(lane, out)

    def _in_time(self, new: Slots, out: BayOut) -> None:
        again, closed = self.cells.add(new)
        if again is not None:
            out.counts["duplicate"] += int(again.sum())
            out.records += [
                self._duplicate(int(lane), int(slot))
                for lane, slot in zip(new.lane[again], new.slot_us[again], strict=True)
            ]
        if closed is not None:
            self._closed(closed, out)

    def _late(self, new: Slots, out: BayOut) -> None:
        lane, slot = int(new.lane[0]), int(new.slot_us[0])
        self._sync(lane, out)
        arrived = self.sequences[lane].late(slot, int(new.status[0]))
        out.counts[arrived.kind] += 1
        out.records += arrived.out
        if arrived.kind == "duplicate":
            out.records.append(self._duplicate(lane, slot))
            return
        self._goes_on_after(self.sequences[lane], lane)
        out.records.append(self._late_event(lane, slot, arrived.kind))
        start = slot // self.cells.cell_us * self.cells.cell_us
        end = start + self.cells.cell_us
        if end <= max(self._beyond(lane), int(self._since_us[lane])):
            return
        row = fold(
            new.slot_us, new.slot_us + self.period_us, self.period_us,
            new.status[:, None], new.quality[:, None], new.values[:, None],
            self._powers,
        )  # fmt: skip
        row["start"], row["end"] = start, end
        for since_us, until_us in self.clock_off:
            mark_clock(row, since_us, until_us)
        first = int(self.cells.first_us[lane])
        self.cells.first_us[lane] = min(first, slot)
        closed_us = int(self.cells.closed_us[lane])
        if start >= closed_us:
            # All that is closed lies before it: it is a closed cell like others.
            self.cells.closed_us[lane] = end
            self._climb(0, new.lane, row, out)
        else:
            self._settle(lane, closed_us, out)
            self._amend(lane, row, closed_us, out)
        if slot < first:
            self._first_moved(lane, slot, first, out)

    def _amend(self, lane: int, row: Rows, closed_us: int, out: BayOut) -> None:
        """A late row to the windows of every length."""
        lanes = np.array([lane])
        goes_on: set[int] = set()
        for length, below in self._steps:
            if below in goes_on:
                # It comes up once the finer window is closed.
                goes_on.add(length)
                continue
            found = self._levels[length].amend(lane, row, closed_us)
            if found is None:
                goes_on.add(length)
                self._merge(length, lanes, row, out)
            else:
                self._tell(length, lanes, found[0], out, revision=found[1])

    def _first_moved(self, lane: int, slot: int, before: int, out: BayOut) -> None:
        """Slots are due from an earlier one on: told windows of the former first."""
        closed_us = int(self.cells.closed_us[lane])
        for length, _ in self._steps:
            level = self._levels[length]
            nothing = level.holding(before)
            if nothing["start"][0] <= slot or before >= closed_us:
                continue
            found = level.amend(lane, nothing, closed_us)
            if found is not None:
                self._tell(length, np.array([lane]), found[0], out, revision=found[1])

    def _settle(self, lane: int, closed_us: int, out: BayOut) -> None:
        """Close the windows that are over, though no row reached their end."""
        lanes = np.array([lane])
        for length, _ in self._steps:
            row = self._levels[length].over(lane, closed_us)
            if row is not None:
                self._over(length, lanes, row, out)

    def _beyond(self, lanes: Any) -> Any:
        """What ended by then is not corrected any more."""
        reach = self._rules.lateness_us + self._rules.correction_us
        return self.cells.newest_us[lanes] - reach

    # -- cells and windows -----------------------------------------------------------

    def _closed(self, closed: Closed, out: BayOut, until_us: int | None = None) -> None:
        out.records += self._over_time.judge(closed.lane, closed.rows, self.assets)
        for start_us, end_us in self.clock_off:
            mark_clock(closed.rows, start_us, end_us)
        if self.splits:
            self._mark_splits(closed)
        self._count(closed, out)
        out.cells.append(closed)
        if until_us is not None:
            # A cell that is cut short does not reach the end of its windows.
            closed.rows["end"] = np.minimum(closed.rows["end"], until_us)
        self._climb(0, closed.lane, closed.rows, out)

    def _mark_splits(self, closed: Closed) -> None:
        """What holds values of two scales is one of neither."""
        rows = closed.rows
        for lane in np.unique(closed.lane).tolist():
            for at_us in self.splits.get(lane, ()):
                mixed = (closed.lane == lane) & (rows["start"] < at_us)
                mixed &= rows["end"] > at_us
                worsen(rows, mixed[:, np.newaxis], Quality.UNCERTAIN_INCONSISTENT)
            closed_us = int(self.cells.closed_us[lane])
            ahead = [at_us for at_us in self.splits.get(lane, ()) if at_us >= closed_us]
            self.splits[lane] = ahead
        self.splits = {lane: own for lane, own in self.splits.items() if own}

    def _climb(
        self, finer: int, lanes: Longs, rows: Rows, out: BayOut, *,
        limit_us: int | None = None,
    ) -> None:  # fmt: skip
        """Rows of one length to those that are built from it, and further up."""
        for length, below in self._steps:
            if below == finer:
                self._merge(length, lanes, rows, out, limit_us=limit_us)

    def _merge(
        self, length: int, lanes: Longs, rows: Rows, out: BayOut, *,
        limit_us: int | None = None,
    ) -> None:  # fmt: skip
        over, done = self._levels[length].take(lanes, rows)
        if len(over):
            self._over(length, over, done, out, limit_us=limit_us)

    def _over(
        self, length: int, lanes: Longs, rows: Rows, out: BayOut, *,
        limit_us: int | None = None,
    ) -> None:  # fmt: skip
        """Windows that closed: they are kept for a while, told, and go further up."""
        before = self._beyond(lanes) - self.cells.cell_us
        self._levels[length].keep(lanes, rows, before)
        self._tell(length, lanes, rows, out, limit_us=limit_us)
        self._climb(length, lanes, rows, out, limit_us=limit_us)

    def _tell(
        self, length: int, lanes: Longs, rows: Rows, out: BayOut, *,
        revision: int = 0, limit_us: int | None = None,
    ) -> None:  # fmt: skip
        if length == MINUTE_US:
            out.minutes.append((lanes, rows, revision > 0))
        if length not in self._told:
            return
        due = self._due(lanes, rows, limit_us)
        code = codes_of(rows, due, self.period_us)
        out.windows.append(
            Windows(length, lanes, rows, due, code, [revision] * len(lanes))
        )

    def _due(self, lanes: Longs, rows: Rows, limit_us: int | None) -> Longs:
        """Slots of the rows' time from the lane's first frame on."""
        first = np.maximum(rows["start"], self.cells.first_us[lanes])
        end = rows["end"] if limit_us is None else np.minimum(rows["end"], limit_us)
        slots: Longs = -(-end // self.period_us) + -first // self.period_us
        return np.asarray(rows["due_before"] + np.maximum(slots, 0))

    # -- the ledger ------------------------------------------------------------------

    def _count(self, closed: Closed, out: BayOut) -> None:
        """Slots of closed cells to the sequence: at once where all went well."""
        lanes, start, end = closed.lane, closed.rows["start"], closed.rows["end"]
        before = np.empty_like(end)
        before[1:] = end[:-1]
        leads = np.ones(len(lanes), np.bool_)
        leads[1:] = lanes[1:] != lanes[:-1]
        before[leads] = self._answered_us[lanes[leads]]
        simple = (closed.rows["good"] == self.cells.slots) & (before == start)
        simple &= end <= self._hour_us[lanes]
        if not simple.all():
            troubled = np.isin(lanes, lanes[~simple])
            self._count_each(closed, np.flatnonzero(troubled), out)
            lanes, end = lanes[~troubled], end[~troubled]
        # Of several cells of a lane the last one stays.
        self._answered_us[lanes] = end

    def _count_each(
        self, closed: Closed, places: npt.NDArray[np.intp], out: BayOut
    ) -> None:
        """The same, cell by cell, where something was not answered or an hour ends."""
        for place in places.tolist():
            lane = int(closed.lane[place])
            start, end = (
                int(closed.rows["start"][place]),
                int(closed.rows["end"][place]),
            )
            good = int(closed.rows["good"][place])
            on_time = self._answered_us[lane] == start and end <= self._hour_us[lane]
            if on_time and good == self.cells.slots:
                self._answered_us[lane] = end
                continue
            self._sync(lane, out)
            sequence = self.sequences[lane]
            out.records += sequence.slots(start, closed.status[place].tobytes())
            self._goes_on_after(sequence, lane)
            if self.failing_us is not None:
                run = sequence.failing_for(self.failing_us)
                out.records += [] if run is None else [run]

    def _goes_on_after(self, sequence: SlotSequence, lane: int) -> None:
        """Where slots that are all answered may be counted at once from."""
        assert sequence.next_us is not None
        self._answered_us[lane] = sequence.next_us
        # Up to the hour's last slot nothing has to be told, and with the first one that
        # is answered a run of failed ones.
        hour = (sequence.next_us // HOUR_US + 1) * HOUR_US
        self._hour_us[lane] = NOWHERE if sequence.failing else hour - self.period_us

    def _sync(self, lane: int, out: BayOut) -> None:
        sequence = self.sequences[lane]
        if sequence.next_us is not None and self._answered_us[lane] > sequence.next_us:
            out.records += sequence.answered(int(self._answered_us[lane]))

    def _duplicate(self, lane: int, slot: int) -> Event:
        return Event(
            asset=self.assets[lane],
            kind="duplicate",
            time=slot,
            group=self.schema.group,
            text="the frame of this slot came more than once",
        )

    def _late_event(self, lane: int, slot: int, kind: str) -> Event:
        return Event(
            asset=self.assets[lane],
            kind="late",
            time=slot,
            group=self.schema.group,
            text="the frame came when its windows were told"
            if kind == "late"
            else "the frame came when the ledger of its hour was forgotten",
            data={"kept": "yes" if kind == "late" else "no"},
        )

    # -- snapshots -------------------------------------------------------------------

    def to_snapshot(self) -> tuple[Any, ...]:
        """The state as plain tuples, version first."""
        levels = tuple(
            (length, self._levels[length].to_snapshot()) for length, _ in self._steps
        )
        return (
            self.VERSION, self.cells.cell_us, tuple(self.assets),
            tuple(sequence.to_snapshot() for sequence in self.sequences),
            self.cells.to_snapshot(), levels, self._over_time.to_snapshot(),
            self._answered_us.tobytes(), self._hour_us.tobytes(),
            self._since_us.tobytes(),
            tuple((lane, tuple(own)) for lane, own in self.splits.items()),
            tuple(self.free),
        )  # fmt: skip

    def restore(self, snapshot: tuple[Any, ...]) -> None:
        """Be as when the snapshot was taken; ValueError for what is not known.

        Windows of lengths that are no longer made are dropped, new ones begin empty.
        ValueError too where others were built from those, or cells had another length.
        """
        (
            cell_us, assets, sequences, cells, levels, over_time, *times, splits, free,
        ) = fields_of(snapshot, self.VERSION, "a snapshot of windows")  # fmt: skip
        kept = dict(levels)
        if cell_us != self.cells.cell_us or any(
            length in self._levels and below and below not in self._levels
            for length, below in _ladder(sorted(kept))
        ):
            raise ValueError("a snapshot of windows of other lengths is not known")
        self.assets = list(assets)
        self.sequences = [SlotSequence.from_snapshot(each) for each in sequences]
        self.cells.restore(cells)
        room = len(self.cells)
        self.attention = np.zeros(room, np.bool_)
        for length, level in self._levels.items():
            if length in kept:
                level.restore(kept[length])
            else:
                level.grow(room)
        self._over_time.restore(over_time)
        self._answered_us, self._hour_us, self._since_us = (
            np.frombuffer(part, np.int64).copy() for part in times
        )
        self.splits = {lane: list(own) for lane, own in splits}
        self.free = list(free)
