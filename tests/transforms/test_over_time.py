"""What only time shows: values that stand still, wirings that look wrong, clocks."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.codec.records import Event
from transforms.over_time import OverTime, OverTimeRules, live_quantities, mark_clock
from transforms.windows.fold import fold
from transforms.windows.rows import Rows

SECOND = 1_000_000
CELL = 10 * SECOND
FROZEN, CLOCK, WIRING = 3, 5, 6
RULES = OverTimeRules(frozen_us=30 * SECOND, frozen_readings=5, wiring_us=20 * SECOND)
ASSETS = ["plant/hall/one", "plant/hall/two"]
NAMES = ("voltageAN", "frequency", "demandRealPower")
POWERS = tuple(
    f"{power}{phase}"
    for power in ("realPower", "reactivePower", "apparentPower", "powerFactor")
    for phase in ("A", "B", "C", "")
)

# Two values of a cell for each reading; None has no value.
Values = list[tuple[float | None, float | None]]


def cell(number: int, *values: tuple[float | None, float | None]) -> Rows:
    """The row of the cell that begins so many cells after the epoch."""
    start = np.array([number * CELL])
    numbers = np.array(
        [
            [
                [v if v is not None else 0.0 for v in slot]
                for slot in zip(*values, strict=True)
            ]
        ]
    )
    quality = np.array(
        [
            [
                [0 if v is not None else 100 for v in slot]
                for slot in zip(*values, strict=True)
            ]
        ],
        np.uint8,
    )
    status = np.zeros((1, 2), np.uint8)
    return fold(start, start + CELL, CELL // 2, status, quality, numbers, (None, None))


def machine(
    names: tuple[str, ...] = NAMES, lanes: int = 2, rules: OverTimeRules = RULES
) -> OverTime:
    out = OverTime(
        names,
        "realtime",
        rules,
        period_us=CELL // 2,
        may_freeze=live_quantities(names),
    )
    out.grow(lanes)
    return out


def judged(
    of: OverTime, rows: list[Rows], lane: int = 0
) -> tuple[list[list[int]], list[Event]]:
    """Quality codes of each cell, one cell at a time, and all events."""
    events: list[Event] = []
    for row in rows:
        events += of.judge(np.array([lane]), row, ASSETS)
    return [row["code"][0].tolist() for row in rows], events


def voltages(*values: float | None) -> list[Rows]:
    """Cells one after the other in which the voltage stands at a value."""
    return [
        cell(number, (value, value), (49.9 + number, 50.0), (7.5, 7.5))
        for number, value in enumerate(values)
    ]


def test_a_value_that_stands_still_is_uncertain_from_then_on() -> None:
    codes, _ = judged(machine(), voltages(230.5, 230.5, 230.5, 230.5))
    assert codes == [[0, 0, 0], [0, 0, 0], [FROZEN, 0, 0], [FROZEN, 0, 0]]


def test_a_value_that_moves_again_is_good() -> None:
    codes, _ = judged(machine(), voltages(230.5, 230.5, 230.5, 231.0))
    assert [code[0] for code in codes] == [0, 0, FROZEN, 0]


def test_a_frozen_value_is_told_and_told_again_when_it_moves() -> None:
    _, events = judged(machine(), voltages(1.0, 230.5, 230.5, 230.5, 230.5, 231.0))
    told = Event(
        id=events[0].id,
        asset="plant/hall/one",
        kind="frozen_value",
        time=CELL,
        group="realtime",
        severity="warning",
        text="voltageAN does not move",
        data={"quantity": "voltageAN", "value": "230.5"},
    )
    moved = replace(
        told,
        until=5 * CELL,
        text="voltageAN moves again",
        data={"quantity": "voltageAN"},
        revision=1,
    )
    assert events == [told, moved]


def test_a_value_that_moves_within_a_cell_is_not_frozen() -> None:
    rows = [cell(n, (230.0, 230.5), (50.0, 50.1), (7.5, 7.5)) for n in range(9)]
    codes, events = judged(machine(), rows)
    assert (codes, events) == ([[0, 0, 0]] * 9, [])


def test_zero_never_freezes() -> None:
    codes, events = judged(machine(), voltages(*[0.0] * 9))
    assert (codes, events) == ([[0, 0, 0]] * 9, [])


def test_a_cell_without_a_value_begins_a_standstill_anew() -> None:
    codes, events = judged(
        machine(), voltages(*[7.0] * 2, None, *[7.0] * 2, None, *[7.0] * 3, None)
    )
    assert [code[0] for code in codes] == [0, 0, 0, 0, 0, 0, 0, 0, FROZEN, 0]
    assert [event.time for event in events] == [6 * CELL]


def test_cells_that_did_not_come_begin_a_standstill_anew() -> None:
    rows = voltages(*[7.0] * 9)
    codes, events = judged(machine(), [*rows[:2], *rows[4:]])
    assert [code[0] for code in codes] == [0, 0, 0, 0, FROZEN, FROZEN, FROZEN]
    assert [event.time for event in events] == [4 * CELL]


def test_a_frozen_value_stays_frozen_over_a_hole() -> None:
    rows = voltages(*[7.0] * 9)
    codes, events = judged(machine(), [*rows[:3], *rows[7:]])
    assert [code[0] for code in codes] == [0, 0, FROZEN, FROZEN, FROZEN]
    assert [event.time for event in events] == [0]


def test_a_few_equal_readings_are_not_frozen_however_long_they_last() -> None:
    of = machine(rules=replace(RULES, frozen_readings=10))
    codes, events = judged(of, voltages(*[7.0] * 6))
    assert [code[0] for code in codes] == [0, 0, 0, 0, FROZEN, FROZEN]
    assert [event.time for event in events] == [0]


def test_readings_count_that_have_a_value() -> None:
    of = machine(rules=replace(RULES, frozen_readings=10))
    rows = [cell(n, (7.0, None), (50.0, 50.1), (7.5, 7.5)) for n in range(11)]
    codes, _ = judged(of, rows)
    assert [code[0] for code in codes] == [*[0] * 9, FROZEN, FROZEN]


def test_a_frozen_value_stays_frozen_while_none_comes() -> None:
    _, events = judged(machine(), voltages(5.0, 5.0, 5.0, None, None, 6.0))
    assert [(event.time, event.until) for event in events] == [(0, None), (0, 5 * CELL)]


@pytest.mark.parametrize(
    ("name", "live"),
    [
        ("voltageAN", True),
        ("currentAvg", True),
        ("realPowerA", True),
        ("frequency", True),
        ("powerFactorA", False),
        ("phaseSequence", False),
        ("demandRealPower", False),
        ("maximumVoltageAN", False),
        ("energyImport", False),
        ("alarm1", False),
        ("unheardOf", False),
    ],
)
def test_what_always_moves_is_measured_directly(name: str, live: bool) -> None:
    assert live_quantities([name]).tolist() == [live]


def test_a_frozen_value_is_over_where_its_lane_goes_on_elsewhere() -> None:
    own = machine()
    _, (told,) = judged(own, voltages(230.5, 230.5, 230.5, 230.5))
    (over,) = own.end(0, ASSETS[0], 4 * CELL)
    assert (over.id, over.time, over.until, over.revision) == (
        told.id, 0, 4 * CELL, 1,
    )  # fmt: skip
    assert own.end(0, ASSETS[0], 5 * CELL) == []


def test_what_only_seemed_frozen_ends_without_a_word() -> None:
    own = machine()
    judged(own, voltages(230.5, 230.5))
    assert own.end(0, ASSETS[0], 2 * CELL) == []


# -- wiring --------------------------------------------------------------------------


def loads(*phases: tuple[float, float]) -> Rows:
    """A row of three phases, each with its apparent power and angle in degrees."""
    real = [s * math.cos(math.radians(angle)) for s, angle in phases]
    reactive = [s * math.sin(math.radians(angle)) for s, angle in phases]
    apparent = [s for s, _ in phases]
    factor = [p / s for p, s in zip(real, apparent, strict=True)]
    parts = (real, reactive, apparent, factor)
    values = [number for part in parts for number in (*part, sum(part))]
    return cell(0, *((number, number * 1.001) for number in values))


def wired(*phases: tuple[float, float]) -> tuple[list[str], list[str]]:
    """After 20 s of it: phases that are told, and readings that are uncertain."""
    of, rows = machine(POWERS, 1), [loads(*phases), loads(*phases)]
    for number, row in enumerate(rows):
        row["start"], row["end"] = number * CELL, (number + 1) * CELL
    codes, events = judged(of, rows)
    uncertain = [
        name for name, code in zip(POWERS, codes[1], strict=True) if code == WIRING
    ]
    return [event.data["phase"] for event in events], uncertain


def test_a_load_that_is_wired_right_is_good() -> None:
    assert wired((10, 20), (9, 25), (11, 18)) == ([], [])


def test_a_reversed_transformer_is_told_of_its_phase() -> None:
    phases, uncertain = wired((10, 20), (9, 205), (11, 18))
    assert phases == ["B"]
    assert uncertain == [
        "realPowerB", "realPower", "reactivePowerB", "reactivePower",
        "powerFactorB", "powerFactor",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("angles", "expected"),
    [
        ((130, -110, 10), ["A", "B"]),
        ((10, 130, -110), ["B", "C"]),
        ((-110, 10, 130), ["A", "C"]),
    ],
)
def test_two_exchanged_transformers_are_told_of_both(
    angles: tuple[int, int, int], expected: list[str]
) -> None:
    assert wired(*((10, angle) for angle in angles))[0] == expected


def test_a_phase_that_feeds_back_is_no_wrong_wiring() -> None:
    # A photovoltaic inverter: real power turns, reactive power does not.
    assert wired((10, 20), (9, 175), (11, 18)) == ([], [])


def test_three_phases_that_feed_back_are_no_wrong_wiring() -> None:
    assert wired((10, 200), (9, 205), (11, 198)) == ([], [])


def test_a_phase_without_load_shows_nothing() -> None:
    assert wired((10, 20), (0.01, 205), (11, 18)) == ([], [])


def test_a_wiring_that_is_put_right_is_told_again() -> None:
    of = machine(POWERS, 1)
    wrong, right = ((10, 200), (9, 25), (11, 18)), ((10, 20), (9, 25), (11, 18))
    rows = [loads(*wrong), loads(*wrong), loads(*right)]
    for number, row in enumerate(rows):
        row["start"], row["end"] = number * CELL, (number + 1) * CELL
    codes, events = judged(of, rows)
    assert [code[0] for code in codes] == [0, WIRING, 0]
    assert [(e.time, e.until, e.revision, e.text) for e in events] == [
        (0, None, 0, "the current transformer of phase A looks reversed or exchanged"),
        (0, 2 * CELL, 1, "the current transformer of phase A looks right again"),
    ]


def test_a_wrong_wiring_is_over_where_its_lane_goes_on_elsewhere() -> None:
    of = machine(POWERS, 1)
    rows = [loads((10, 200), (9, 25), (11, 18)) for _ in range(2)]
    for number, row in enumerate(rows):
        row["start"], row["end"] = number * CELL, (number + 1) * CELL
    _, (told,) = judged(of, rows)
    (over,) = of.end(0, ASSETS[0], 2 * CELL)
    assert (over.id, over.until, over.revision) == (told.id, 2 * CELL, 1)


# -- the clock -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [
        (0, None, CLOCK),
        (15 * SECOND, 16 * SECOND, CLOCK),
        (0, 10 * SECOND, 0),
        (20 * SECOND, None, 0),
        (19 * SECOND, 25 * SECOND, CLOCK),
    ],
)
def test_cells_of_a_clock_that_is_off_are_uncertain(
    since: int, until: int | None, expected: int
) -> None:
    row = cell(1, (1.0, 2.0))
    mark_clock(row, since, until)
    assert row["code"].tolist() == [[expected]]


def test_a_reading_without_a_value_is_not_marked() -> None:
    row = cell(1, (None, None))
    mark_clock(row, 0, None)
    assert row["code"].tolist() == [[0]]


# -- laws ----------------------------------------------------------------------------

numbers = st.sampled_from([230.5, 230.5, 231.0, 0.0, None])
steps = st.lists(
    st.tuples(st.sampled_from([1, 1, 1, 2, 9]), st.integers(0, 1), numbers, numbers),
    max_size=30,
)


def _cells(
    given_steps: list[tuple[int, int, float | None, float | None]],
) -> list[tuple[int, Rows]]:
    out, at = [], 0
    for step, lane, first, second in given_steps:
        at += step
        out.append((lane, cell(at, (first, first), (second, 230.5), (first, second))))
    return out


@given(steps)
@settings(max_examples=50)
def test_quality_is_only_made_worse_and_values_stay(
    given_steps: list[tuple[int, int, float | None, float | None]],
) -> None:
    of = machine()
    for lane, row in _cells(given_steps):
        before = row.copy()
        of.judge(np.array([lane]), row, ASSETS)
        assert (row["code"] >= before["code"]).all()
        row["code"] = before["code"]
        assert row.tobytes() == before.tobytes()


@given(steps)
@settings(max_examples=50)
def test_cells_are_judged_alike_at_once_and_one_by_one(
    given_steps: list[tuple[int, int, float | None, float | None]],
) -> None:
    cells = sorted(_cells(given_steps), key=lambda pair: pair[0])
    alone, events = machine(), list[Event]()
    for lane, row in cells:
        events += alone.judge(np.array([lane]), row, ASSETS)
    again = sorted(_cells(given_steps), key=lambda pair: pair[0])
    lanes = np.array([lane for lane, _ in again], np.int64)
    rows = np.concatenate([cell(0, *[(0.0, 0.0)] * 3)[:0], *(row for _, row in again)])
    assert _sorted(machine().judge(lanes, rows, ASSETS)) == _sorted(events)
    assert rows["code"].tolist() == [row["code"][0].tolist() for _, row in cells]


def _sorted(events: list[Event]) -> list[bytes]:
    return sorted(event.encode() for event in events)


@given(steps)
@settings(max_examples=50)
def test_rules_go_on_from_their_snapshot(
    given_steps: list[tuple[int, int, float | None, float | None]],
) -> None:
    whole, split = machine(), machine()
    for lane, row in _cells(given_steps):
        other = row.copy()
        snapshot: tuple[Any, ...] = split.to_snapshot()
        split = machine(lanes=0)
        split.restore(snapshot)
        lanes = np.array([lane])
        assert whole.judge(lanes, row, ASSETS) == split.judge(lanes, other, ASSETS)
        assert row.tobytes() == other.tobytes()


def test_a_snapshot_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="a quality snapshot of version 0"):
        machine().restore((0, *machine().to_snapshot()[1:]))


def test_what_the_former_version_had_frozen_stays_so() -> None:
    first = machine()
    judged(first, voltages(7.0, 7.0, 7.0))
    judged(first, voltages(8.0, 8.0), lane=1)
    former = (1, *first.to_snapshot()[1:6])
    later = machine(lanes=0)
    later.restore(former)
    codes, _ = judged(later, voltages(*[7.0] * 4)[3:])
    assert codes[0][0] == FROZEN
    codes, _ = judged(later, voltages(*[8.0] * 5)[2:], lane=1)
    assert [code[0] for code in codes] == [0, 0, FROZEN]
