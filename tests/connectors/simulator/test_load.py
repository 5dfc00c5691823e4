"""The load model obeys physics, at every time and for every seed."""

from __future__ import annotations

from math import hypot, isclose, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.simulator.load import INSTALLED_US, LoadModel
from connectors.simulator.shape import SHAPES, WEEK_HOURS, shape_named
from transforms.model.quantity import QUANTITIES

YEAR_US = 365 * 86_400_000_000
HOUR_US = 3_600_000_000
TIMES = st.integers(INSTALLED_US, INSTALLED_US + 5 * YEAR_US)
SEEDS = st.integers(0, 2**40)
PHASES = ("A", "B", "C", "")


def model(seed: int = 1, **settings: object) -> LoadModel:
    return LoadModel(seed, **settings)  # type: ignore[arg-type]


@given(seed=SEEDS, time_us=TIMES, feeds_back=st.booleans())
def test_apparent_power_is_the_hypotenuse(
    seed: int, time_us: int, feeds_back: bool
) -> None:
    at = model(seed, feeds_back=feeds_back).realtime(time_us)
    for phase in PHASES:
        p, q, s = (
            at[f"{kind}Power{phase}"] for kind in ("real", "reactive", "apparent")
        )
        assert isclose(s * s, p * p + q * q, rel_tol=1e-9)
        assert isclose(at[f"powerFactor{phase}"], p / s, rel_tol=1e-9)


@given(seed=SEEDS, time_us=TIMES)
def test_system_values_are_sums_and_means(seed: int, time_us: int) -> None:
    at = model(seed).realtime(time_us)
    for kind in ("real", "reactive"):
        total = sum(at[f"{kind}Power{p}"] for p in "ABC")
        assert isclose(at[f"{kind}Power"], total)
    assert isclose(at["voltageLNAvg"], sum(at[f"voltage{p}N"] for p in "ABC") / 3)
    lines = [at[f"voltage{p}"] for p in ("AB", "BC", "CA")]
    assert isclose(at["voltageLLAvg"], sum(lines) / 3)


@given(seed=SEEDS, time_us=TIMES)
def test_line_voltage_is_about_root_three_of_phase_voltage(
    seed: int, time_us: int
) -> None:
    at = model(seed).realtime(time_us)
    assert isclose(at["voltageLLAvg"], sqrt(3) * at["voltageLNAvg"], rel_tol=0.01)
    assert at["voltageAN"] != at["voltageBN"] != at["voltageCN"]


@given(seed=SEEDS, time_us=TIMES)
def test_current_is_apparent_power_through_voltage(seed: int, time_us: int) -> None:
    at = model(seed).realtime(time_us)
    for phase in "ABC":
        amps = 1000 * at[f"apparentPower{phase}"] / at[f"voltage{phase}N"]
        assert isclose(at[f"current{phase}"], amps)
    assert at["currentN"] < at["currentAvg"]


@given(seed=SEEDS, time_us=TIMES, step_us=st.integers(100_000, HOUR_US))
def test_counters_never_fall(seed: int, time_us: int, step_us: int) -> None:
    load = model(seed, feeds_back=True)
    before, after = load.energy(time_us), load.energy(time_us + step_us)
    assert all(after[name] >= before[name] - 1e-6 for name in before)


@pytest.mark.parametrize("feeds_back", [False, True])
@pytest.mark.parametrize("seed", [1, 2])
def test_energy_is_the_integral_of_power(seed: int, feeds_back: bool) -> None:
    load = model(seed, feeds_back=feeds_back)
    # A Friday evening to a Sunday noon: weekend, night and day.
    start, hours = INSTALLED_US + 90 * 24 * HOUR_US + 11 * HOUR_US, 42
    times = start + np.arange(hours * 1800) * 2_000_000 + 1_000_000
    rows = [load.realtime(int(t)) for t in times]
    power = np.array([row["realPower"] for row in rows])
    reactive = np.array([row["reactivePower"] for row in rows])
    before, after = load.energy(start), load.energy(start + hours * HOUR_US)
    integral = {
        "energyImport": power.clip(min=0).sum() / 1800,
        "energyExport": -power.clip(max=0).sum() / 1800,
        "reactiveEnergyImport": reactive.sum() / 1800,
        "reactiveEnergyExport": 0.0,
    }
    for name, expected in integral.items():
        assert after[name] - before[name] == pytest.approx(expected, rel=1e-6, abs=1e-6)
    assert (integral["energyExport"] > 0) == feeds_back
    assert after["operatingHours"] - before["operatingHours"] == pytest.approx(hours)


@given(seed=SEEDS, time_us=TIMES)
def test_demand_is_the_mean_power_of_the_last_interval(seed: int, time_us: int) -> None:
    load = model(seed, demand_minutes=5)
    end = time_us // load.demand_us * load.demand_us
    used = (
        load.energy(end)["energyImport"]
        - (load.energy(end - load.demand_us)["energyImport"])
    )
    demand = load.demand(time_us)
    if end - load.demand_us >= INSTALLED_US:
        assert demand["demandRealPower"] == pytest.approx(used * 12, rel=1e-4, abs=1e-3)
    assert load.demand(end) == demand


@given(seed=SEEDS, time_us=TIMES, ago_us=st.integers(0, YEAR_US))
def test_no_reading_exceeds_the_maximum(seed: int, time_us: int, ago_us: int) -> None:
    load = model(seed)
    since = time_us - ago_us
    at, most = load.realtime(time_us), load.maximum(time_us, since)
    for name, value in at.items():
        assert value <= most["maximum" + name[0].upper() + name[1:]] + 1e-9


@given(seed=SEEDS, time_us=TIMES, step_us=st.integers(0, YEAR_US))
def test_maxima_only_grow(seed: int, time_us: int, step_us: int) -> None:
    load = model(seed)
    before = load.maximum(time_us, time_us - HOUR_US)
    after = load.maximum(time_us + step_us, time_us - HOUR_US)
    assert all(after[name] >= before[name] - 1e-9 for name in before)


@given(seed=SEEDS, time_us=TIMES)
def test_every_value_is_credible(seed: int, time_us: int) -> None:
    at = model(seed).at(time_us)
    assert set(at) == set(QUANTITIES)
    for name, value in at.items():
        assert QUANTITIES[name].low <= value <= QUANTITIES[name].high


def test_the_day_has_more_load_than_the_night() -> None:
    load = model(4)
    monday = 1_759_708_800_000_000  # 2025-10-06T00:00Z
    day = [load.realtime(monday + h * HOUR_US)["realPower"] for h in range(24)]
    assert min(day[9:16]) > max(day[0:4])


def test_the_same_seed_is_the_same_meter_and_another_is_not() -> None:
    time_us = INSTALLED_US + YEAR_US
    assert model(7).at(time_us) == model(7).at(time_us)
    assert model(7).at(time_us)["realPower"] != model(8).at(time_us)["realPower"]


@pytest.mark.parametrize(
    ("system", "absent"),
    [
        ("1P", {"voltageBN", "voltageCN", "voltageAB", "currentB", "realPowerC"}),
        ("2P", {"voltageCN", "voltageBC", "voltageCA", "currentC", "realPowerC"}),
        ("3P", {"voltageAN", "voltageBN", "voltageCN", "voltageLNAvg", "currentN"}),
        ("3P.n", set()),
    ],
)
def test_members_that_the_system_lacks_read_zero(system: str, absent: set[str]) -> None:
    at = model(3, electrical_system=system).realtime(INSTALLED_US + YEAR_US)
    assert all(at[name] == 0 for name in absent)
    assert hypot(at["realPower"], at["reactivePower"]) == pytest.approx(
        at["apparentPower"]
    )
    assert at["realPower"] == pytest.approx(sum(at[f"realPower{p}"] for p in "ABC"))


@pytest.mark.parametrize("name", list(SHAPES))
def test_a_shape_keeps_away_from_zero(name: str) -> None:
    shape = shape_named(name)
    assert min(map(abs, shape.begins + shape.ends)) > 0.2
    assert len(shape.begins) == WEEK_HOURS
