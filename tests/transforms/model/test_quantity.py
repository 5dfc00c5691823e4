from __future__ import annotations

import pytest

from transforms.model.quantity import QUANTITIES

# contracts.md 1, written out: other systems rely on these names.
BASE = """
voltageAN voltageBN voltageCN voltageLNAvg voltageAB voltageBC voltageCA voltageLLAvg
currentA currentB currentC currentN currentAvg
realPowerA realPowerB realPowerC realPower
apparentPowerA apparentPowerB apparentPowerC apparentPower
reactivePowerA reactivePowerB reactivePowerC reactivePower
powerFactorA powerFactorB powerFactorC powerFactor frequency
""".split()
COUNTERS = """
energyImport energyExport reactiveEnergyImport reactiveEnergyExport
partialEnergyImport partialEnergyExport
partialReactiveEnergyImport partialReactiveEnergyExport operatingHours
""".split()
STATES = "alarm1 alarm2 alarm3 alarm4 output1 output2".split()
UNITS = {
    "voltage": "V",
    "current": "A",
    "realPower": "kW",
    "apparentPower": "kVA",
    "reactivePower": "kvar",
    "powerFactor": "",
    "frequency": "Hz",
}


@pytest.mark.parametrize("name", [*BASE, *COUNTERS, *STATES])
def test_every_name_that_others_rely_on_is_in_the_table(name: str) -> None:
    assert QUANTITIES[name].name == name


@pytest.mark.parametrize("prefix", ["demand", "maximum"])
@pytest.mark.parametrize("name", BASE)
def test_demand_and_maximum_take_the_base_name_unit_and_range(
    name: str, prefix: str
) -> None:
    base = QUANTITIES[name]
    own = QUANTITIES[prefix + name[0].upper() + name[1:]]
    assert (own.unit, own.kind, own.low, own.high, own.phase) == (
        base.unit, base.kind, base.low, base.high, base.phase,
    )  # fmt: skip


def test_the_table_has_no_other_names() -> None:
    # phaseSequence is the one that no contract names: its point is off by default.
    gauges = [*BASE, "phaseSequence"]
    prefixed = [p + n[0].upper() + n[1:] for p in ("demand", "maximum") for n in gauges]
    assert set(QUANTITIES) == {*gauges, *prefixed, *COUNTERS, *STATES}


@pytest.mark.parametrize("name", BASE)
def test_a_gauge_has_its_unit(name: str) -> None:
    stem = max((s for s in UNITS if name.startswith(s)), key=len)
    assert QUANTITIES[name].unit == UNITS[stem]


@pytest.mark.parametrize("name", COUNTERS[:-1])
def test_an_energy_counter_is_in_kwh_or_kvarh(name: str) -> None:
    unit = "kvarh" if "eactive" in name else "kWh"
    assert (QUANTITIES[name].unit, QUANTITIES[name].kind) == (unit, "counter")


def test_operating_hours_are_a_counter_in_hours() -> None:
    hours = QUANTITIES["operatingHours"]
    assert (hours.unit, hours.kind) == ("h", "counter")


@pytest.mark.parametrize(
    ("name", "avro_type"),
    [("voltageAN", "float"), ("energyImport", "double"), ("alarm1", "boolean")],
)
def test_a_kind_has_its_avro_type(name: str, avro_type: str) -> None:
    assert QUANTITIES[name].avro_type == avro_type


@pytest.mark.parametrize(
    ("name", "phase"),
    [
        ("voltageAN", "A"),
        ("voltageLNAvg", "total"),
        ("voltageAB", "AB"),
        ("voltageCA", "CA"),
        ("currentN", "N"),
        ("currentAvg", "total"),
        ("realPowerB", "B"),
        ("realPower", "total"),
        ("powerFactorC", "C"),
        ("frequency", "total"),
        ("demandCurrentA", "A"),
        ("maximumVoltageBC", "BC"),
        ("energyImport", "total"),
        ("output1", "total"),
    ],
)
def test_a_name_tells_its_phase(name: str, phase: str) -> None:
    assert QUANTITIES[name].phase == phase


def test_every_range_holds_something() -> None:
    assert all(quantity.low < quantity.high for quantity in QUANTITIES.values())
