from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sinks.sparkplug.owed import MOST_RANGES, NOTHING, Owed

DEVICES = ("a", "b")
RANGES = st.tuples(
    st.sampled_from(DEVICES), st.integers(0, 200), st.integers(0, 20)
).map(lambda r: (r[0], r[1], r[1] + r[2]))


def owing(ranges: list[tuple[str, int, int]]) -> Owed:
    owed = NOTHING
    for device, start, stop in ranges:
        owed = owed.add((device,), start, stop)
    return owed


def offsets(owed: Owed) -> set[tuple[str, int]]:
    return {(d, n) for d in DEVICES for n in range(230) if owed.holds(d, n)}


@given(st.lists(RANGES, max_size=20))
def test_what_was_added_is_owed_and_nothing_else(
    ranges: list[tuple[str, int, int]],
) -> None:
    owed = owing(ranges)
    wanted = {(d, n) for d, start, stop in ranges for n in range(start, stop)}
    assert offsets(owed) == wanted
    assert owed.lowest() == min((n for _, n in wanted), default=None)
    assert owed.records == len({n for _, n in wanted})


@given(st.lists(RANGES, max_size=20), st.integers(0, 230))
def test_settling_takes_what_lies_below(
    ranges: list[tuple[str, int, int]], stop: int
) -> None:
    owed = owing(ranges)
    left = {(d, n) for d, n in offsets(owed) if n >= stop or d != "a"}
    assert offsets(owed.settle(("a",), stop)) == left


@given(st.lists(RANGES, max_size=10), st.lists(RANGES, max_size=10))
def test_a_union_owes_what_either_owes(
    one: list[tuple[str, int, int]], other: list[tuple[str, int, int]]
) -> None:
    both = owing(one).union(owing(other))
    assert offsets(both) == offsets(owing(one)) | offsets(owing(other))


def test_too_many_ranges_are_joined_over_the_nearest_gaps_and_lose_nothing() -> None:
    owed = NOTHING
    for n in range(100):
        owed = owed.add(("a",), 10 * n, 10 * n + 1)
    assert len(owed.ranges["a"]) == MOST_RANGES
    assert all(owed.holds("a", 10 * n) for n in range(100))
