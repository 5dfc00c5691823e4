"""What counters show around resets, swaps, rollovers and CT changes."""

from __future__ import annotations

import pytest

from connectors.simulator.counters import Counter, counter_of
from connectors.simulator.faults import Fault


def energy(time_us: int) -> float:
    """A counter of the model: 1 kWh a microsecond, 500 at zero."""
    return 500.0 + time_us


def counter(*faults: Fault, quantity: str = "energyImport") -> Counter:
    made = counter_of(quantity, energy, faults)
    assert made is not None
    return made


def shown(counter: Counter, *times: int) -> list[float]:
    return [counter.value(time, energy(time)) for time in times]


def test_a_counter_without_faults_is_left_alone() -> None:
    assert counter_of("energyImport", energy, []) is None


def test_a_reset_counter_begins_again() -> None:
    made = counter(Fault(kind="counter_reset", start_us=100, counter_kwh=3.0))
    assert shown(made, 99, 100, 110) == [599.0, 3.0, 13.0]


def test_a_reset_of_one_counter_leaves_the_others() -> None:
    fault = Fault(kind="counter_reset", quantity="partialEnergyImport")
    assert counter_of("energyImport", energy, [fault]) is None
    assert counter_of("operatingHours", energy, [Fault(kind="counter_reset")]) is None


def test_a_counter_passes_its_modulus_exactly_at_the_fault() -> None:
    made = counter(Fault(kind="counter_rollover", start_us=100, modulus_kwh=1e6))
    assert shown(made, 98, 99, 100, 101) == [999_998.0, 999_999.0, 0.0, 1.0]


def test_a_rollover_shifts_back_to_the_reset_before_it_only() -> None:
    made = counter(
        Fault(kind="counter_reset", start_us=50),
        Fault(kind="counter_rollover", start_us=100, modulus_kwh=1e6),
    )
    assert shown(made, 49, 50, 99, 100) == [549.0, 999_950.0, 999_999.0, 0.0]


def test_a_new_ct_ratio_goes_on_without_a_step() -> None:
    made = counter(Fault(kind="ct_ratio_change", start_us=100, factor=2.0))
    assert shown(made, 99, 100, 101) == [599.0, 600.0, 602.0]


def test_a_swapped_meter_has_its_own_counters() -> None:
    swap = Fault(kind="meter_swap", start_us=100, counter_kwh=7.0)
    assert shown(counter(swap), 99, 100, 105) == [599.0, 7.0, 12.0]
    assert shown(counter(swap, quantity="operatingHours"), 105) == [12.0]


@pytest.mark.parametrize("quantity", ["reactiveEnergyImport", "energyExport"])
def test_a_rollover_is_of_the_named_counter(quantity: str) -> None:
    fault = Fault(kind="counter_rollover", quantity=quantity)
    assert counter_of("energyImport", energy, [fault]) is None
    assert counter_of(quantity, energy, [fault]) is not None
