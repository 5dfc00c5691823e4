"""The parts of a bay: slots to rows, rows to windows, and what is late."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.calendar import Calendar
from transforms.sequence import EMPTY
from transforms.windows.bay import ladder
from transforms.windows.cells import Cells, Slots
from transforms.windows.fold import fold
from transforms.windows.level import Level, rounds
from transforms.windows.rows import Rows, codes_of, merge, no_rows

SECOND = 1_000_000
MINUTE = 60 * SECOND
UTC = Calendar("UTC")

few = settings(max_examples=50)
# Sums of these are not exact, so their order shows.
values = st.sampled_from([0.1, 1e9, -0.3, 7.7, -1e9, 0.0])
codes = st.sampled_from([0, 0, 0, 1, 3, 100, 105])


@st.composite
def some_cells(draw: st.DrawFn) -> tuple[npt.NDArray[Any], ...]:
    """Status, quality and values of up to six cells; two readings are powers."""
    count = draw(st.integers(1, 6))
    slots = draw(st.sampled_from([1, 3, 10, 50]))
    readings = draw(st.sampled_from([1, 2, 5]))
    seed = draw(st.integers(0, 1 << 32))
    chance = np.random.default_rng(seed)
    return (
        chance.choice(np.array([0, 0, 0, 2, EMPTY], np.uint8), (count, slots)),
        chance.choice(np.array([0, 0, 1, 4, 100], np.uint8), (count, slots, readings)),
        chance.normal(0, 1e6, (count, slots, readings)),
    )


def _folded(
    status: npt.NDArray[np.uint8],
    quality: npt.NDArray[np.uint8],
    numbers: npt.NDArray[np.generic],
) -> Rows:
    starts = np.arange(len(status)) * MINUTE
    return fold(
        starts, starts + MINUTE, SECOND // 5, status, quality, numbers, (0, None)
    )


@given(some_cells())
@few
def test_a_cell_gives_the_same_row_alone_and_among_others(
    cells: tuple[npt.NDArray[Any], ...],
) -> None:
    status, quality, numbers = cells
    together = _folded(status, quality, numbers)
    last = slice(len(status) - 1, None)
    alone = _folded(status[last], quality[last], numbers[last])
    for name in ("area", "flows", "weight", "low", "high", "last", "code", "bad"):
        assert alone[name].tobytes() == together[name][last].tobytes()


def _single(slots: list[tuple[int, float]]) -> list[Rows]:
    """A row for each slot, in their order."""
    return [
        fold(
            np.array([number * SECOND]),
            np.array([MINUTE]),
            SECOND,
            np.zeros((1, 1), np.uint8),
            np.full((1, 1, 1), code, np.uint8),
            np.full((1, 1, 1), value),
            (None, None),
        )
        for number, (code, value) in enumerate(slots)
    ]


def _merged(rows: list[Rows]) -> Rows:
    into = no_rows(1, 1)
    for row in rows:
        merge(into, row)
    return into


@given(
    st.lists(st.tuples(codes, values), min_size=1, max_size=8).flatmap(
        lambda slots: st.tuples(
            st.just(_single(slots)), st.permutations(range(len(slots)))
        )
    )
)
@few
def test_rows_are_merged_in_any_order(run: tuple[list[Rows], list[int]]) -> None:
    rows, order = run
    one, other = _merged(rows), _merged([rows[number] for number in order])
    sums = one["area"] + one["rest"]
    assert (other["area"] + other["rest"])[0, 0] == pytest.approx(sums[0, 0], abs=1e-9)
    for name in (
        "good",
        "seen",
        "goods",
        "weight",
        "low",
        "high",
        "code",
        "bad",
        "last_us",
    ):
        assert np.array_equal(one[name], other[name], equal_nan=True)


def test_power_that_is_fed_back_flows_the_other_way() -> None:
    status, quality = np.zeros((1, 2), np.uint8), np.zeros((1, 2, 2), np.uint8)
    numbers = np.array([[[36.0, 1.0], [-18.0, 2.0]]])
    row = fold(
        np.array([0]), np.array([2 * SECOND]), SECOND, status, quality, numbers, (0, 1)
    )
    assert row["flows"][0].tolist() == pytest.approx([0.01, 0.005, 3 / 3600, 0.0])


def _code(slots: list[tuple[int, float]], due: int) -> int:
    return int(codes_of(_merged(_single(slots)), np.array([due]), SECOND)[0, 0])


@pytest.mark.parametrize(
    ("codes", "due", "expected"),
    [
        ([0, 0], 2, 0),
        ([0, 1], 2, 1),
        ([0, 0], 3, 7),
        ([0, 100], 2, 7),
        ([1, 105], 2, 7),
        ([0, 3], 2, 3),
        ([3, 105], 2, 7),
        ([0, 2], 2, 2),
        ([0, 2], 3, 7),
        ([3, 3], 3, 7),
        ([100, 105], 2, 105),
        ([102], 9, 102),
    ],
)  # fmt: skip
def test_the_quality_of_a_window_is_the_worst_of_it(
    codes: list[int], due: int, expected: int
) -> None:
    assert _code([(code, 1.0) for code in codes], due) == expected


@pytest.mark.parametrize(
    ("lengths", "period", "expected"),
    [
        ([10, 60, 900], 1, (10, [(10, 0), (60, 10), (900, 60)])),
        ([10, 60, 900], 15, (60, [(60, 0), (900, 60)])),
        ([60, 600, 900], 1, (60, [(60, 0), (600, 60), (900, 60)])),
        ([60], 7, (7, [])),
        ([960], 960, (960, [(960, 0)])),
    ],
)
def test_windows_are_built_from_the_longest_that_divides_them(
    lengths: list[int], period: int, expected: tuple[int, list[tuple[int, int]]]
) -> None:
    cell, steps = ladder([length * SECOND for length in lengths], period * SECOND)
    found = cell // SECOND, [(a // SECOND, b // SECOND) for a, b in steps]
    assert found == expected


@given(st.lists(st.integers(0, 3), max_size=12))
def test_no_lane_comes_twice_in_a_round(lanes: list[int]) -> None:
    found = [places.tolist() for places in rounds(np.array(lanes, np.int64))]
    assert sorted(place for places in found for place in places) == list(
        range(len(lanes))
    )
    for places in found:
        assert len({lanes[place] for place in places}) == len(places)


def _kept(level: Level, lane: int, starts: range, before_us: int) -> list[int]:
    rows = no_rows(len(starts), 1)
    rows["start"], rows["end"] = starts, [start + MINUTE for start in starts]
    level.keep(np.full(len(starts), lane), rows, np.full(len(starts), before_us))
    return list(level.kept[lane])


def test_closed_windows_are_forgotten_though_another_lane_is_silent() -> None:
    level = Level(MINUTE, 1, UTC)
    _kept(level, 0, range(0, MINUTE, MINUTE), 0)
    _kept(level, 1, range(0, 9 * MINUTE, MINUTE), 0)
    found = _kept(level, 1, range(9 * MINUTE, 10 * MINUTE, MINUTE), 7 * MINUTE)
    assert found == [7 * MINUTE, 8 * MINUTE, 9 * MINUTE]


def _plainly_late(frames: list[tuple[int, int]], lateness: int) -> list[bool]:
    newest: dict[int, int] = {}
    out = []
    for lane, slot in frames:
        end = (slot // (10 * SECOND) + 1) * 10 * SECOND
        out.append(end <= newest.get(lane, 0) - lateness)
        newest[lane] = max(newest.get(lane, 0), slot)
    return out


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 60).map(lambda n: n * SECOND)),
        min_size=1,
        max_size=30,
    ),
    st.sampled_from([0, SECOND, 12 * SECOND]),
    st.integers(0, 30),
)
def test_late_is_what_belongs_to_cells_that_are_closed(
    frames: list[tuple[int, int]], lateness: int, before: int
) -> None:
    cells = Cells(
        period_us=SECOND,
        cell_us=10 * SECOND,
        lateness_us=lateness,
        readings=1,
        dtype=np.float32,
        powers=(None, None),
    )
    cells.grow(3)
    for lane, slot in frames[:before]:
        cells.newest_us[lane] = max(int(cells.newest_us[lane]), slot)
    lanes, slots = np.array(frames).T
    found = (
        cells.late(lanes[before:], slots[before:]).tolist()
        if before < len(frames)
        else []
    )
    assert found == _plainly_late(frames, lateness)[before:]


def test_cells_that_are_put_aside_are_used_again() -> None:
    cells = Cells(
        period_us=SECOND,
        cell_us=SECOND,
        lateness_us=0,
        readings=1,
        dtype=np.float32,
        powers=(None, None),
    )
    cells.grow(1)
    for slot in range(100):
        cells.add(_frame(slot * SECOND))
    assert len(cells.to_snapshot()[3]) == 8


def _frame(slot: int) -> Slots:
    zeros = np.zeros((1, 1), np.uint8)
    return Slots(
        np.zeros(1, np.int64), np.array([slot]), zeros[0], zeros, np.ones((1, 1))
    )
