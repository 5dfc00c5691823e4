from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.numbering import (
    UNKNOWN,
    WINDOW,
    Arrival,
    Numbering,
    from_snapshot,
    step,
    to_snapshot,
)

LAST = 2**32 - 1


class Message(NamedTuple):
    seq: int
    time_us: int


def arrivals(messages: Sequence[Message]) -> list[Arrival]:
    state, out = UNKNOWN, []
    for message in messages:
        state, arrival = step(state, message.seq, message.time_us)
        out.append(arrival)
    return out


def kinds(*messages: tuple[int, int]) -> list[str]:
    return [arrival.kind for arrival in arrivals([Message(*m) for m in messages])]


def new(messages: Sequence[Message]) -> list[Message]:
    found = arrivals(messages)
    return [m for m, a in zip(messages, found, strict=True) if a.is_new]


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([(7, 1), (8, 2), (9, 3)], ["first", "next", "next"]),
        ([(7, 1), (7, 1)], ["first", "duplicate"]),
        ([(7, 1), (8, 2), (7, 1)], ["first", "next", "duplicate"]),
        ([(7, 1), (9, 3), (8, 2)], ["first", "gap", "reorder"]),
        ([(7, 1), (9, 3), (8, 2), (8, 2)], ["first", "gap", "reorder", "duplicate"]),
        ([(7, 2), (6, 1)], ["first", "reorder"]),
        ([(LAST, 1), (0, 2), (1, 3)], ["first", "wrap", "next"]),
        ([(LAST, 1), (0, 2), (LAST, 1)], ["first", "wrap", "duplicate"]),
        ([(LAST - 1, 1), (0, 3), (LAST, 2)], ["first", "wrap", "reorder"]),
        ([(50_000, 1), (0, 2), (1, 3)], ["first", "restart", "next"]),
        ([(50_000, 1), (3, 5), (1, 3)], ["first", "restart", "reorder"]),
        ([(3_000_000_000, 1), (0, 2)], ["first", "restart"]),
        ([(50_000, 9), (40_000, 5)], ["first", "late"]),
        ([(50_000, 9), (40_000, 10)], ["first", "restart"]),
        ([(-1, 1), (-1, 1)], ["unnumbered", "unnumbered"]),
        ([(2**32, 1)], ["unnumbered"]),
    ],
)
def test_each_number_is_told_as_what_it_is(
    messages: list[tuple[int, int]], expected: list[str]
) -> None:
    assert kinds(*messages) == expected


def test_a_gap_says_which_numbers_are_missing() -> None:
    assert arrivals([Message(7, 1), Message(11, 2)])[1] == Arrival("gap", 8, 10, 3)


def test_a_wrap_says_which_numbers_are_missing_across_it() -> None:
    found = arrivals([Message(LAST - 1, 1), Message(2, 2)])
    assert found[1] == Arrival("wrap", LAST, 1, 3)


def test_a_wrap_without_a_hole_misses_nothing() -> None:
    assert arrivals([Message(LAST, 1), Message(0, 2)])[1] == Arrival("wrap")


def test_a_restart_says_which_numbers_are_missing_since() -> None:
    found = arrivals([Message(50_000, 1), Message(2, 2)])
    assert found[1] == Arrival("restart", 0, 1, 2)


def test_a_message_without_a_number_is_always_new() -> None:
    assert all(a.is_new for a in arrivals([Message(-1, 1), Message(-1, 1)]))


def test_a_message_without_a_number_changes_nothing() -> None:
    state, _ = step(UNKNOWN, 7, 1)
    assert step(state, -1, 2)[0] == state


def test_a_restart_after_few_messages_is_no_duplicate() -> None:
    messages = [(0, 1), (1, 2), (2, 3), (0, 10), (1, 11), (2, 12), (3, 13)]
    assert kinds(*messages)[3:] == ["restart", "next", "next", "next"]


def test_a_device_that_restarts_again_and_again_is_told_so() -> None:
    assert kinds((0, 1), (0, 5), (0, 9)) == ["first", "restart", "restart"]


def test_a_restart_that_sets_the_devices_clock_back_is_a_restart() -> None:
    before = [(0, 5), (1, 6), (2, 9_000)]
    assert kinds(*before, (0, 4), (1, 7))[3:] == ["restart", "next"]


def test_a_restart_far_back_that_sets_the_devices_clock_back_is_a_restart() -> None:
    assert kinds((50_000, 9_000), (0, 5), (1, 6)) == ["first", "restart", "next"]


def test_a_copy_of_a_beginning_long_ago_is_no_restart() -> None:
    assert kinds((0, 5), (50_000, 9_000), (0, 5)) == ["first", "gap", "late"]


def test_a_copy_from_before_the_restart_is_a_duplicate() -> None:
    messages = [(50_000, 8), (50_001, 9), (0, 20), (50_001, 9), (1, 21)]
    assert kinds(*messages)[2:] == ["restart", "duplicate", "next"]


def test_a_message_of_before_the_restart_that_comes_after_it_is_new() -> None:
    messages = [(50_000, 7), (50_002, 9), (0, 20), (50_001, 8), (1, 21)]
    assert kinds(*messages)[2:] == ["restart", "reorder", "next"]


def test_a_copy_from_before_a_restart_that_set_the_clock_back_is_a_duplicate() -> None:
    messages = [(50_000, 800), (50_001, 900), (0, 5), (50_001, 900), (1, 6)]
    assert kinds(*messages)[2:] == ["restart", "duplicate", "next"]


def test_a_number_behind_the_window_is_late() -> None:
    assert kinds((9_000, 9), (9_000 - WINDOW, 5)) == ["first", "late"]


def test_the_last_number_of_the_window_is_known() -> None:
    first = 9_000 - WINDOW + 1
    assert kinds((first, 5), (9_000, 9), (first, 5)) == ["first", "gap", "duplicate"]


@st.composite
def runs(draw: st.DrawFn) -> list[Message]:
    """Growing numbers and times, across the wrap too, with holes."""
    start = draw(st.sampled_from([0, 1, 5, 4_000, 1_000_000, LAST - 20, LAST]))
    steps = draw(st.lists(st.integers(1, 3), max_size=60))
    jump = draw(st.sampled_from([0, 0, 5_000]))
    ticks = draw(st.lists(st.integers(0, 2), min_size=60, max_size=60))
    out, seq, time_us = [Message(start, 100)], start, 100
    for place, ahead in enumerate(steps):
        seq += ahead + jump * (place == 30)
        time_us += ticks[place]
        out.append(Message(seq % 2**32, time_us))
    return out


@settings(max_examples=200)
@given(runs(), st.lists(st.booleans(), max_size=130))
def test_two_copies_of_a_run_give_each_number_once(
    run: list[Message], order: list[bool]
) -> None:
    copies = [list(reversed(run)), list(reversed(run))]
    mixed = [copies[second].pop() for second in order if copies[second]]
    mixed += reversed(copies[0])
    mixed += reversed(copies[1])
    assert new(mixed) == run


@settings(max_examples=100)
@given(runs())
def test_a_copy_that_comes_after_all_is_not_new(run: list[Message]) -> None:
    assert new(run + run) == run


@settings(max_examples=200)
@given(
    st.sampled_from([0, 3, 4_000, 10**6, LAST - 30, LAST]),
    st.permutations(range(60)),
)
def test_in_any_order_each_number_is_new_once(start: int, order: list[int]) -> None:
    run = [Message((start + n) % 2**32, 100 + n) for n in range(60)]
    assert sorted(new([run[n] for n in order])) == sorted(run)


@given(st.integers(0, 40), st.integers(0, 40))
def test_a_wrap_loses_nothing(before: int, after: int) -> None:
    run = [Message((LAST - before + n) % 2**32, n) for n in range(before + after + 1)]
    assert sum(arrival.missing for arrival in arrivals(run)) == 0


@settings(max_examples=200)
@given(
    st.lists(st.integers(3, 30), min_size=1, max_size=5),
    st.integers(0, 3),
)
def test_two_copies_across_restarts_give_each_message_once(
    lengths: list[int], lag: int
) -> None:
    run: list[Message] = []
    for number, length in enumerate(lengths):
        run += [Message(n, number * 1_000 + n) for n in range(length)]
    mixed = run[:lag]
    for place, message in enumerate(run):
        mixed += [*run[place + lag : place + lag + 1], message]
    assert new(mixed) == run


@settings(max_examples=100)
@given(
    st.lists(
        st.tuples(
            st.one_of(st.integers(-1, 30), st.integers(0, 2**32), st.just(LAST)),
            st.integers(0, 1_000),
        ).map(lambda pair: Message(*pair)),
        max_size=40,
    ),
    st.integers(0, 40),
)
def test_a_restored_state_is_the_state_that_was_kept(
    messages: list[Message], place: int
) -> None:
    state: Numbering = UNKNOWN
    for message in messages[:place]:
        state, _ = step(state, *message)
    restored = from_snapshot(to_snapshot(state))
    assert restored == state


def test_another_version_of_the_state_is_refused() -> None:
    with pytest.raises(ValueError, match="a numbering snapshot of version 9 is not"):
        from_snapshot((9, None, None))
