from __future__ import annotations

from typing import Any

import pytest

from transforms.energy.counter import CounterRules, Reading, follows, reach_wh, step_wh
from transforms.energy.surgeon import (
    NEW,
    Change,
    Finding,
    Surgeon,
    change,
    from_snapshot,
    see,
    to_snapshot,
)

SECOND_US = 1_000_000


def rules(**known: Any) -> CounterRules:
    return CounterRules(**({"quantity": "energyImport"} | known))


def seen(
    *readings: tuple[int, int] | tuple[int, Change], counter: CounterRules | None = None
) -> tuple[int, list[str], Surgeon]:
    """Booked energy, kinds found and state after readings in Wh at seconds."""
    state, booked, kinds = NEW, 0, []
    for at, what in readings:
        if isinstance(what, str):
            state, steps, findings = change(state, at * SECOND_US, what)
        else:
            state, steps, findings = see(
                counter or rules(), state, at * SECOND_US, what
            )
        booked += sum(step.delta_wh - step.undo_wh for step in steps)
        kinds += [finding.kind for finding in findings]
    return booked, kinds, state


@pytest.mark.parametrize(
    ("readings", "booked", "kinds"),
    [
        pytest.param([(0, 5000), (10, 5100)], 100, [], id="plain"),
        pytest.param([(0, 5000), (10, 5100), (10, 9)], 100, [], id="same slot again"),
        pytest.param([(0, 5000), (10, 5100), (5, 9)], 100, [], id="older slot"),
        pytest.param([(0, 5000), (10, 4999), (20, 5000)], 0, [], id="one step back"),
        pytest.param([(0, 50_000), (10, 0)], 0, [], id="zero is held"),
        pytest.param(
            [(0, 50_000), (10, 0), (20, 50_200)],
            200, ["transient_zero"], id="zero and back",
        ),
        pytest.param(
            [(0, 50_000), (10, 0), (20, 0), (30, 50_300)],
            300, ["transient_zero"], id="two zeros and back",
        ),
        pytest.param(
            [(0, 50_000), (10, 0), (20, 7_000), (30, 50_300)],
            300, ["stale_answer"], id="zero, another value, and back",
        ),
        pytest.param(
            [(0, 50_000), (10, 900_000), (20, 50_200)],
            200, ["stale_answer"], id="beyond reach and back",
        ),
        pytest.param(
            [(0, 50_000), (10, 0), (20, 100), (30, 200)],
            200, ["reset"], id="reset at zero",
        ),
        pytest.param(
            [(0, 50_000), (10, 40), (20, 140), (30, 240)],
            240, ["reset"], id="what a reset counter shows has flowed",
        ),
        pytest.param(
            [(0, 90_000), (10, 40_000), (20, 40_100), (30, 40_200)],
            200, ["reset"], id="what cannot have flowed is not booked",
        ),
        pytest.param(
            [(0, 50_000), (10, 900_000), (20, 900_100), (30, 900_200)],
            200, ["jump"], id="a jump is no energy",
        ),
        pytest.param(
            [(0, 50_000), (10, 0), (20, 0), (30, 0), (40, 50_400), (50, 50_500),
             (60, 50_600)],
            600, ["reset", "recovered"], id="a long zero is undone",
        ),
        pytest.param(
            [(0, 50_000), (10, 7_000), (20, 7_000), (30, 7_000), (40, 50_400),
             (50, 50_500), (60, 50_600)],
            600, ["reset", "recovered"], id="what a false reset booked is undone",
        ),
        pytest.param(
            [(0, 50_000), (10, 0), (20, 0), (30, 0), (400, 50_400), (410, 50_500),
             (420, 50_600)],
            600, ["reset", "recovered"], id="a long zero and a hole are undone",
        ),
        pytest.param(
            [(0, 5_000), (10, 0), (20, 0), (30, 0), (40, 2_000), (50, 4_000),
             (60, 6_000)],
            6_000, ["reset"], id="a counter that was reset passes where it was",
        ),
        pytest.param(
            [(0, 50_000), (10, 900_000), (20, 900_000), (30, 900_000), (40, 50_400),
             (50, 50_500), (60, 50_600)],
            600, ["jump", "recovered"], id="a false jump is undone",
        ),
        pytest.param(
            [(0, 50_000), (10, 50_100), (20, 60_000), (30, 50_300), (40, 50_400),
             (50, 50_500)],
            500, ["stale_answer"], id="a rise that was none is undone",
        ),
        pytest.param(
            [(0, 0), (10, 50_000), (20, 50_100)],
            100, ["transient_zero"], id="a first zero is no beginning",
        ),
        pytest.param([(0, 0), (10, 0), (20, 100)], 100, [], id="a new meter at zero"),
        pytest.param(
            [(0, 50_000), (5, "meter_swap"), (10, 50_100), (20, 50_200)],
            100, ["meter_swap"], id="a new meter near the old one's reading",
        ),
        pytest.param(
            [(0, 50_000), (5, "meter_swap"), (10, 0), (20, 800), (30, 900)],
            900, ["meter_swap"], id="a new meter that begins at zero",
        ),
        pytest.param(
            [(0, 50_000), (10, 700), (12, "meter_swap"), (20, 800), (30, 900)],
            200, ["meter_swap"], id="a serial noticed while the reading is held",
        ),
        pytest.param(
            [(0, 50_000), (10, 50_100), (5, "meter_swap"), (20, 50_200)],
            200, [], id="a serial noticed late on a line that goes on",
        ),
        pytest.param(
            [(0, 50_000), (10, 50_100), (90, 50_900), (91, "meter_swap"), (100, 51_000)],
            200, ["meter_swap"], id="a new meter that answers before it tells its serial",
        ),
        pytest.param(
            [(0, 0), (10, 0), (90, 5_000), (90, "meter_swap"), (100, 5_000)],
            0, ["meter_swap"], id="a new meter where the old one had counted nothing",
        ),
        pytest.param(
            [(0, 50_000), (10, 50_100), (20, 50_200), (21, "meter_swap"), (90, 50_900)],
            200, ["meter_swap"], id="no meter was changed between two polls",
        ),
        pytest.param(
            [(0, 50_000), (80, 50_800), (95, "meter_swap"), (100, 90_000), (110, 90_100)],
            900, ["meter_swap"], id="the old meter had come back before it was changed",
        ),
        pytest.param(
            [(0, 50_000), (5, "ct_change"), (10, 100), (20, 200), (30, 300)],
            200, ["ct_change"], id="a ratio that scales the counter anew",
        ),
        pytest.param(
            [(0, 50_000), (5, "ct_change"), (10, 50_100), (20, 50_200)],
            200, [], id="a ratio that the counter does not mind",
        ),
    ],
)  # fmt: skip
def test_what_is_booked_and_found(
    readings: list[tuple[int, Any]], booked: int, kinds: list[str]
) -> None:
    assert seen(*readings)[:2] == (booked, kinds)


MODULUS = rules(modulus_wh=838_860.8, maximum_kw=200.0)


def test_rollover_counts_through_zero() -> None:
    booked, kinds, _ = seen((0, 838_760), (10, 838_861), (20, 100), counter=MODULUS)
    assert (booked, kinds) == (201, ["rollover"])


def test_a_long_rollover_needs_three_readings() -> None:
    before = [(0, 500_000), (7_000, 50_000), (7_010, 50_100)]
    assert seen(*before, counter=MODULUS)[:2] == (0, [])
    booked, kinds, _ = seen(*before, (7_020, 50_200), counter=MODULUS)
    assert (booked, kinds) == (389_061, ["rollover"])


def test_a_zero_near_the_modulus_is_held_like_any_other() -> None:
    booked, kinds, _ = seen((0, 838_760), (10, 0), (20, 838_800), counter=MODULUS)
    assert (booked, kinds) == (40, ["transient_zero"])


def test_ten_turns_of_a_modulus_that_is_not_whole_are_exact() -> None:
    shown = [round(i * 100_000 % 838_860.8) for i in range(1, 85)]
    readings = [(i * 2_000, wh) for i, wh in enumerate(shown)]
    booked, kinds, state = seen(*readings, counter=MODULUS)
    assert (booked, len(kinds)) == (8_300_000, 10)
    assert state.accepted is not None
    assert state.accepted.turns == 10


def test_a_finding_says_when_it_began_and_what_decided() -> None:
    _, _, state = seen((0, 50_000), (10, 0), (20, 0))
    _, _, findings = see(rules(), state, 30 * SECOND_US, 50_300)
    assert findings == (
        Finding("transient_zero", 10 * SECOND_US, 30 * SECOND_US, 50_000, 0),
    )


def test_answers_that_alternate_do_not_stop_the_counter_for_ever() -> None:
    odd = [(10 * i, 900_000 if i % 2 else 5_000_000) for i in range(1, 31)]
    _, kinds, state = seen((0, 50_000), *odd)
    assert kinds[-1] == "jump"
    assert state.accepted is not None
    assert state.accepted.wh == 5_000_000


def test_what_was_booked_over_an_hour_ago_is_void_only_for_more() -> None:
    false = [(0, 50_000), (10, 7_000), (20, 7_000), (30, 7_000), (4_000, 9_000)]
    back = [(4_010, 50_400), (4_020, 50_400), (4_030, 50_400)]
    booked, kinds, _ = seen(*false, *back)
    assert (booked, kinds) == (9_000, ["reset", "jump"])


def test_a_line_is_forgotten_after_a_day() -> None:
    false = [(0, 5_000_000_000), (10, 0), (20, 0), (30, 0), (86_500, 0)]
    back = [(86_510, 5_000_000_000 + n) for n in range(1)]
    more = [(86_520, 5_000_000_001), (86_530, 5_000_000_002)]
    booked, kinds, _ = seen(*false, *back, *more)
    assert (booked, kinds) == (2, ["reset", "jump"])


def test_reach_is_what_the_circuit_carries_with_a_late_poll_and_a_step() -> None:
    tenth = rules(maximum_kw=36.0, resolution_wh=100)
    assert reach_wh(tenth, 9 * SECOND_US, 50_000) == 200
    assert follows(tenth, Reading(0, 50_000), Reading(9 * SECOND_US, 50_200))
    assert not follows(tenth, Reading(0, 50_000), Reading(9 * SECOND_US, 50_300))


@pytest.mark.parametrize(
    ("wh", "step"),
    [(0, 1), (5_000_000, 1), (100_000_000, 8), (999_999_000, 63), (3_456_789_000, 32)],
)
def test_a_float32_counter_moves_in_the_steps_of_its_low_part(
    wh: int, step: int
) -> None:
    assert step_wh(rules(float32=True), wh) == step


def test_a_torn_pair_of_float32_is_no_energy() -> None:
    split = rules(float32=True)
    booked, kinds, _ = seen(
        (0, 1_999_999_900), (10, 1_000_000_000), (20, 2_000_000_100), counter=split
    )
    assert (booked, kinds) == (200, ["stale_answer"])


def test_a_snapshot_gives_the_same_state() -> None:
    _, _, state = seen((0, 50_000), (10, 50_100), (20, 0), (30, 0), (40, 0), (50, 7))
    assert from_snapshot(to_snapshot(state)) == state


def test_a_snapshot_of_another_version_is_refused() -> None:
    with pytest.raises(
        ValueError, match="a counter snapshot of version 9 is not known"
    ):
        from_snapshot((9, *to_snapshot(NEW)[1:]))
