from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transforms.demand.minutes import MINUTE, NAN, minute
from transforms.demand.mean import DemandMinute, Mean, known, mean_of

anything = st.tuples(*[st.floats()] * 5)
strange = st.builds(
    DemandMinute,
    st.just(0),
    st.sampled_from([MINUTE, 0, -MINUTE]),
    anything,
    anything,
    st.tuples(*[st.integers(0, 255)] * 5),
)


def test_a_mean_is_weighted_by_the_seconds_covered() -> None:
    found = mean_of([minute(0, 10.0, seconds=30), minute(1, 40.0)], 0, 2 * MINUTE)
    assert found == Mean(30.0, 7, 90.0)


def test_the_worst_code_of_whole_minutes_counts() -> None:
    found = mean_of([minute(0, 10.0, code=5), minute(1, 20.0, code=2)], 0, 2 * MINUTE)
    assert found == Mean(15.0, 5, 120.0)


def test_nothing_known_has_no_value() -> None:
    assert mean_of([known(minute(0, NAN))], 0, MINUTE) == Mean(None, 100, 0.0)


@pytest.mark.parametrize(
    "unknown",
    [
        minute(0, NAN),
        minute(0, math.inf),
        minute(0, -2e9),
        minute(0, 1.0, code=101),
        minute(0, 1.0, seconds=0.0),
        minute(0, 1.0, seconds=NAN),
    ],
)
def test_what_is_not_known_is_plain(unknown: DemandMinute) -> None:
    found = known(unknown)
    assert (found.means[0], found.weights[0], found.codes[0]) == (0.0, 0.0, 100)


def test_a_minute_that_is_plain_is_given_back_itself() -> None:
    whole = DemandMinute(0, MINUTE, (1.0,) * 5, (60.0,) * 5, (0,) * 5)
    assert known(whole) is whole


def test_no_weight_is_longer_than_the_minute() -> None:
    assert known(minute(0, 1.0, seconds=61.0)).weights[0] == 60.0


@given(strange)
def test_a_known_minute_equals_itself_known_again(found: DemandMinute) -> None:
    assert known(known(found)) == known(found)


@given(st.lists(strange))
def test_no_minutes_raise(found: list[DemandMinute]) -> None:
    mean_of([known(one) for one in found], 0, MINUTE)


@given(st.lists(st.floats(0.001, 1e6), min_size=1, max_size=60))
def test_a_whole_mean_is_the_mean_of_its_minutes(kws: list[float]) -> None:
    minutes = [minute(number, kw) for number, kw in enumerate(kws)]
    found = mean_of(minutes, 0, len(kws) * MINUTE)
    assert found.value == pytest.approx(math.fsum(kws) / len(kws), rel=1e-12, abs=0)
