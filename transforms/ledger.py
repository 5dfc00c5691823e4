"""The ledger: every slot that was due is good, failed (by status) or missing. Pure.

What is due follows from the frames alone. In the order of their slots, frames of one
period make a segment; each slot of its grid from its first frame on is due, up to the
first frame of the next segment (a change of period) or the segment's own last frame.
A range widens this to all slots from its start and up to its end. A frame whose (slot,
period) came before is a duplicate: it is counted as such and changes nothing else. The
order of arrival makes no difference, as long as duplicates agree.

``LedgerMachine`` takes frames one by one and keeps what is small; ``ledger_of`` takes
arrays of millions. They give the same hours.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from transforms.codec.records import LedgerHour
from transforms.model.quality import Status
from transforms.snapshot import fields_of

__all__ = [
    "HOUR_US",
    "Hour",
    "Ledger",
    "LedgerMachine",
    "Segment",
    "ledger_hour",
    "ledger_hours",
    "ledger_of",
    "status_label",
]

HOUR_US = 3_600_000_000

Longs = npt.NDArray[np.int64]


class Segment(NamedTuple):
    """Due slots: those of the grid of ``period_us`` in [``start_us``, ``end_us``)."""

    start_us: int
    end_us: int
    period_us: int

    def due(self, start_us: int, end_us: int) -> int:
        """How many of them lie in [``start_us``, ``end_us``)."""
        start, end = max(start_us, self.start_us), min(end_us, self.end_us)
        return max(0, -(-end // self.period_us) + -start // self.period_us)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hour:
    """Sums of an hour or of more: ``due == good + sum(failed) + missing``.

    ``failed`` has the statuses that occurred, by their number; partial is one of them.
    """

    due: int = 0
    failed: Mapping[int, int] = field(default_factory=dict)
    good: int = 0

    @property
    def missing(self) -> int:
        """Due slots of which nothing is known."""
        return self.due - self.good - sum(self.failed.values())

    def __add__(self, other: Hour) -> Hour:
        """The sums of both."""
        statuses = sorted({*self.failed, *other.failed})
        return Hour(
            due=self.due + other.due,
            good=self.good + other.good,
            failed={
                s: self.failed.get(s, 0) + other.failed.get(s, 0) for s in statuses
            },
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """One group of one asset: its hours by their start (UTC), in order."""

    hours: Mapping[int, Hour]
    duplicates: int = 0

    @property
    def total(self) -> Hour:
        """The sums of all hours."""
        return sum(self.hours.values(), Hour())


def ledger_of(
    seq: Longs,
    period_us: Longs,
    status: npt.NDArray[np.integer[Any]],
    *,
    start_us: int | None = None,
    end_us: int | None = None,
    period_expected_us: int | None = None,
) -> Ledger:
    """The ledger of one group of one asset, from its frames in the order of the log.

    Frames outside [``start_us``, ``end_us``) do not count. Where no frame is left, the
    whole range is due by ``period_expected_us``, if all three are given.
    """
    slot = seq * period_us
    inside = np.ones(len(slot), np.bool_)
    if start_us is not None:
        inside &= slot >= start_us
    if end_us is not None:
        inside &= slot < end_us
    slot, period, status = slot[inside], period_us[inside], status[inside]
    if not len(slot):
        return _nothing_seen(start_us, end_us, period_expected_us)
    order = np.lexsort((period, slot))  # stable: of duplicates the first stays first
    slot, period, status = slot[order], period[order], status[order]
    first = np.ones(len(slot), np.bool_)
    first[1:] = (np.diff(slot) != 0) | (np.diff(period) != 0)
    duplicates = len(slot) - int(first.sum())
    slot, period, status = slot[first], period[first], status[first]
    starts = np.flatnonzero(np.diff(period, prepend=period[0] + 1))
    ends = np.append(starts[1:], len(slot)) - 1
    runs = [
        (int(slot[a]), int(slot[b]), int(period[a]))
        for a, b in zip(starts, ends, strict=True)
    ]
    hour, place = np.unique(slot // HOUR_US, return_inverse=True)
    counts = np.zeros((len(hour), 256), np.int64)
    np.add.at(counts, (place, status), 1)
    seen = {
        int(h) * HOUR_US: {int(s): int(row[s]) for s in np.flatnonzero(row)}
        for h, row in zip(hour, counts, strict=True)
    }
    return _ledger(_segments(runs, start_us, end_us), seen, duplicates)


class LedgerMachine:
    """The ledger of one group of one asset, frame by frame, in any order.

    It keeps one run per unbroken stretch of frames and the counts of each hour, so its
    size follows the holes and the hours, not the frames.
    """

    VERSION = 1

    def __init__(self) -> None:
        # Runs do not overlap in the order of (slot, period): (start, end, period).
        self._runs: list[tuple[int, int, int]] = []
        self._seen: dict[int, dict[int, int]] = {}
        self._duplicates = 0

    def add(self, seq: int, period_us: int, status: int) -> None:
        """Take a frame."""
        slot = seq * period_us
        place = bisect_right(self._runs, (slot, period_us), key=_start) - 1
        if place >= 0 and self._runs[place][2] == period_us:
            if slot <= self._runs[place][1]:
                self._duplicates += 1
                return
        elif place >= 0:
            self._split(place, slot, period_us)
        self._insert(place + 1, slot, period_us)
        hour = self._seen.setdefault(slot // HOUR_US * HOUR_US, {})
        hour[status] = hour.get(status, 0) + 1

    def ledger(
        self, *, start_us: int | None = None, end_us: int | None = None
    ) -> Ledger:
        """What is known now; all frames must lie in the range where one is given."""
        if not self._runs:
            return _nothing_seen(start_us, end_us, None)
        segments = _segments(self._runs, start_us, end_us)
        return _ledger(segments, self._seen, self._duplicates)

    def to_snapshot(self) -> tuple[Any, ...]:
        """The state as plain tuples, version first."""
        seen = tuple(
            (hour, tuple(sorted(counts.items())))
            for hour, counts in sorted(self._seen.items())
        )
        return (self.VERSION, tuple(self._runs), seen, self._duplicates)

    @classmethod
    def from_snapshot(cls, snapshot: tuple[Any, ...]) -> LedgerMachine:
        """The machine as it was."""
        runs, seen, duplicates = fields_of(snapshot, cls.VERSION, "a ledger snapshot")
        machine = cls()
        machine._runs = list(runs)
        machine._seen = {hour: dict(counts) for hour, counts in seen}
        machine._duplicates = duplicates
        return machine

    def _split(self, place: int, slot: int, period_us: int) -> None:
        """Make room inside a run of another period, where the frame falls into one."""
        start, end, other = self._runs[place]
        if (end, other) < (slot, period_us):
            return
        # The first slot of the run that comes after (slot, period) in the order.
        after = -(-slot // other) * other
        if (after, other) < (slot, period_us):
            after += other
        self._runs[place] = (start, after - other, other)
        self._runs.insert(place + 1, (after, end, other))

    def _insert(self, place: int, slot: int, period_us: int) -> None:
        start = end = slot
        if place < len(self._runs) and self._runs[place] == (
            slot + period_us,
            self._runs[place][1],
            period_us,
        ):
            end = self._runs.pop(place)[1]
        if place and self._runs[place - 1][1:] == (slot - period_us, period_us):
            start = self._runs.pop(place - 1)[0]
            place -= 1
        self._runs.insert(place, (start, end, period_us))


def ledger_hours(asset: str, group: str, ledger: Ledger) -> Iterator[LedgerHour]:
    """The ledger as records."""
    for start_us, hour in ledger.hours.items():
        yield ledger_hour(asset, group, start_us, hour)


def ledger_hour(
    asset: str, group: str, start_us: int, hour: Hour, revision: int = 0
) -> LedgerHour:
    """One hour as a record."""
    return LedgerHour(
        asset=asset,
        group=group,
        hour=start_us,
        due=hour.due,
        good=hour.good,
        failed={status_label(s): n for s, n in hour.failed.items()},
        missing=hour.missing,
        revision=revision,
    )


def status_label(status: int) -> str:
    """The word of a status, ``status_<n>`` for one that is newer than this program."""
    try:
        return Status(status).label
    except ValueError:
        return f"status_{status}"


def _start(run: tuple[int, int, int]) -> tuple[int, int]:
    return run[0], run[2]


def _segments(
    runs: list[tuple[int, int, int]], start_us: int | None, end_us: int | None
) -> list[Segment]:
    """Runs in the order of (slot, period) to the slots that are due."""
    merged: list[list[int]] = []
    for start, end, period in runs:
        if merged and merged[-1][2] == period:
            merged[-1][1] = end
        else:
            merged.append([start, end, period])
    segments = []
    for place, (first, last, period) in enumerate(merged):
        start, end = first, last + 1
        if place + 1 < len(merged):
            end = max(end, merged[place + 1][0])
        elif end_us is not None:
            end = end_us
        if place == 0 and start_us is not None:
            start = start_us
        segments.append(Segment(start, end, period))
    return segments


def _nothing_seen(
    start_us: int | None, end_us: int | None, period_us: int | None
) -> Ledger:
    if start_us is None or end_us is None or period_us is None:
        return Ledger(hours={})
    return _ledger([Segment(start_us, end_us, period_us)], {}, 0)


def _ledger(
    segments: list[Segment], seen: Mapping[int, Mapping[int, int]], duplicates: int
) -> Ledger:
    due: dict[int, int] = {}
    for segment in segments:
        hour = segment.start_us // HOUR_US * HOUR_US
        while hour < segment.end_us:
            due[hour] = due.get(hour, 0) + segment.due(hour, hour + HOUR_US)
            hour += HOUR_US
    hours = {}
    for hour in sorted(due):
        if not due[hour]:
            continue
        counts = dict(sorted(seen.get(hour, {}).items()))
        good = counts.pop(Status.OK, 0)
        hours[hour] = Hour(due=due[hour], good=good, failed=counts)
    return Ledger(hours=hours, duplicates=duplicates)
