from __future__ import annotations

from collections import Counter

import pytest

from tests.transforms.codec.frames import SCHEMAS
from transforms.codec.frame import FrameSchema
from transforms.lines.names import PHASES, place_of
from transforms.model.quantity import QUANTITIES

# The names that dashboards rely on, as they were agreed.
AGREED = {
    "kW", "kVAR", "kVA", "voltage", "current", "power_factor", "frequency",
    "kWh", "kWh_export", "kVARh", "kVARh_export",
}  # fmt: skip


def test_the_agreed_fields_are_those_of_these_quantities() -> None:
    quantities = {
        "realPower": "kW",
        "reactivePowerA": "kVAR",
        "apparentPowerC": "kVA",
        "voltageCA": "voltage",
        "currentN": "current",
        "powerFactorB": "power_factor",
        "frequency": "frequency",
        "energyImport": "kWh",
        "energyExport": "kWh_export",
        "reactiveEnergyImport": "kVARh",
        "reactiveEnergyExport": "kVARh_export",
    }
    assert {name: place_of(name).field for name in quantities} == quantities
    assert set(quantities.values()) == AGREED


@pytest.mark.parametrize(
    ("quantity", "phase"),
    [
        ("voltageAN", "A"),
        ("voltageBC", "BC"),
        ("currentN", "N"),
        ("realPowerB", "B"),
        ("realPower", "total"),
        ("voltageLLAvg", "total"),
        ("maximumVoltageCN", "C"),
        ("demandCurrentA", "A"),
        ("energyImport", "total"),
        ("alarm3", "total"),
    ],
)
def test_a_quantity_stands_on_the_line_of_its_phase(quantity: str, phase: str) -> None:
    assert place_of(quantity).phase == phase


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda s: f"{s.profile}-{s.group}")
def test_no_two_readings_of_a_group_share_a_field(schema: FrameSchema) -> None:
    places = Counter(map(place_of, schema.names))
    assert [place for place, count in places.items() if count > 1] == []
    assert {place.phase for place in places} <= set(PHASES)


def test_every_quantity_of_the_table_has_a_place() -> None:
    for name in QUANTITIES:
        phase, field = place_of(name)
        assert phase in PHASES
        assert field.isidentifier()
