from __future__ import annotations

from typing import Any

import pytest

from transforms.energy.reconcile import Agreement, BudgetRules, budget_wh, verdict

HOUR_US = 3_600_000_000
QUIET: dict[str, Any] = {
    "energy_wh": 0, "integral_wh": 0.0, "step_wh": 0, "cut_wh": 0,
    "uncovered_us": 0, "peak_kw": 0.0, "ends_kw": (0.0, 0.0),
}  # fmt: skip


@pytest.mark.parametrize(
    ("term", "wh"),
    [
        pytest.param({"step_wh": 100}, 200.0, id="resolution at both ends"),
        pytest.param({"ends_kw": (36.0, 72.0)}, 30.0, id="a second of jitter each"),
        pytest.param({"cut_wh": 7}, 7.0, id="cut"),
        pytest.param(
            {"uncovered_us": HOUR_US // 60, "peak_kw": 60.0}, 1000.0, id="gaps at peak"
        ),
        pytest.param({"energy_wh": 1000}, 5.0, id="accuracy by the counter"),
        pytest.param({"integral_wh": 2000.0}, 10.0, id="accuracy by the larger"),
    ],
)
def test_each_term_adds_to_the_budget(term: dict[str, Any], wh: float) -> None:
    assert budget_wh(BudgetRules(), **(QUIET | term)) == pytest.approx(wh)


def agreement(energy_wh: int, covered_us: int, *, lost: bool = False) -> Agreement:
    return verdict(
        BudgetRules(),
        energy_wh=energy_wh,
        integral_wh=1000.0,
        length_us=HOUR_US,
        covered_us=covered_us,
        lost=lost,
        step_wh=1,
        cut_wh=0,
        peak_kw=1.0,
        ends_kw=(1.0, 1.0),
    )


def test_a_difference_within_the_budget_agrees() -> None:
    assert agreement(1007, HOUR_US).verdict == "agrees"


def test_a_difference_beyond_the_budget_differs() -> None:
    assert agreement(1008, HOUR_US).verdict == "differs"


def test_less_than_half_of_power_tells_nothing() -> None:
    assert agreement(1000, HOUR_US // 2 - 1)[::2] == ("unknown", "power_gaps")


def test_no_power_has_no_budget() -> None:
    assert agreement(1000, 0) == Agreement("unknown", None, "no_power")


def test_lost_energy_cannot_be_compared() -> None:
    assert agreement(1000, HOUR_US, lost=True).verdict == "unknown"
