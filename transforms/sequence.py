"""The slots of one lane in order: what came, what failed, what is missing, hour by hour.

A lane is one group of one asset; its slots stand on the grid of its period. A run of
failed frames is a gap of known cause, a run of slots without a frame one of unknown
cause. Each gap is told once, when it is over; a late frame that belongs into it gives
the next revision, which has the statuses of those that failed. The hours are those of the ledger: ``due == good + failed + missing``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from transforms.codec.records import Event, LedgerHour, content_id
from transforms.ledger import HOUR_US, Hour, ledger_hour, status_label
from transforms.model.quality import Status
from transforms.snapshot import fields_of

__all__ = ["EMPTY", "KEPT_US", "Arrived", "Failing", "Sequence"]

# Instead of a status: no frame of this slot is known.
EMPTY = 255
# Late frames correct the ledger as far back as a log keeps its records by default.
KEPT_US = 168 * HOUR_US
# Of a longer hole, as of a host that began in 1970, the hours between are not told.
_LONGEST_HOLE_US = 366 * 24 * HOUR_US
_MOST_HOLES = 10_000

Out = list[Event | LedgerHour]


@dataclass(slots=True)
class _Hour:
    due: int = 0
    good: int = 0
    failed: dict[int, int] = field(default_factory=dict)
    told: int = -1
    # Whether something was counted since it was told.
    news: bool = False


@dataclass(slots=True)
class _Gap:
    """Slots without a frame in ``[start, end)``; ``holes`` are those still missing.

    ``failed`` are the statuses of frames that came late and had failed. The grid is that of the period of its time.
    """

    start: int
    end: int
    period_us: int
    holes: list[tuple[int, int]]
    revision: int = 0
    failed: dict[int, int] = field(default_factory=dict)


class Failing(NamedTuple):
    """A run of failed slots that goes on, in ``[start_us, end_us)`` so far."""

    asset: str
    group: str
    start_us: int
    end_us: int


@dataclass(frozen=True, slots=True)
class Arrived:
    """What a late frame was, and the records that it changes."""

    kind: str  # duplicate, late or ancient
    out: Out


class Sequence:
    """What is known of one lane. ``next_us`` is the slot that must come next."""

    VERSION = 2

    def __init__(self, asset: str, group: str, period_us: int) -> None:
        self.asset = asset
        self.group = group
        self.period_us = period_us
        self.next_us: int | None = None
        self._failed: tuple[int, int, tuple[tuple[int, int], ...]] | None = None
        self._gaps: list[_Gap] = []
        self._hours: dict[int, _Hour] = {}
        self._first_us = 0
        self._looked_us = -1

    @property
    def failing(self) -> bool:
        """Whether a run of failed slots is open."""
        return self._failed is not None

    def failing_for(self, least_us: int) -> Failing | None:
        """The open run of failed slots, if it is longer than this."""
        if self._failed is None or self.next_us is None:
            return None
        start = self._failed[0]
        if self.next_us - start <= least_us:
            return None
        return Failing(self.asset, self.group, start, self.next_us)

    def answered(self, until_us: int) -> Out:
        """All slots from the next one on, up to ``until_us``, were answered."""
        assert self.next_us is not None
        start = self.next_us
        if until_us <= start:
            return []
        out = self._end_failed(start)
        while start < until_us:
            hour = start // HOUR_US * HOUR_US
            end = min(until_us, hour + HOUR_US)
            count = -(-(end - start) // self.period_us)
            own = self._hour(hour)
            own.due += count
            own.good += count
            start += count * self.period_us
        self.next_us = start
        return out + self._past_hours()

    def slots(self, start_us: int, statuses: bytes) -> Out:
        """Slots in order from ``start_us`` on; EMPTY where no frame came.

        The sequence begins with the first frame that it is given.
        Slots without a frame behind the last frame are due once another comes.
        """
        out: Out = []
        for place, status in enumerate(statuses):
            if status == EMPTY:
                continue
            slot = start_us + place * self.period_us
            if self.next_us is None:
                self.next_us = self._first_us = slot
            if slot > self.next_us:
                out += self._end_failed(self.next_us)
                out += self._missing(self.next_us, slot)
            out += self._frame(slot, status)
            self.next_us = slot + self.period_us
        return out if self.next_us is None else out + self._past_hours()

    def late(self, slot_us: int, status: int) -> Arrived:
        """A frame of a slot whose cell is closed."""
        if self.next_us is None:
            # The cells of the frames that came before are still open.
            return Arrived("late", self.slots(slot_us, bytes([status])))
        if slot_us < self.next_us - KEPT_US:
            return Arrived("ancient", [])
        if slot_us >= self.next_us:
            # Behind the last frame of a cell that closed: nobody counted it yet.
            return Arrived("late", self.slots(slot_us, bytes([status])))
        if slot_us < self._first_us:
            return Arrived("late", self._before_first(slot_us, status))
        for gap in self._gaps:
            # After a change of period the ends of two gaps may overlap.
            if gap.start <= slot_us < gap.end and _fill(gap, slot_us):
                return Arrived("late", self._filled(gap, slot_us, status))
        return Arrived("duplicate", [])

    def finish(self) -> Out:
        """The end of a replay: tell what is open."""
        out: Out = []
        if self.next_us is not None:
            out += self._end_failed(self.next_us)
        for start, hour in self._hours.items():
            if hour.news:
                out += self._tell(start)
        return out

    def change_period(self, period_us: int, from_us: int) -> Out:
        """Another grid from ``from_us`` on; slots of the old one are due until then."""
        out: Out = []
        if self.next_us is not None and from_us > self.next_us:
            out += self._end_failed(self.next_us)
            out += self._missing(self.next_us, from_us)
        if self.next_us is not None:
            self.next_us = from_us
        out.append(
            Event(
                asset=self.asset,
                kind="sequence_restart",
                time=from_us,
                group=self.group,
                text="the numbering of slots begins anew with another period",
                data={
                    "period_seconds": f"{period_us / 1e6:g}",
                    "period_seconds_before": f"{self.period_us / 1e6:g}",
                },
            )
        )
        self.period_us = period_us
        return out if self.next_us is None else out + self._past_hours()

    def to_snapshot(self) -> tuple[Any, ...]:
        """The state as plain tuples, version first."""
        gaps = tuple(
            (
                gap.start, gap.end, gap.period_us, tuple(gap.holes), gap.revision,
                tuple(sorted(gap.failed.items())),
            )
            for gap in self._gaps
        )  # fmt: skip
        hours = tuple(
            (
                start, hour.due, hour.good, tuple(sorted(hour.failed.items())),
                hour.told, int(hour.news),
            )
            for start, hour in self._hours.items()
        )  # fmt: skip
        return (
            self.VERSION, self.asset, self.group, self.period_us, self.next_us,
            self._first_us, self._looked_us, self._failed, gaps, hours,
        )  # fmt: skip

    @classmethod
    def from_snapshot(cls, snapshot: tuple[Any, ...]) -> Sequence:
        """The machine as it was; ValueError for a version that is not known."""
        if snapshot[0] == 1:
            # Its gaps knew nothing of what failed.
            gaps = tuple((*gap, ()) for gap in snapshot[8])
            snapshot = (cls.VERSION, *snapshot[1:8], gaps, *snapshot[9:])
        (
            asset, group, period_us, next_us, first_us, looked_us, failed, gaps, hours,
        ) = fields_of(snapshot, cls.VERSION, "a sequence snapshot")  # fmt: skip
        machine = cls(asset, group, period_us)
        machine.next_us, machine._first_us = next_us, first_us
        machine._looked_us, machine._failed = looked_us, failed
        machine._gaps = [
            _Gap(start, end, period, list(holes), revision, dict(late))
            for start, end, period, holes, revision, late in gaps
        ]
        machine._hours = {
            start: _Hour(due, good, dict(counts), told, bool(news))
            for start, due, good, counts, told, news in hours
        }
        return machine

    # -- one slot or gap -------------------------------------------------------------

    def _frame(self, slot: int, status: int) -> Out:
        self._hour(self._count(slot, status)).due += 1
        if status == Status.OK:
            return self._end_failed(slot)
        start, count, statuses = self._failed or (slot, 0, ())
        counts = dict(statuses)
        counts[status] = counts.get(status, 0) + 1
        self._failed = start, count + 1, tuple(sorted(counts.items()))
        return []

    def _end_failed(self, end: int) -> Out:
        if self._failed is None:
            return []
        start, count, statuses = self._failed
        self._failed = None
        data = {status_label(status): str(n) for status, n in statuses}
        return [self._gap_event("failed", start, end, count, 0, data)]

    def _missing(self, start: int, end: int) -> Out:
        """Slots in ``[start, end)`` that no frame came of; ``end`` may be off the grid.

        All hours of the hole are counted, and told with the next frame; those that are
        too old to be corrected are then forgotten. Of one of more than a year only the
        first hour and the last year are: the gap says how many slots it has.
        """
        count = -(-(end - start) // self.period_us)
        last = start + count * self.period_us
        from_us = (last - _LONGEST_HOLE_US) // HOUR_US * HOUR_US
        at = start
        while at < last:
            hour = at // HOUR_US * HOUR_US
            slots = -(-(min(last, hour + HOUR_US) - at) // self.period_us)
            self._hour(hour).due += slots
            at += slots * self.period_us
            if at < from_us:
                at += -(-(from_us - at) // self.period_us) * self.period_us
        self._gaps.append(_Gap(start, last, self.period_us, [(start, last)]))
        del self._gaps[:-_MOST_HOLES]
        return [self._gap_event("missing", start, last, count, 0, {})]

    def _gap_event(
        self, cause: str, start: int, end: int, count: int, revision: int,
        statuses: dict[str, str],
    ) -> Event:  # fmt: skip
        return Event(
            id=content_id(self.asset, "gap", self.group, cause, start),
            asset=self.asset,
            kind="gap",
            time=start,
            until=end,
            group=self.group,
            severity="info" if cause == "failed" else "warning",
            text=f"{count} slots {cause}",
            data={"cause": cause, "count": str(count)} | statuses,
            revision=revision,
        )

    # -- late frames -----------------------------------------------------------------

    def _filled(self, gap: _Gap, slot: int, status: int) -> Out:
        count = sum((end - start) // gap.period_us for start, end in gap.holes)
        if status != Status.OK:
            gap.failed[status] = gap.failed.get(status, 0) + 1
        data = {status_label(each): str(n) for each, n in sorted(gap.failed.items())}
        out: Out = [
            self._gap_event("missing", gap.start, gap.end, count, gap.revision, data)
        ]
        hour = self._count(slot, status)
        return out + self._tell(hour) if self._hours[hour].told >= 0 else out

    def _before_first(self, slot: int, status: int) -> Out:
        first, self._first_us = self._first_us, slot
        start = self._count(slot, status)
        self._hour(start).due += 1
        out: Out = []
        if slot + self.period_us < first:
            out += self._missing(slot + self.period_us, first)
        for hour in range(start, first, HOUR_US):
            if hour in self._hours and hour + HOUR_US <= (self.next_us or 0):
                out += self._tell(hour)
        return out

    def _count(self, slot: int, status: int) -> int:
        """Count a frame in its hour; that hour."""
        start = slot // HOUR_US * HOUR_US
        hour = self._hour(start)
        if status == Status.OK:
            hour.good += 1
        else:
            hour.failed[status] = hour.failed.get(status, 0) + 1
        return start

    # -- hours -----------------------------------------------------------------------

    def _hour(self, start: int) -> _Hour:
        """The hour, to count in."""
        hour = self._hours.setdefault(start, _Hour())
        hour.news = True
        return hour

    def _past_hours(self) -> Out:
        """Tell hours that are over; forget those that nobody corrects any more."""
        assert self.next_us is not None
        out: Out = []
        if self.next_us // HOUR_US == self._looked_us:
            return out
        self._looked_us = self.next_us // HOUR_US
        for start, hour in list(self._hours.items()):
            if hour.news and start + HOUR_US <= self.next_us:
                out += self._tell(start)
            if start + HOUR_US + KEPT_US <= self.next_us:
                del self._hours[start]
        if self._gaps and self._gaps[0].end + KEPT_US < self.next_us:
            self._gaps = [g for g in self._gaps if g.end + KEPT_US >= self.next_us]
        return out

    def _tell(self, start: int) -> Out:
        hour = self._hours[start]
        hour.told += 1
        hour.news = False
        failed = dict(sorted(hour.failed.items()))
        counts = Hour(due=hour.due, good=hour.good, failed=failed)
        return [ledger_hour(self.asset, self.group, start, counts, hour.told)]


def _fill(gap: _Gap, slot: int) -> bool:
    """Take a slot out of the holes; whether it was one of them."""
    for place, (start, end) in enumerate(gap.holes):
        if start <= slot < end and (slot - start) % gap.period_us == 0:
            rest = [(start, slot), (slot + gap.period_us, end)]
            gap.holes[place : place + 1] = [(a, b) for a, b in rest if a < b]
            gap.revision += 1
            return True
    return False
