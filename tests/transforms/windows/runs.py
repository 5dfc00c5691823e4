"""Runs of frames to test with, and what a bay tells of them."""

from __future__ import annotations

import io
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import isclose, isnan
from typing import Any, NamedTuple

import numpy as np
from fastavro import schemaless_reader
from fastavro.schema import parse_schema
from hypothesis import strategies as st

from tests.transforms.windows.oracle import Fact, Window, oracle
from transforms.calendar import Calendar
from transforms.codec.frame import Column, FrameSchema
from transforms.codec.records import Event, LedgerHour
from transforms.ledger import Ledger, ledger_of
from transforms.sequence import Failing
from transforms.sequence import Sequence as SlotSequence
from transforms.windows.bay import Bay, BayOut, WindowRules
from transforms.windows.cells import NOWHERE, Slots
from transforms.windows.tails import tails_of

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE

# A counter makes windows of doubles, so sums can be compared closely.
SCHEMA = FrameSchema(
    "test",
    "realtime",
    (
        Column("voltageAN", "float"),
        Column("realPower", "float"),
        Column("energyImport", "double"),
    ),
)
_READINGS = len(SCHEMA.columns)
_PARSED: Any = parse_schema(Bay(  # as the log knows it
    SCHEMA, SECOND, WindowRules(calendar=Calendar("UTC"), lengths_us=()),
    may_freeze=np.zeros(_READINGS, np.bool_),
).windows.avro)  # fmt: skip

CALENDARS = {
    zone: Calendar(zone)
    for zone in ("Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe")
}


class Kind(NamedTuple):
    status: int
    quality: tuple[int, ...]


OK = Kind(0, (0, 0, 0))
KINDS = (
    OK, OK, OK, OK, OK,
    Kind(0, (1, 0, 1)),
    Kind(0, (0, 2, 3)),
    Kind(0, (102, 0, 105)),
    Kind(1, (0, 100, 6)),
    Kind(2, (100, 100, 100)),
    Kind(12, (100, 100, 100)),
)  # fmt: skip
BAD = Kind(4, (100, 100, 100))


@dataclass(frozen=True)
class Site:
    """What a run is made with; frames of later lanes have the same period."""

    period: int
    lengths: tuple[int, ...]
    lateness: int
    correction: int
    zone: str
    start: int

    @property
    def calendar(self) -> Calendar:
        return CALENDARS[self.zone]

    @property
    def reach(self) -> int:
        """How far behind a frame still corrects windows."""
        return self.lateness + self.correction

    def bay(self, period: int | None = None) -> Bay:
        rules = WindowRules(
            calendar=self.calendar,
            lengths_us=self.lengths,
            lateness_us=self.lateness,
            correction_us=self.correction,
        )
        never = np.zeros(_READINGS, np.bool_)
        return Bay(SCHEMA, period or self.period, rules, may_freeze=never)

    def fact(self, lane: int, number: int, kind: Kind = OK) -> Fact:
        return _fact(lane, self.start + number * self.period, self.period, kind)


def _fact(lane: int, slot: int, period: int, kind: Kind) -> Fact:
    mixed = (slot // 100_000 * 48_271 + lane * 7919) % 20_011
    values = (mixed / 7, mixed / 3 - 3000, float(slot // SECOND) + mixed / 9)
    return Fact(lane, slot, period, *kind, values)


def _us(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp()) * SECOND


_CHANGES = (
    _us("2026-03-29T01:00+00:00"),
    _us("2026-10-25T01:00+00:00"),
    _us("2026-04-04T15:00+00:00"),
    _us("2026-10-03T15:30+00:00"),
    _us("2026-06-10T09:10+00:00"),
)
_LENGTHS = {
    SECOND // 5: (10 * SECOND, MINUTE),
    SECOND: (10 * SECOND, MINUTE, 15 * MINUTE),
    10 * SECOND: (MINUTE, 15 * MINUTE, HOUR),
    MINUTE: (15 * MINUTE, HOUR, 2 * HOUR, 24 * HOUR),
}


@st.composite
def sites(draw: st.DrawFn) -> Site:
    period = draw(st.sampled_from(list(_LENGTHS)))
    back = draw(st.integers(0, 120))
    start = (draw(st.sampled_from(_CHANGES)) // period - back) * period
    return Site(
        period,
        _LENGTHS[period],
        draw(st.sampled_from([0, 1, 2, 25])) * period,
        draw(st.sampled_from([400, 60, 7, 0])) * period,
        draw(st.sampled_from(list(CALENDARS))),
        start,
    )


# Wednesday, 2026-06-10, 9:00 UTC: lanes of one second, corrected for an hour.
NINE = _us("2026-06-10T09:00+00:00")
SECONDS = Site(
    SECOND, (10 * SECOND, MINUTE, 15 * MINUTE), 2 * SECOND, HOUR, "Europe/Berlin", NINE
)


def seconds(*numbers: int | range) -> list[Fact]:
    """Good frames of lane 0 of ``SECONDS``, so many seconds after nine."""
    return [
        SECONDS.fact(0, number)
        for each in numbers
        for number in ([each] if isinstance(each, int) else each)
    ]


# How many slots lie between a frame and the next: mostly none is missing.
_STEPS = st.sampled_from([1] * 7 + [2, 3, 9, 31, 95])
_FRAMES = st.lists(st.tuples(_STEPS, st.sampled_from(KINDS)), min_size=1, max_size=40)


@st.composite
def frames(draw: st.DrawFn, site: Site) -> list[Fact]:
    """Frames of one to three lanes in the order of their slots."""
    out = []
    for lane, steps in enumerate(draw(st.lists(_FRAMES, min_size=1, max_size=3))):
        number = 0
        for step, kind in steps:
            number += step
            out.append(site.fact(lane, number, kind))
    return sorted(out, key=lambda fact: fact.slot)


site_and_frames = sites().flatmap(lambda site: st.tuples(st.just(site), frames(site)))


def delayed(site: Site, facts: list[Fact], most: int) -> st.SearchStrategy[list[Fact]]:
    """Another order of arrival: none comes behind one that is newer by more than that.

    Most frames come in time; of the others many go behind a few only.
    """
    slots = st.sampled_from([0, 0, 0, 0, 1, 5, 20, 60, 150, 1000]) | st.integers(0, 150)
    return st.lists(slots, min_size=len(facts), max_size=len(facts)).map(
        lambda late: [
            facts[n]
            for n in sorted(
                range(len(facts)),
                key=lambda n: facts[n].slot + min(late[n] * site.period, most),
            )
        ]
    )


@st.composite
def late_runs(draw: st.DrawFn) -> tuple[Site, list[Fact]]:
    """Frames as they arrive, some of them late but not beyond correction."""
    site, facts = draw(site_and_frames)
    return site, draw(delayed(site, facts, site.reach))


def cut(facts: Sequence[Fact], places: Iterable[int]) -> list[Sequence[Fact]]:
    """Batches: the frames cut at these places, as far as they go."""
    at = sorted({min(place, len(facts)) for place in places} | {0, len(facts)})
    return [facts[a:b] for a, b in itertools.pairwise(at)]


cuts = st.lists(st.integers(0, 120), max_size=12)


@dataclass
class Told:
    """What bays told, as bytes; ``duplicates`` are apart from the other records."""

    windows: list[bytes] = field(default_factory=list)
    records: list[bytes] = field(default_factory=list)
    duplicates: list[Event] = field(default_factory=list)
    hours: list[LedgerHour] = field(default_factory=list)
    minutes: list[bytes] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, bay: Bay, out: BayOut) -> None:
        for told in out.windows:
            rows = told.rows
            tails = tails_of(bay.windows, rows, told.due, told.code)
            self.windows += bay.windows.encode(
                [bay.assets[lane] for lane in told.lanes.tolist()], told.length_us,
                rows["start"], rows["end"], told.due, rows["good"], told.revision,
                tails,
            )  # fmt: skip
        for record in out.records:
            if isinstance(record, Event) and record.kind == "duplicate":
                self.duplicates.append(record)
                continue
            assert not isinstance(record, Failing)  # nobody asked for it
            self.records.append(record.encode())
            if isinstance(record, LedgerHour):
                self.hours.append(record)
        for lanes, rows, again in out.minutes:
            self.minutes += [
                b"%d %d %r" % (lane, again, _measured(row))
                for lane, row in zip(lanes.tolist(), rows, strict=True)
            ]
        self.counts.update(out.counts)

    def sorted(self) -> tuple[list[bytes], ...]:
        return sorted(self.windows), sorted(self.records), sorted(self.minutes)


def _measured(row: np.void) -> bytes:
    return bytes(row.tobytes())


def slots_of(facts: Sequence[Fact], lanes: Sequence[int]) -> Slots:
    lane, slot, _, status, quality, values = zip(*facts, strict=True)
    return Slots(
        np.array([lanes[each] for each in lane]),
        np.array(slot),
        np.array(status, np.uint8),
        np.array(quality, np.uint8),
        np.array(values),
    )


def asset(lane: int) -> str:
    return f"plant/hall/meter{lane}"


def with_lanes(bay: Bay) -> Bay:
    """The bay with lanes 0 to 2."""
    for lane in range(3):
        sequence = SlotSequence(asset(lane), SCHEMA.group, bay.period_us)
        bay.lane(asset(lane), sequence)
    return bay


def as_it_is(bay: Bay) -> Bay:
    return bay


def told_of(
    site: Site,
    batches: Iterable[Sequence[Fact]],
    between: Callable[[Bay], Bay] = as_it_is,
) -> Told:
    """All that is told of a run, from the first frame to the end of the replay."""
    told = Told()
    bay = with_lanes(site.bay())
    for batch in batches:
        if batch:
            told.add(bay, bay.take(slots_of(batch, range(3))))
        bay = between(bay)
    for lane in range(3):
        if bay.cells.newest_us[lane] != NOWHERE:
            told.add(bay, bay.finish(lane))
    return told


def told_of_moving(site: Site, parts: Sequence[Sequence[Fact]]) -> Told:
    """Of one lane that goes on with another period in each part."""
    told = Told()
    bay = site.bay(parts[0][0].period)
    lane = bay.lane(asset(0), SlotSequence(asset(0), SCHEMA.group, bay.period_us))
    for part in parts:
        if part[0].period != bay.period_us:
            bay, lane = _moved(site, bay, lane, part[0], told)
        for fact in part:
            told.add(bay, bay.take(slots_of([fact], [lane])))
    told.add(bay, bay.finish(lane))
    return told


def _moved(
    site: Site, old: Bay, old_lane: int, first: Fact, told: Told
) -> tuple[Bay, int]:
    left, held = old.leave(old_lane, first.slot)
    told.add(old, left)
    sequence = old.sequences[old_lane]
    restart = BayOut(records=list(sequence.change_period(first.period, first.slot)))
    new = site.bay(first.period)
    told.add(new, restart)
    lane = new.lane(asset(0), sequence)
    told.add(new, new.join(lane, held))
    return new, lane


Final = dict[int, tuple[Any, ...]]


def final(told: Told, lane: int, length: int) -> Final:
    """Windows of a lane by their start in their highest revision, as ``Window``s.

    Fails where an id was told twice with the same revision, or one was left out.
    """
    revisions: dict[str, list[dict[str, Any]]] = {}
    for value in told.windows:
        read: Any = schemaless_reader(io.BytesIO(value[10:]), _PARSED, None)
        if read["asset"] == asset(lane) and read["length"] == length:
            revisions.setdefault(read["id"], []).append(read)
    for each in revisions.values():
        assert [read["revision"] for read in each] == list(range(len(each)))
    newest = [each[-1] for each in revisions.values()]
    out = {read["start"]: _window(read) for read in newest}
    assert len(out) == len(newest)
    return out


def _window(read: dict[str, Any]) -> tuple[Any, ...]:
    return (
        read["end"],
        read["due"],
        read["good"],
        list(read["quality"]),
        *(
            [read[name + what] for name in SCHEMA.names]
            for what in ("Mean", "Min", "Max", "Last", "Good")
        ),
    )


def ledgers(facts: Sequence[Fact], lane: int) -> Ledger:
    """The hours of a lane, by the ledger's own way."""
    own = [fact for fact in facts if fact.lane == lane]
    columns = np.array(
        [(f.slot // f.period, f.period, f.status) for f in own] or np.empty((0, 3)),
        np.int64,
    ).T
    return ledger_of(columns[0], columns[1], columns[2])


def last_hours(told: Told, lane: int) -> dict[int, LedgerHour]:
    """The hours of a lane in their highest revision."""
    out: dict[int, LedgerHour] = {}
    for hour in told.hours:
        if hour.asset == asset(lane):
            before = out.get(hour.hour)
            assert hour.revision == (0 if before is None else before.revision + 1)
            out[hour.hour] = hour
    return dict(sorted(out.items()))


def alike(found: Final, expected: dict[int, Window]) -> bool:
    """Whether they say the same; sums were added in another order."""
    if found.keys() != expected.keys():
        return False
    return all(
        list(found[start][:4]) == list(window[:4])
        and all(
            isclose(a, b, rel_tol=1e-9, abs_tol=1e-6) or (isnan(a) and isnan(b))
            for own, other in zip(found[start][4:8], window[4:8], strict=True)
            for a, b in zip(own, other, strict=True)
        )
        and all(
            isclose(a, b, rel_tol=1e-6)
            for a, b in zip(found[start][8], window.percent, strict=True)
        )
        for start, window in expected.items()
    )


def is_right(told: Told, site: Site, facts: Sequence[Fact]) -> bool:
    """Whether all windows of all lanes are those of the oracle."""
    return all(
        alike(
            final(told, lane, length),
            oracle([f for f in facts if f.lane == lane], length, site.calendar),
        )
        for lane in range(3)
        for length in site.lengths
    )


def is_plain(value: object) -> bool:
    """Whether it is made of numbers, texts, bytes and None alone, in tuples."""
    if type(value) is tuple:
        return all(is_plain(each) for each in value)
    return value is None or type(value) in (int, float, str, bytes)
