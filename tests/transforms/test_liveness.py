from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.liveness import (
    FAILED_SLOTS,
    UNKNOWN,
    Change,
    Liveness,
    silent,
    watch,
    watched_group,
)
from transforms.model.quality import Status

SECOND_US = 1_000_000


def changes(*statuses: Status) -> list[Change | None]:
    state, out = UNKNOWN, []
    for second, status in enumerate(statuses, 100):
        state, change = watch(state, second * SECOND_US, status)
        out.append(change)
    return out


OK, PARTIAL, TIMEOUT, SUSPENDED = (
    Status.OK, Status.PARTIAL, Status.TIMEOUT, Status.SUSPENDED,
)  # fmt: skip


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ([OK], ["back"]),
        ([PARTIAL], ["back"]),
        ([OK, TIMEOUT, TIMEOUT], ["back", None, None]),
        ([OK, TIMEOUT, TIMEOUT, TIMEOUT], ["back", None, None, "lost"]),
        ([TIMEOUT, TIMEOUT, TIMEOUT, TIMEOUT], [None, None, "lost", None]),
        ([TIMEOUT, TIMEOUT, TIMEOUT, OK], [None, None, "lost", "back"]),
        ([OK, TIMEOUT, TIMEOUT, PARTIAL, TIMEOUT], ["back", None, None, None, None]),
        ([OK, *[SUSPENDED] * 9], ["back", *[None] * 9]),
        (
            [OK, TIMEOUT, SUSPENDED, TIMEOUT, TIMEOUT],
            ["back", None, None, None, "lost"],
        ),
    ],
)
def test_three_failed_slots_lose_and_one_answer_brings_back(
    statuses: list[Status], expected: list[Change | None]
) -> None:
    assert changes(*statuses) == expected


def test_a_hole_of_acquisition_is_no_failed_slot() -> None:
    state, _ = watch(UNKNOWN, 100 * SECOND_US, OK)
    state, change = watch(state, 5000 * SECOND_US, TIMEOUT)
    assert (state.failed, change) == (1, None)


def test_a_slot_seen_before_changes_nothing() -> None:
    state, _ = watch(UNKNOWN, 100 * SECOND_US, OK)
    assert watch(state, 100 * SECOND_US, TIMEOUT) == (state, None)
    assert watch(state, 99 * SECOND_US, TIMEOUT) == (state, None)


def test_the_first_failed_slot_is_remembered_as_the_beginning() -> None:
    state = UNKNOWN
    for second, status in enumerate([OK, TIMEOUT, TIMEOUT, TIMEOUT, TIMEOUT]):
        state, _ = watch(state, second * SECOND_US, status)
    assert state.since_us == SECOND_US


@given(st.lists(st.sampled_from(list(Status)), max_size=40))
def test_lost_and_back_alternate_and_each_is_earned(statuses: list[Status]) -> None:
    said = [change for change in changes(*statuses) if change]
    assert all(a != b for a, b in pairwise(said))
    assert said.count("lost") <= len(statuses) // FAILED_SLOTS


@given(st.lists(st.sampled_from(list(Status)), max_size=40), st.integers(0, 40))
def test_a_state_kept_as_a_tuple_goes_on_as_if_unbroken(
    statuses: list[Status], cut: int
) -> None:
    state, out = UNKNOWN, []
    for second, status in enumerate(statuses, 100):
        if second == 100 + cut:
            state = Liveness._make(tuple(state))
        state, change = watch(state, second * SECOND_US, status)
        out.append(change)
    assert out == changes(*statuses)


def test_silence_of_acquisition_loses_after_ten_seconds() -> None:
    alive, _ = watch(UNKNOWN, 100 * SECOND_US, OK)
    assert silent(alive, SECOND_US, 110 * SECOND_US) == (alive, None)
    gone, change = silent(alive, SECOND_US, 111 * SECOND_US)
    assert change == "lost"
    assert silent(gone, SECOND_US, 999 * SECOND_US) == (gone, None)
    assert watch(gone, 111 * SECOND_US, OK)[1] == "back"


def test_silence_waits_for_three_slots_of_a_slow_group() -> None:
    alive, _ = watch(UNKNOWN, 60 * SECOND_US, OK)
    assert silent(alive, 60 * SECOND_US, 240 * SECOND_US)[1] is None
    assert silent(alive, 60 * SECOND_US, 241 * SECOND_US)[1] == "lost"


def test_a_meter_without_realtime_is_watched_by_its_fastest_group() -> None:
    assert watched_group({"demand": 60.0, "energy": 10.0}) == "energy"
    assert watched_group({"energy": 1.0, "realtime": 5.0}) == "realtime"
