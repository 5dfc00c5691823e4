from __future__ import annotations

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
)
from transforms.codec.records import Demand

SLIDING = rules("sliding", 5)


def test_each_minute_tells_the_mean_of_the_last_interval() -> None:
    _, told = run(SLIDING, steady(0, [10, 20, 30, 40, 50, 60, 70]))
    assert over(told)[4:] == [(0, 30.0, 0), (1, 40.0, 0), (2, 50.0, 0)]


def test_a_slide_is_told_whole() -> None:
    _, told = run(SLIDING, steady(0, [10, 20, 30, 40, 50, 60]))
    assert demands(told, "apparentPower")[5] == Demand(
        asset="press",
        quantity="apparentPower",
        method="sliding",
        interval=5 * MINUTE,
        start=T0 + MINUTE,
        end=T0 + 6 * MINUTE,
        value=50.0,
        quality=0,
        forecast=None,
        revision=0,
    )


def test_the_first_minutes_are_incomplete() -> None:
    _, told = run(SLIDING, steady(0, [10, 20]))
    assert over(told) == [(-4, 10.0, 7), (-3, 15.0, 7)]


def test_a_hole_makes_every_slide_over_it_incomplete() -> None:
    _, told = run(SLIDING, [*steady(0, [10] * 5), *steady(6, [10] * 6)])
    assert [quality for _, _, quality in over(told)[5:]] == [7, 7, 7, 7, 0, 0]


def test_no_power_is_told_by_blocks_meanwhile() -> None:
    _, told = run(SLIDING, steady(0, [10] * 11))
    assert {d.method for d in demands(told)} == {"sliding"}


def test_currents_are_told_by_blocks_all_the_same() -> None:
    _, told = run(SLIDING, steady(0, [10] * 11))
    found = [(d.method, d.start - T0, d.value) for d in demands(told, "currentA")]
    assert found == [("block", 0, 1.0), ("block", 5 * MINUTE, 1.0)]


def test_a_late_minute_revises_every_slide_over_it() -> None:
    state, _ = run(SLIDING, [*steady(0, [10] * 5), *steady(6, [10, 20])])
    _, told = run(SLIDING, [minute(5, 30.0)], state)
    found = [
        ((d.end - T0) // MINUTE, d.value, d.quality, d.revision) for d in demands(told)
    ]
    assert found == [(6, 14.0, 0, 0), (7, 14.0, 0, 1), (8, 16.0, 0, 1)]


def test_a_revised_minute_tells_only_what_changes() -> None:
    state, _ = run(SLIDING, [minute(0, 10.0), minute(1, NAN)])
    _, told = run(SLIDING, [minute(1, NAN, code=100)], state)
    assert told == []


def test_a_minute_older_than_the_last_interval_changes_nothing() -> None:
    state, _ = run(SLIDING, [minute(1, 10.0), minute(5, 10.0)])
    _, told = run(SLIDING, [minute(0, 99.0)], state)
    assert demands(told) == []


def test_minutes_of_two_intervals_are_kept() -> None:
    state, _ = run(SLIDING, steady(0, [10] * 30))
    assert len(state.slides) == 10
