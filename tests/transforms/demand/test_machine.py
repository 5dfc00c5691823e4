from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transforms.demand import oracle
from tests.transforms.demand.minutes import (
    MINUTE,
    NAN,
    T0,
    contents,
    demands,
    minute,
    over,
    rules,
    run,
    steady,
    told_powers,
)
from transforms.demand.machine import (
    START,
    change,
    flush,
    from_snapshot,
    step,
    to_snapshot,
)
from transforms.demand.mean import DemandMinute
from transforms.demand.rules import DemandRules

numbers = st.sampled_from([1.0, 2.0, 3.5, NAN])
minutes_of_two_blocks = st.lists(
    st.builds(
        minute,
        st.integers(0, 9),
        numbers,
        seconds=st.sampled_from([60.0, 60.0, 30.0, 0.0]),
        code=st.sampled_from([0, 0, 0, 5, 7, 100]),
        amperes=numbers,
    ),
    unique_by=lambda m: m.start_us,
    max_size=10,
)
any_kws = st.floats(-1e6, 1e6) | st.sampled_from([0.1, -0.0, 9e8, NAN])
minutes_of_one_block = st.lists(
    st.builds(
        minute,
        st.integers(0, 14),
        any_kws,
        seconds=st.sampled_from([60.0, 60.0, 59.0, 0.1, 0.0]),
        code=st.sampled_from([0, 0, 0, 5, 7, 50, 100]),
    ),
    unique_by=lambda m: m.start_us,
    min_size=1,
    max_size=15,
)
any_minutes = st.lists(st.builds(minute, st.integers(-5, 30), numbers), max_size=25)
any_rules = st.builds(
    rules, st.sampled_from(["block", "sliding"]), st.sampled_from([1, 5])
)


def test_a_change_cuts_the_running_block() -> None:
    state, _ = run(rules(), steady(0, [10, 20]))
    _, _, told = change(rules(), state, "block", 5 * MINUTE, T0 + 2 * MINUTE + 7)
    found = [(d.start, d.end, d.value, d.quality, d.revision) for d in demands(told)]
    assert found == [(T0, T0 + 2 * MINUTE + 7, 15.0, 7, 2)]


def test_a_block_cut_at_a_minute_is_incomplete() -> None:
    state, _ = run(rules(), steady(0, [10, 20]))
    _, _, told = change(rules(), state, "block", 5 * MINUTE, T0 + 2 * MINUTE)
    assert over(told) == [(0, 15.0, 7)]


def test_a_change_goes_on_with_the_new_settings() -> None:
    new, _, told = change(rules(), START, "sliding", 15 * MINUTE, T0)
    assert (new, told) == (rules("sliding", 15), [])


def test_a_new_series_begins_at_the_change() -> None:
    state, _ = run(rules(), steady(0, [10, 20]))
    own, state, _ = change(rules(), state, "block", 15 * MINUTE, T0 + 2 * MINUTE)
    _, told = run(own, steady(2, [30] * 14), state)
    found = [(d.start, d.end, d.value, d.quality) for d in demands(told)[-2:-1]]
    assert found == [(T0 + 2 * MINUTE, T0 + 15 * MINUTE, 30.0, 7)]


def test_a_minute_that_holds_the_change_belongs_to_neither_series() -> None:
    state, _ = run(rules(), steady(0, [10, 20]))
    own, state, _ = change(rules(), state, "block", 5 * MINUTE, T0 + 2 * MINUTE + 7)
    assert run(own, [minute(2, 99.0)], state) == (state, [])


def test_a_late_minute_of_before_the_change_revises_the_cut_block() -> None:
    state, _ = run(rules(), [minute(0, 10.0), minute(2, 30.0)])
    own, state, _ = change(rules(), state, "block", 15 * MINUTE, T0 + 3 * MINUTE)
    _, told = run(own, [minute(1, 50.0)], state)
    found = [(d.interval, d.value, d.quality, d.revision) for d in demands(told)]
    assert found == [(5 * MINUTE, 30.0, 7, 3)]


def test_a_change_after_the_end_of_a_block_does_not_cut_it() -> None:
    state, _ = run(rules(), steady(0, [10] * 5))
    _, _, told = change(rules(), state, "block", 15 * MINUTE, T0 + 5 * MINUTE)
    assert over(told) == [(0, 10.0, 0)]


def test_a_change_told_too_late_moves_to_the_end_of_the_last_minute() -> None:
    state, _ = run(rules(), steady(0, [10, 20]))
    _, state, _ = change(rules(), state, "block", 5 * MINUTE, T0 + 1)
    assert state.since_us == T0 + 2 * MINUTE


def test_the_same_change_again_tells_nothing() -> None:
    state, _ = run(rules(), steady(0, [10, 20]))
    own, state, _ = change(rules(), state, "block", 5 * MINUTE, T0 + 2 * MINUTE)
    assert change(own, state, "block", 5 * MINUTE, T0 + 2 * MINUTE) == (own, state, [])


def test_no_slide_reaches_over_a_change() -> None:
    sliding = rules("sliding")
    state, _ = run(sliding, steady(0, [10] * 5))
    own, state, _ = change(sliding, state, "sliding", 5 * MINUTE, T0 + 5 * MINUTE)
    _, told = run(own, [minute(5, 40.0)], state)
    assert over(told) == [(1, 40.0, 7)]


def test_no_minute_of_before_a_change_counts_as_a_slide() -> None:
    own, state, _ = change(rules(), START, "sliding", 5 * MINUTE, T0 + 5 * MINUTE)
    assert run(own, [minute(4, 40.0)], state) == (state, [])


def test_a_snapshot_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="a demand snapshot of version 9 is not known"):
        from_snapshot((9, (), (), (), None))


def test_a_snapshot_holds_plain_values_alone() -> None:
    state, _ = run(rules("sliding", 1), steady(0, [10, 20]))
    kinds = {type(part) for part in flat(to_snapshot(state))}
    assert kinds <= {int, float, str, bool, type(None)}


def flat(value: object) -> list[object]:
    if type(value) is not tuple:
        return [value]
    return [leaf for part in value for leaf in flat(part)]


@given(own=any_rules, minutes=any_minutes, at=st.integers(0, 25))
@settings(max_examples=60)
def test_a_snapshot_changes_nothing(
    own: DemandRules, minutes: list[DemandMinute], at: int
) -> None:
    state, _ = run(own, minutes[:at])
    restored = from_snapshot(to_snapshot(state))
    assert repr(run(own, minutes[at:], restored)) == repr(run(own, minutes[at:], state))


@given(
    minutes=minutes_of_two_blocks,
    method=st.sampled_from(["block", "sliding"]),
    data=st.data(),
)
@settings(max_examples=150)
def test_any_order_of_kept_minutes_comes_to_the_same(
    minutes: list[DemandMinute], method: str, data: st.DataObject
) -> None:
    # Two blocks of five minutes, and two slides of ten, hold all of them.
    own = rules(method, {"block": 5, "sliding": 10}[method])
    shuffled = data.draw(st.permutations(minutes))
    expected = contents(run(own, sorted(minutes))[1])
    assert contents(run(own, shuffled)[1]) == expected


@given(minutes=minutes_of_one_block, in_order=st.booleans())
@settings(max_examples=150)
def test_a_running_block_tells_what_all_its_minutes_come_to(
    minutes: list[DemandMinute], in_order: bool
) -> None:
    came = sorted(minutes) if in_order else minutes
    state = START
    for number, one in enumerate(came, 1):
        state, told = step(rules(minutes=15), state, one)
        expected = oracle.running(came[:number], T0, T0 + 15 * MINUTE)
        assert told_powers(told) == expected


@given(minutes=minutes_of_one_block, at=st.integers(0, 14))
@settings(max_examples=100)
def test_a_block_that_is_over_is_what_all_its_minutes_come_to(
    minutes: list[DemandMinute], at: int
) -> None:
    own = rules(minutes=15)
    state, _ = run(own, minutes[:at])
    state, _ = run(own, minutes[at:], from_snapshot(to_snapshot(state)))
    _, told = flush(own, state)
    assert told_powers(told) == oracle.over(minutes, T0, T0 + 15 * MINUTE)


@given(minutes=minutes_of_one_block, data=st.data())
@settings(max_examples=100)
def test_minutes_in_order_leave_the_state_of_minutes_in_any(
    minutes: list[DemandMinute], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(minutes))
    in_order = run(rules(minutes=15), sorted(minutes))[0]
    assert run(rules(minutes=15), shuffled)[0] == in_order


@given(own=any_rules, minutes=any_minutes)
@settings(max_examples=60)
def test_revisions_of_a_record_grow_by_one(
    own: DemandRules, minutes: list[DemandMinute]
) -> None:
    _, told = run(own, minutes)
    revisions: dict[str, list[int]] = {}
    for record in told:
        revisions.setdefault(record.id, []).append(record.revision)
    assert all(found == list(range(len(found))) for found in revisions.values())


@given(own=any_rules, minutes=any_minutes)
@settings(max_examples=60)
def test_minutes_told_twice_tell_nothing_more(
    own: DemandRules, minutes: list[DemandMinute]
) -> None:
    state, _ = run(own, sorted(minutes)[:5])
    assert run(own, sorted(minutes)[4:5], state) == (state, [])


@given(st.lists(st.floats(0.001, 1e6), min_size=5, max_size=5))
@settings(max_examples=60)
def test_a_whole_block_is_the_mean_of_its_minutes(kws: list[float]) -> None:
    _, told = run(rules(), steady(0, [*kws, 0.0]))
    (found,) = over(told)
    assert found[1] == pytest.approx(math.fsum(kws) / 5, rel=1e-12, abs=0)
