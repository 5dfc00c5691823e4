"""The ledger's laws: it sums exactly, in any order of arrival, by both of its ways."""

from __future__ import annotations

import time
from itertools import pairwise
from random import Random
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.ledger import (
    HOUR_US,
    Hour,
    Ledger,
    LedgerMachine,
    Segment,
    ledger_hours,
    ledger_of,
)

MINUTE = 60_000_000


class Fact(NamedTuple):
    seq: int
    period_us: int
    status: int

    @property
    def slot(self) -> int:
        return self.seq * self.period_us


def _of(facts: list[Fact], **where: int) -> Ledger:
    columns = np.array(facts or np.empty((0, 3)), np.int64).T
    return ledger_of(columns[0], columns[1], columns[2], **where)


def _machine(facts: list[Fact]) -> LedgerMachine:
    machine = LedgerMachine()
    for fact in facts:
        machine.add(*fact)
    return machine


def _plainly(facts: list[Fact]) -> dict[int, tuple[int, int, int]]:
    """Due, good and missing by hour, slot by slot, as the docstring says it."""
    known: dict[tuple[int, int], int] = {}
    for fact in facts:
        known.setdefault((fact.slot, fact.period_us), fact.status)
    order = sorted(known)
    due = set(known)
    for (slot, period), (following, _) in pairwise(order):
        # Up to the next frame, whichever period that has, the grid goes on.
        due |= {(s, period) for s in range(slot, following, period)}
    out: dict[int, tuple[int, int, int]] = {}
    for slot, period in due:
        status = known.get((slot, period))
        d, g, m = out.get(slot // HOUR_US * HOUR_US, (0, 0, 0))
        good, missing = int(status == 0), int(status is None)
        out[slot // HOUR_US * HOUR_US] = (d + 1, g + good, m + missing)
    return dict(sorted(out.items()))


def _sums(ledger: Ledger) -> dict[int, tuple[int, int, int]]:
    return {at: (h.due, h.good, h.missing) for at, h in ledger.hours.items()}


PERIODS = (10 * MINUTE, 15 * MINUTE, 30 * MINUTE, 120 * MINUTE)


@st.composite
def a_fact(draw: st.DrawFn) -> Fact:
    period = draw(st.sampled_from(PERIODS))
    seq = draw(st.integers(0, 12 * HOUR_US // period))
    # One slot has one outcome, so that duplicates agree.
    return Fact(seq, period, (seq * 7 + period // MINUTE) % 4)


facts = st.lists(a_fact(), max_size=40)


@given(facts)
def test_arrays_give_what_the_rule_says(given_facts: list[Fact]) -> None:
    assert _sums(_of(given_facts)) == _plainly(given_facts)


@given(facts)
def test_the_machine_gives_what_the_arrays_give(given_facts: list[Fact]) -> None:
    assert _machine(given_facts).ledger() == _of(given_facts)


@given(facts, st.integers(0, 3 * HOUR_US), st.integers(9 * HOUR_US, 13 * HOUR_US))
def test_the_machine_gives_what_the_arrays_give_in_a_range(
    given_facts: list[Fact], start: int, end: int
) -> None:
    inside = [fact for fact in given_facts if start <= fact.slot < end]
    expected = _of(given_facts, start_us=start, end_us=end)
    assert _machine(inside).ledger(start_us=start, end_us=end) == expected


@given(facts, st.randoms(use_true_random=False))
def test_the_order_of_arrival_makes_no_difference(
    given_facts: list[Fact], chance: Random
) -> None:
    shuffled = given_facts.copy()
    chance.shuffle(shuffled)
    assert _of(shuffled) == _of(given_facts)
    assert _machine(shuffled).ledger() == _machine(given_facts).ledger()


@given(facts)
def test_a_machine_goes_on_from_its_snapshot(given_facts: list[Fact]) -> None:
    machine = LedgerMachine()
    for fact in given_facts:
        machine = LedgerMachine.from_snapshot(machine.to_snapshot())
        machine.add(*fact)
    assert machine.ledger() == _machine(given_facts).ledger()


@given(facts)
def test_every_hour_sums_exactly(given_facts: list[Fact]) -> None:
    for hour in ledger_hours("s/a/m", "realtime", _of(given_facts)):
        assert hour.due == hour.good + sum(hour.failed.values()) + hour.missing
        assert hour.missing >= 0


def _seconds(seqs: range | list[int], status: int = 0) -> list[Fact]:
    return [Fact(seq, 1_000_000, status) for seq in seqs]


def test_a_hole_between_frames_is_missing() -> None:
    total = _of(_seconds([10, 11, 15])).total
    assert (total.due, total.good, total.missing) == (6, 3, 3)


def test_a_partial_frame_is_failed() -> None:
    total = _of([*_seconds([1, 2]), *_seconds([3], status=1)]).total
    assert total == Hour(due=3, good=2, failed={1: 1})


def test_failed_frames_are_told_by_their_status() -> None:
    (hour,) = ledger_hours(
        "s/a/m", "g", _of([Fact(1, 10, 0), Fact(2, 10, 2), Fact(3, 10, 99)])
    )
    assert hour.failed == {"timeout": 1, "status_99": 1}


def test_a_duplicate_is_counted_once_and_the_first_stands() -> None:
    ledger = _of([*_seconds([1, 2]), *_seconds([2], status=2)])
    assert ledger.total == Hour(due=2, good=2)
    assert ledger.duplicates == 1
    assert _machine([*_seconds([1, 2]), *_seconds([2], status=2)]).ledger() == ledger


def test_a_change_of_period_starts_a_new_segment() -> None:
    frames = [
        *_seconds(range(100, 104)),
        Fact(22, 5_000_000, 0),
        Fact(24, 5_000_000, 0),
    ]
    # 100..109 s by the second, then 110, 115 and 120 s: six and one are missing.
    assert _of(frames).total == Hour(due=13, good=6)


def test_a_range_makes_its_ends_due() -> None:
    ledger = _of(_seconds([100, 101]), start_us=95_500_000, end_us=105_000_000)
    assert ledger.total == Hour(due=9, good=2)


def test_frames_outside_the_range_do_not_count() -> None:
    ledger = _of(_seconds(range(90, 110)), start_us=100_000_000, end_us=103_000_000)
    assert ledger.total == Hour(due=3, good=3)


def test_a_group_that_was_never_heard_of_is_all_missing() -> None:
    ledger = _of([], start_us=0, end_us=2 * HOUR_US, period_expected_us=1_000_000)
    assert ledger.hours == {0: Hour(due=3600), HOUR_US: Hour(due=3600)}


def test_nothing_known_is_nothing_due() -> None:
    assert _of([]) == Ledger(hours={})
    assert LedgerMachine().ledger() == Ledger(hours={})


def test_hours_without_a_slot_are_left_out() -> None:
    two_hours = 2 * HOUR_US
    assert list(_of([Fact(1, two_hours, 0), Fact(2, two_hours, 0)]).hours) == [
        two_hours,
        2 * two_hours,
    ]


def test_a_segment_counts_the_slots_of_its_grid() -> None:
    segment = Segment(start_us=5, end_us=31, period_us=10)
    assert segment.due(0, 100) == 3
    assert segment.due(10, 20) == 1
    assert segment.due(40, 50) == 0


def test_a_machine_keeps_one_run_of_an_unbroken_stretch() -> None:
    _, runs, _, _ = _machine(_seconds(range(1000))).to_snapshot()
    assert runs == ((0, 999_000_000, 1_000_000),)


def test_a_snapshot_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="version 9"):
        LedgerMachine.from_snapshot((9, (), (), 0))


def test_millions_of_frames_take_seconds() -> None:
    seq = np.arange(2_000_000, dtype=np.int64)
    period = np.full(len(seq), 1_000_000, np.int64)
    started = time.process_time()
    total = ledger_of(seq, period, (seq % 50 == 7) * 2).total
    assert time.process_time() - started < 10
    assert total == Hour(due=2_000_000, good=1_960_000, failed={2: 40_000})
