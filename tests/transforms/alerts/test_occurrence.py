from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.alerts.occurrence import INACTIVE, Words, turn
from transforms.alerts.rule import AlertRule
from transforms.codec.records import Event, content_id

PRESS = "plant/hall1/press"
LOST = AlertRule(name="lost", kind="comm_lost")
LATER = replace(LOST, delay_us=20)
WORDS = Words("it is so", "it is over", {"why": "x"})

Turn = tuple[int, bool | None]
Change = tuple[int, int, int | None]


def told(rule: AlertRule, *turns: Turn, words: Words = WORDS) -> list[Event]:
    state, out = INACTIVE, []
    for at_us, on in turns:
        state, events = turn(rule, PRESS, state, at_us, on, words)
        out += events
    return out


def changes(rule: AlertRule, *turns: Turn) -> list[Change]:
    return [(e.revision, e.time, e.until) for e in told(rule, *turns)]


def test_a_condition_is_raised_in_its_own_words() -> None:
    assert told(LOST, (5, True)) == [
        Event(
            id=content_id(PRESS, "alert", "lost", 5),
            asset=PRESS,
            kind="alert",
            time=5,
            severity="warning",
            text="it is so",
            data={
                "alert": "lost",
                "state": "raised",
                "kind": "comm_lost",
                "why": "x",
            },
        )
    ]


def test_a_condition_is_cleared_in_its_own_words() -> None:
    event = told(LOST, (5, True), (9, False))[1]
    assert (event.text, event.data["state"]) == ("it is over", "cleared")


def test_a_subject_makes_occurrences_of_one_instant_differ() -> None:
    (event,) = told(LOST, (5, True), words=WORDS._replace(subject="currentA"))
    assert event.id == content_id(PRESS, "alert", "lost", 5, "currentA")


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        ([(5, False)], []),
        ([(5, None)], []),
        ([(5, True), (6, True), (7, True)], [(0, 5, None)]),
        ([(5, True), (9, False)], [(0, 5, None), (1, 5, 9)]),
        ([(5, True), (9, False), (9, False)], [(0, 5, None), (1, 5, 9)]),
        ([(5, True), (4, False)], [(0, 5, None)]),
        (
            [(5, True), (9, False), (9, True)],
            [(0, 5, None), (1, 5, 9), (0, 9, None)],
        ),
    ],
)
def test_a_condition_is_told_when_it_changes(
    turns: list[Turn], expected: list[Change]
) -> None:
    assert changes(LOST, *turns) == expected


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        ([(5, True), (24, None)], []),
        ([(5, True), (25, None)], [(0, 5, None)]),
        ([(5, True), (24, False)], []),
        ([(5, True), (25, False)], [(0, 5, None), (1, 5, 25)]),
        ([(5, True), (10, False), (15, True), (30, None)], []),
        ([(5, True), (15, True), (25, True)], [(0, 5, None)]),
    ],
)
def test_a_condition_holds_until_it_is_told_otherwise(
    turns: list[Turn], expected: list[Change]
) -> None:
    assert changes(LATER, *turns) == expected


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        ([(5, True), (10, False), (29, None)], [(0, 5, None)]),
        ([(5, True), (10, False), (30, None)], [(0, 5, None), (1, 5, 10)]),
        ([(5, True), (10, False), (20, True), (40, None)], [(0, 5, None)]),
        (
            [(5, True), (10, False), (40, True)],
            [(0, 5, None), (1, 5, 10), (0, 40, None)],
        ),
    ],
)
def test_a_condition_must_be_over_for_the_delay_to_clear(
    turns: list[Turn], expected: list[Change]
) -> None:
    assert changes(replace(LOST, clear_delay_us=20), *turns) == expected


def test_what_is_taken_back_at_its_own_instant_goes_on_in_revisions() -> None:
    found = changes(LOST, (5, True), (5, False), (5, True), (8, False))
    assert found == [(0, 5, None), (1, 5, 5), (2, 5, None), (3, 5, 8)]


@st.composite
def courses(draw: st.DrawFn) -> list[Turn]:
    steps = draw(
        st.lists(st.tuples(st.integers(0, 15), st.sampled_from([True, False, None])))
    )
    at_us, out = 0, []
    for ahead, on in steps:
        at_us += ahead
        out.append((at_us, on))
    return out


delayed = st.builds(
    replace,
    st.just(LOST),
    delay_us=st.sampled_from([0, 10, 25]),
    clear_delay_us=st.sampled_from([0, 10, 25]),
)


@given(delayed, courses())
def test_raised_and_cleared_alternate(rule: AlertRule, course: list[Turn]) -> None:
    states = [event.data["state"] for event in told(rule, *course)]
    assert all(a != b for a, b in pairwise(["cleared", *states]))


@given(delayed, courses())
def test_no_two_records_have_one_id_and_one_revision(
    rule: AlertRule, course: list[Turn]
) -> None:
    found = [(event.id, event.revision) for event in told(rule, *course)]
    assert len(set(found)) == len(found)


@settings(max_examples=200)
@given(delayed, courses())
def test_looking_at_the_time_between_changes_no_record(
    rule: AlertRule, course: list[Turn]
) -> None:
    seldom = [turn for turn in course if turn[1] is not None]
    end = (10_000, None)
    assert told(rule, *course, end) == told(rule, *seldom, end)
