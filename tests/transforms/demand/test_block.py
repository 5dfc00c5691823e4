from __future__ import annotations

import math

from tests.transforms.demand.minutes import (
    MINUTE,
    NAN,
    T0,
    demands,
    minute,
    over,
    rules,
    run,
    steady,
    us,
)
from transforms.calendar import Calendar
from transforms.codec.records import Demand
from transforms.demand.machine import START, flush
from transforms.demand.rules import DemandRules


def test_a_block_is_told_with_the_first_minute_after_it() -> None:
    _, told = run(rules(), steady(0, [10, 20, 30, 40, 50, 0]))
    assert over(told) == [(0, 30.0, 0)]


def test_a_block_is_told_whole() -> None:
    _, told = run(rules(), steady(0, [10, 20, 30, 40, 50, 0]))
    assert demands(told)[5] == Demand(
        asset="press",
        quantity="realPower",
        method="block",
        interval=5 * MINUTE,
        start=T0,
        end=T0 + 5 * MINUTE,
        value=30.0,
        quality=0,
        forecast=None,
        revision=5,
    )


def test_apparent_power_is_told_beside_real_power() -> None:
    _, told = run(rules(), steady(0, [10, 20, 30, 40, 50, 0]))
    assert over(told, "apparentPower") == [(0, 40.0, 0)]


def test_a_running_block_is_told_each_minute() -> None:
    _, told = run(rules(), steady(0, [10, 20, 60]))
    found = [(d.revision, d.value, d.quality, d.forecast) for d in demands(told)]
    assert found == [(0, 10.0, 0, 10.0), (1, 15.0, 0, 18.0), (2, 30.0, 0, 42.0)]


def test_a_forecast_is_the_value_when_nothing_remains() -> None:
    _, told = run(rules(), steady(0, [10, 20, 30, 40, 50]))
    assert (demands(told)[4].value, demands(told)[4].forecast) == (30.0, 30.0)


def test_a_forecast_leaves_a_hole_out_as_the_block_will() -> None:
    _, told = run(rules(), [minute(0, 10.0), minute(2, 40.0)])
    found = demands(told)[1]
    assert (found.value, found.quality, found.forecast) == (25.0, 7, 32.5)


def test_a_forecast_goes_by_the_last_minute_with_a_value() -> None:
    _, told = run(rules(), [minute(0, 10.0), minute(1, 40.0), minute(2, NAN)])
    found = demands(told)[2]
    assert (found.value, found.quality, found.forecast) == (25.0, 7, 32.5)


def test_a_current_is_told_once_its_block_is_over() -> None:
    _, told = run(rules(), steady(0, [10, 20, 30, 40, 50, 0]))
    found = [(d.revision, d.value, d.quality) for d in demands(told, "currentA")]
    assert found == [(0, 1.0, 0)]


def test_a_current_that_is_not_there_has_no_value() -> None:
    _, told = run(rules(), steady(0, [10, 20, 30, 40, 50, 0]))
    (found,) = demands(told, "currentC")
    assert (math.isnan(found.value), found.quality) == (True, 100)


def test_a_block_that_was_not_wholly_measured_is_incomplete() -> None:
    _, told = run(rules(), [minute(3, 10.0), minute(4, 20.0), minute(5, 0.0)])
    assert over(told) == [(0, 15.0, 7)]


def test_a_block_of_nothing_known_has_no_value() -> None:
    _, told = run(rules(), [*steady(0, [NAN] * 5), minute(5, 1.0)])
    found = demands(told)[5]
    assert (math.isnan(found.value), found.quality) == (True, 100)


def test_a_block_has_the_worst_code_of_its_minutes() -> None:
    minutes = [*steady(0, [10] * 4), minute(4, 10, code=5), minute(5, 0)]
    _, told = run(rules(), minutes)
    assert over(told) == [(0, 10.0, 5)]


def test_a_block_without_minutes_is_not_told() -> None:
    _, told = run(rules(), [minute(0, 10.0), minute(12, 20.0), minute(17, 0.0)])
    assert over(told) == [(0, 10.0, 7), (10, 20.0, 7)]


def test_a_late_minute_gives_the_next_revision() -> None:
    state, _ = run(rules(), [*steady(0, [10, 20, 30, 40]), minute(6, 1.0)])
    _, told = run(rules(), [minute(4, 50.0)], state)
    found = [(d.revision, d.value, d.quality) for d in demands(told)]
    assert found == [(5, 30.0, 0)]


def test_a_late_minute_tells_only_what_changes() -> None:
    state, _ = run(rules(), [*steady(0, [10, 20, 30, 40, 50]), minute(6, 1.0)])
    _, told = run(rules(), [minute(4, 50.0, amperes=6.0)], state)
    found = [(d.quantity, d.revision, d.value) for d in told if isinstance(d, Demand)]
    assert found == [("currentA", 1, 2.0), ("currentB", 1, 2.0)]


def test_a_minute_of_an_older_block_changes_nothing() -> None:
    state, _ = run(rules(), [minute(0, 1.0), minute(5, 1.0), minute(10, 1.0)])
    assert run(rules(), [minute(1, 9.0)], state) == (state, [])


def test_the_same_minute_again_tells_nothing() -> None:
    state, _ = run(rules(), [minute(0, 10.0), minute(1, NAN)])
    assert run(rules(), [minute(1, NAN), minute(0, 10.0)], state) == (state, [])


def test_a_revised_minute_counts_once() -> None:
    _, told = run(rules(), [minute(0, 10.0), minute(0, 20.0)])
    found = [(d.revision, d.value, d.forecast) for d in demands(told)]
    assert found == [(0, 10.0, 10.0), (1, 20.0, 20.0)]


def test_the_first_block_may_come_late() -> None:
    _, told = run(rules(), [minute(5, 1.0), *steady(0, [10, 20, 30, 40, 50])])
    assert over(told)[-1] == (0, 30.0, 0)


def test_a_flush_tells_the_running_block_as_it_stands() -> None:
    state, _ = run(rules(), steady(0, [10, 20, 30]))
    _, told = flush(rules(), state)
    assert over(told) == [(0, 20.0, 7)]


def test_a_second_flush_tells_nothing() -> None:
    state, _ = run(rules(), steady(0, [10, 20, 30]))
    state, _ = flush(rules(), state)
    assert flush(rules(), state) == (state, [])


def test_a_flush_of_nothing_tells_nothing() -> None:
    assert flush(rules(), START) == (START, [])


def test_a_minute_after_a_flush_gives_the_next_revision() -> None:
    state, _ = run(rules(), steady(0, [10, 20, 30]))
    state, _ = flush(rules(), state)
    _, told = run(rules(), [minute(3, 40.0)], state)
    found = [(d.revision, d.value, d.forecast) for d in demands(told)]
    assert found == [(4, 25.0, None)]


def test_the_repeated_hour_is_two_blocks() -> None:
    first = us("2026-10-25T02:00+02:00")
    _, told = run(rules(minutes=60), steady(0, [1] * 60 + [2] * 60 + [0], first))
    found = [(d.start - first, d.value) for d in demands(told) if d.forecast is None]
    assert found == [(0, 1.0), (60 * MINUTE, 2.0)]


def test_a_block_over_a_jump_is_whole_with_the_minutes_it_has() -> None:
    jump = us("2026-10-04T02:30+11:00")
    own = DemandRules("press", Calendar("Australia/Lord_Howe"), "block", 60 * MINUTE)
    _, told = run(own, steady(0, [4] * 31, jump))
    found = [(d.end - d.start, d.value, d.quality) for d in demands(told)[30:31]]
    assert found == [(30 * MINUTE, 4.0, 0)]
