"""Fleets from numbers and files, with every mistake at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.simulator import (
    Fault,
    FleetError,
    SimulatedMeter,
    Simulator,
    fleet_of,
    read_fleet,
)
from connectors.simulator.faults import KINDS

KINDS_TEXT = ", ".join(f"'{kind}'" for kind in KINDS[:-1]) + f" or '{KINDS[-1]}'"
GOOD = """
[[meter]]
name = "pump"
address = "127.1.0.1"
ct_ratio = 40
feeds_back = true

[[meter]]
name = "hall"
address = "127.1.0.2"
profile = "em24"
electrical_system = "3P"

[[fault]]
kind = "delay"
meter = "pump"
start_seconds = 2.5
end_seconds = 4
delay_seconds = inf

[[fault]]
kind = "counter_reset"
start_seconds = 9
"""

BAD = """
colour = "red"

[[meter]]
name = "pump"
address = "10.0.0.1"
ct_ratio = 0

[[meter]]
name = "pump"
address = "127.1.0.2"
flavour = 1

[[meter]]
name = "hall"
address = "127.1.0.2"
profile = "em42"

[[meter]]
name = "hall"
address = "10.0.0.1"

[[fault]]
kind = "explode"

[[fault]]
kind = "nan"
meter = "nobody"
quantity = "warmth"
start_seconds = 3
end_seconds = 2

[[fault]]
kind = "nan"
start_us = 5
end_seconds = "late"
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "fleet.toml"
    path.write_text(text)
    return path


def test_a_fleet_is_read_from_a_file(tmp_path: Path) -> None:
    fleet = read_fleet(written(tmp_path, GOOD))
    assert fleet.meters == (
        SimulatedMeter(name="pump", address="127.1.0.1", ct_ratio=40, feeds_back=True),
        SimulatedMeter(
            name="hall", address="127.1.0.2", profile="em24", electrical_system="3P"
        ),
    )
    assert fleet.faults == (
        Fault(
            kind="delay",
            meter="pump",
            start_us=2_500_000,
            end_us=4_000_000,
            delay_seconds=float("inf"),
        ),
        Fault(kind="counter_reset", start_us=9_000_000),
    )


def test_all_mistakes_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(FleetError) as raised:
        read_fleet(written(tmp_path, BAD))
    assert raised.value.mistakes == (
        "colour: unknown",
        "fault[2].start_us: unknown; give start_seconds",
        "fault[2].end_seconds: 'late' is no time",
        "meter[0].ct_ratio: Input should be greater than or equal to 1",
        "meter[1].flavour: Unexpected keyword argument",
        f"fault[0].kind: Input should be {KINDS_TEXT}",
        "meter[0].address: '10.0.0.1' is no address of 127.0.0.0/8",
        "meter[1].name: 'pump' stands already at meter[0]",
        "meter[2].address: '127.1.0.2' stands already at meter[1]",
        "meter[2].profile: 'em42' is not shipped; there are: em24, pm500",
        "meter[3].name: 'hall' stands already at meter[2]",
        "meter[3].address: '10.0.0.1' stands already at meter[0]",
        "meter[3].address: '10.0.0.1' is no address of 127.0.0.0/8",
        "fault[1].meter: there is no meter 'nobody'",
        "fault[1].quantity: 'warmth' is not in the table",
        "fault[1]: ends before it starts",
    )


def test_a_file_that_is_no_toml_is_told(tmp_path: Path) -> None:
    with pytest.raises(FleetError, match="Expected"):
        read_fleet(written(tmp_path, "[[meter"))
    with pytest.raises(FleetError, match="No such file"):
        read_fleet(tmp_path / "absent.toml")


def test_a_fleet_of_a_thousand_has_a_thousand_addresses() -> None:
    meters = fleet_of(1000, seed=3)
    assert len({meter.address for meter in meters}) == 1000
    assert len({meter.serial for meter in meters}) == 1000
    assert (meters[0].address, meters[999].address) == ("127.1.0.1", "127.1.3.250")
    assert meters == fleet_of(1000, seed=3)
    assert meters[0].seed != fleet_of(1, seed=4)[0].seed


def test_a_simulator_refuses_what_cannot_be() -> None:
    meter = SimulatedMeter(name="a", address="192.168.0.1", profile="em42")
    with pytest.raises(FleetError) as raised:
        Simulator([meter], [Fault(kind="nan", meter="b")])
    assert len(raised.value.mistakes) == 3
    with pytest.raises(FleetError, match="one at least"):
        Simulator([])
