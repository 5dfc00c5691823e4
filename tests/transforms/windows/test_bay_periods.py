"""A lane goes on with another period: its windows and its ledger stay whole."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.transforms.windows.oracle import Fact, oracle
from tests.transforms.windows.runs import (
    HOUR,
    KINDS,
    MINUTE,
    NINE,
    SECOND,
    SECONDS,
    Kind,
    Site,
    alike,
    final,
    last_hours,
    ledgers,
    seconds,
    sites,
    told_of_moving,
)
from transforms.ledger import ledger_hours

few = settings(max_examples=40)


_PARTS = st.lists(
    st.tuples(
        st.sampled_from([1, 10, 15, 60]).map(lambda n: n * SECOND),
        st.lists(
            st.tuples(st.sampled_from([1, 1, 1, 2, 5, 70]), st.sampled_from(KINDS)),
            min_size=1,
            max_size=25,
        ),
    ),
    min_size=2,
    max_size=4,
)


def _parts(
    site: Site, parts: list[tuple[int, list[tuple[int, Kind]]]]
) -> list[list[Fact]]:
    """Frames of one lane, each part on the grid of its own period."""
    out, last = [], site.start
    for period, steps in parts:
        own, number = replace(site, period=period, start=0), last // period
        facts = []
        for step, kind in steps:
            number += step
            facts.append(own.fact(0, number, kind))
        last = facts[-1].slot
        out.append(facts)
    return out


@given(sites(), _PARTS)
@settings(max_examples=80)
def test_windows_go_on_over_a_change_of_period(
    site: Site, parts: list[tuple[int, list[tuple[int, Kind]]]]
) -> None:
    site = replace(site, lengths=(10 * SECOND, MINUTE, 15 * MINUTE, HOUR))
    # Of fifteens no window of 10 s is made: one in which they come and go is told twice.
    assume(all(len(own) > 1 for period, own in parts[1:-1] if period == 15 * SECOND))
    moved = _parts(site, parts)
    facts = [fact for part in moved for fact in part]
    told = told_of_moving(site, moved)
    for length in site.lengths:
        found = final(told, 0, length)
        assert alike(found, oracle(facts, length, site.calendar))


@given(sites(), _PARTS)
@few
def test_the_ledger_goes_on_over_a_change_of_period(
    site: Site, parts: list[tuple[int, list[tuple[int, Kind]]]]
) -> None:
    moved = _parts(site, parts)
    found = last_hours(told_of_moving(site, moved), 0)
    expected = ledgers([fact for part in moved for fact in part], 0)
    hours = list(ledger_hours("plant/hall/meter0", "realtime", expected))
    assert [replace(hour, revision=0) for hour in found.values()] == hours


@pytest.mark.parametrize("behind", [99, 95])
def test_windows_before_a_change_of_period_are_not_told_again(behind: int) -> None:
    tens = replace(SECONDS, period=10 * SECOND)
    before = [tens.fact(0, number) for number in range(10)]
    after = seconds(100, behind, range(101, 130))
    told = told_of_moving(SECONDS, [before, after])
    again = told_of_moving(SECONDS, [before, seconds(range(100, 130))])
    assert told.windows == again.windows


def test_slots_of_both_periods_are_due_in_the_window_of_the_change() -> None:
    tens = replace(SECONDS, period=10 * SECOND)
    before = [tens.fact(0, number) for number in range(9)]
    told = told_of_moving(SECONDS, [before, seconds(range(95, 130))])
    found = final(told, 0, MINUTE)
    # 60, 70, 80, missing 90, then each second from 95 on.
    assert found[NINE + MINUTE][1:3] == (29, 28)


def test_a_window_that_the_new_period_cannot_fill_is_told_as_it_is() -> None:
    fifteens = replace(SECONDS, period=15 * SECOND)
    after = [fifteens.fact(0, number) for number in range(3, 9)]
    told = told_of_moving(SECONDS, [seconds(range(45)), after])
    assert final(told, 0, 10 * SECOND)[NINE + 40 * SECOND][1:3] == (5, 5)
    assert final(told, 0, MINUTE)[NINE][1:3] == (46, 46)
