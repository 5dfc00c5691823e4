from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.alerts.occurrence import INACTIVE
from transforms.alerts.rule import AlertRule
from transforms.alerts.threshold import quiet, run, step
from transforms.codec.records import Event, content_id

PRESS = "plant/hall1/press"
HIGH = AlertRule(
    name="power", kind="threshold", quantity="realPower", above=100, severity="error"
)
BAND = AlertRule(
    name="voltage", kind="threshold", quantity="voltageAN", above=253, below=207
)


def told(rule: AlertRule, *values: float | None) -> list[Event]:
    """The events of values in slots 0, 10, 20 and so on."""
    state, out = INACTIVE, []
    for place, value in enumerate(values):
        state, events = step(rule, PRESS, state, place * 10, value)
        out += events
    return out


def changes(
    rule: AlertRule, *values: float | None
) -> list[tuple[str, int, int | None]]:
    return [(e.data["state"], e.time, e.until) for e in told(rule, *values)]


def test_a_raised_alert_says_all_about_itself() -> None:
    assert told(HIGH, 90, 123.4) == [
        Event(
            id=content_id(PRESS, "alert", "power", 10),
            asset=PRESS,
            kind="alert",
            time=10,
            severity="error",
            text="realPower 123.4 kW is above 100 kW",
            data={
                "alert": "power",
                "state": "raised",
                "kind": "threshold",
                "quantity": "realPower",
                "value": "123.4",
                "limit": "100",
            },
        )
    ]


def test_a_cleared_alert_is_the_next_revision_with_an_end() -> None:
    assert told(HIGH, 123.4, 95)[1] == Event(
        id=content_id(PRESS, "alert", "power", 0),
        revision=1,
        asset=PRESS,
        kind="alert",
        time=0,
        until=10,
        severity="error",
        text="realPower 95 kW is no longer above 100 kW",
        data={
            "alert": "power",
            "state": "cleared",
            "kind": "threshold",
            "quantity": "realPower",
            "value": "95",
            "limit": "100",
        },
    )


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([100, 100], []),
        ([101, 150, 300], [("raised", 0, None)]),
        ([101, 100], [("raised", 0, None), ("cleared", 0, 10)]),
        ([None, 101, None, None], [("raised", 10, None)]),
        ([101, math.nan, math.inf, -math.inf], [("raised", 0, None)]),
        (
            [101, 90, 101],
            [("raised", 0, None), ("cleared", 0, 10), ("raised", 20, None)],
        ),
    ],
)
def test_a_value_over_the_limit_is_told_once(
    values: list[float | None], expected: list[tuple[str, int, int | None]]
) -> None:
    assert changes(HIGH, *values) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([101, 99, 96, 101, 95.1], [("raised", 0, None)]),
        ([101, 99, 95], [("raised", 0, None), ("cleared", 0, 20)]),
    ],
)
def test_a_value_must_come_back_over_the_hysteresis(
    values: list[float | None], expected: list[tuple[str, int, int | None]]
) -> None:
    assert changes(replace(HIGH, hysteresis=5), *values) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([101, 101], []),
        ([101, 101, 101], [("raised", 0, None)]),
        ([101, 101, 99, 101, 101], []),
        ([101, 101, 99, 101, 101, 101], [("raised", 30, None)]),
        ([101, None, 101], [("raised", 0, None)]),
        ([101, None, None, None], []),
        ([101, None, None, 99], []),
    ],
)
def test_the_condition_must_hold_for_the_delay(
    values: list[float | None], expected: list[tuple[str, int, int | None]]
) -> None:
    assert changes(replace(HIGH, delay_us=20), *values) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([101, 99, 99], [("raised", 0, None)]),
        ([101, 99, 99, 99], [("raised", 0, None), ("cleared", 0, 10)]),
        ([101, 99, 99, 101, 99, 99], [("raised", 0, None)]),
        ([101, 99, None, 99], [("raised", 0, None), ("cleared", 0, 10)]),
        ([101, 99, None, None, None], [("raised", 0, None)]),
    ],
)
def test_the_value_must_be_back_for_the_delay_to_clear(
    values: list[float | None], expected: list[tuple[str, int, int | None]]
) -> None:
    assert changes(replace(HIGH, clear_delay_us=20), *values) == expected


def test_the_hysteresis_does_not_count_before_an_alert_is_raised() -> None:
    assert changes(replace(HIGH, hysteresis=5, delay_us=20), 101, 99, 101) == []


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (260, "voltageAN 260 V is above 253 V"),
        (200.5, "voltageAN 200.5 V is below 207 V"),
    ],
)
def test_a_band_says_which_limit_was_passed(value: float, text: str) -> None:
    assert [event.text for event in told(BAND, 230, value)] == [text]


def test_a_band_is_over_between_both_limits() -> None:
    event = told(BAND, 260, 230)[1]
    assert event.text == "voltageAN 230 V is between 207 and 253 V again"


def test_from_one_limit_to_the_other_is_one_occurrence() -> None:
    assert changes(BAND, 260, 200, 230) == [("raised", 0, None), ("cleared", 0, 20)]


def test_a_limit_below_has_its_hysteresis_above_it() -> None:
    low = replace(BAND, above=None, hysteresis=3)
    assert changes(low, 200, 209, 210) == [("raised", 0, None), ("cleared", 0, 20)]


def test_a_slot_that_came_before_is_ignored_while_an_alert_is_raised() -> None:
    state, _ = step(HIGH, PRESS, INACTIVE, 10, 101)
    assert step(HIGH, PRESS, state, 10, 90) == (state, [])


def test_a_float32_has_no_more_digits_than_it_has() -> None:
    (event,) = told(HIGH, float(np.float32(123.4)))
    assert event.data["value"] == "123.4"


numbers = st.one_of(
    st.none(),
    st.sampled_from([94.0, 95.0, 99.0, 100.0, 100.5, 101.0, math.nan, math.inf]),
)
rules = st.builds(
    replace,
    st.just(HIGH),
    below=st.sampled_from([None, 94.5]),
    hysteresis=st.sampled_from([0.0, 2.0]),
    delay_us=st.sampled_from([0, 10, 25]),
    clear_delay_us=st.sampled_from([0, 10, 25]),
)


@given(rules, st.lists(numbers, max_size=40))
def test_raised_and_cleared_alternate(
    rule: AlertRule, values: list[float | None]
) -> None:
    states = [event.data["state"] for event in told(rule, *values)]
    assert all(a != b for a, b in pairwise(["cleared", *states]))


@given(rules, st.lists(numbers, max_size=40))
def test_no_two_records_have_one_id_and_one_revision(
    rule: AlertRule, values: list[float | None]
) -> None:
    found = [(event.id, event.revision) for event in told(rule, *values)]
    assert len(set(found)) == len(found)


@given(rules, st.lists(numbers, max_size=40), numbers)
def test_a_slot_without_a_value_changes_nothing(
    rule: AlertRule, values: list[float | None], value: float | None
) -> None:
    state = INACTIVE
    for place, each in enumerate([*values, value]):
        state, _ = step(rule, PRESS, state, place, each)
    assert step(rule, PRESS, state, 99, None) == (state, [])


@given(rules, numbers)
def test_a_quiet_value_is_one_that_does_nothing(
    rule: AlertRule, value: float | None
) -> None:
    column = np.array([math.nan if value is None else value])
    does_nothing = step(rule, PRESS, INACTIVE, 0, value) == (INACTIVE, [])
    assert quiet(rule, column).tolist() == [does_nothing]


def test_a_float32_is_quiet_where_its_own_value_is() -> None:
    column = np.array([0.1], np.float32)
    rule = replace(HIGH, above=0.1)
    assert quiet(rule, column).tolist() == [False]


@settings(max_examples=200)
@given(rules, st.lists(numbers, max_size=40), st.integers(0, 40))
def test_a_column_is_its_values_one_by_one(
    rule: AlertRule, values: list[float | None], cut: int
) -> None:
    column = np.array([math.nan if v is None else v for v in values], np.float64)
    slots = np.arange(len(values), dtype=np.int64) * 10
    state, first = run(rule, PRESS, INACTIVE, slots[:cut], column[:cut])
    state, second = run(rule, PRESS, state, slots[cut:], column[cut:])
    assert [event for _, event in first + second] == told(rule, *values)
