"""The commissioning check against simulated meters, right ones and wrong ones."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from connectors.commissioning.probe import Check, probe
from connectors.commissioning.record import CommissioningRecord
from connectors.polling.plan import PollSettings
from connectors.profiles import load_profile
from connectors.simulator import Fault, SimulatedMeter, Simulator, running_simulator
from tests.connectors.polling.polled import plan_for
from tests.kit import until
from transforms.model.outcome import Meaning
from transforms.model.profile import Protocol

pytestmark = pytest.mark.integration

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
WELL, SMALL_RADIX, EM24 = "127.8.0.1", "127.8.0.2", "127.8.0.3"


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    meters = [
        SimulatedMeter(name="well", address=WELL, seed=1, serial=940_000_017),
        SimulatedMeter(
            name="radix", address=SMALL_RADIX, seed=2, energy_high_multiplier=1e3
        ),
        SimulatedMeter(name="em24", address=EM24, profile="em24", seed=3),
    ]
    with running_simulator(meters) as running:
        yield running


def check(
    simulator: Simulator,
    address: str,
    *protocols: Protocol,
    profile: str = "pm500",
) -> Check:
    protocol = protocols[0] if len(protocols) == 1 else "both"
    plan = plan_for(simulator, address, profile=profile, protocol=protocol)
    return asyncio.run(probe(plan, PollSettings(timeout_seconds=1.0), protocols))


def reached(simulator: Simulator, address: str) -> Check | None:
    found = check(simulator, address, "ethernet_ip")
    return found if found.reached else None


def test_a_right_meter_passes_and_shows_its_radix(simulator: Simulator) -> None:
    found = check(simulator, WELL, "ethernet_ip", "modbus")
    assert found.findings == []
    assert found.radix == 1e6
    assert "940000017" in found.serials


def test_another_radix_is_found_against_the_exact_counters(
    simulator: Simulator,
) -> None:
    found = check(simulator, SMALL_RADIX, "ethernet_ip", "modbus")
    assert found.findings == []
    assert found.radix == 1e3


def test_without_modbus_the_radix_is_not_checked(simulator: Simulator) -> None:
    found = check(simulator, WELL, "ethernet_ip")
    assert found.passed
    assert found.radix is None
    assert "energy radix: not checked, Modbus was not asked" in found.facts


def test_a_meter_of_another_maker_passes_by_modbus(simulator: Simulator) -> None:
    found = check(simulator, EM24, "modbus", profile="em24")
    assert found.findings == []


def test_a_foreign_device_fails(simulator: Simulator) -> None:
    simulator.add_fault(Fault(kind="foreign_identity", meter="well"))
    found = check(simulator, WELL, "ethernet_ip")
    assert len(found.findings) == 1
    assert found.findings[0].startswith("ethernet_ip: foreign_device")


def test_swapped_words_are_implausible(simulator: Simulator) -> None:
    simulator.add_fault(Fault(kind="swapped_words", meter="well", block=101))
    assert not check(simulator, WELL, "ethernet_ip").passed


def test_a_meter_that_does_not_answer_fails(simulator: Simulator) -> None:
    simulator.add_fault(
        Fault(kind="delay", meter="well", delay_seconds=float("inf"), block=107)
    )
    assert check(simulator, WELL, "ethernet_ip").findings == [
        "ethernet_ip: timeout: class 4 instance 107: no answer in 1 s"
    ]


def test_a_passed_check_clears_the_warning_of_that_device_only(
    simulator: Simulator, tmp_path: Path
) -> None:
    profile = load_profile("pm500")
    record = CommissioningRecord(tmp_path / "commissioning.json")
    found = check(simulator, SMALL_RADIX, "ethernet_ip", "modbus")
    record.store("plant/hall/m1", found.entry(profile, NOW))
    read = CommissioningRecord(tmp_path / "commissioning.json")
    known = read.meaning("plant/hall/m1", profile, "940000000")
    assert known.commissioned
    assert known.energy_high_multiplier == 1e3
    assert read.meaning("plant/hall/m1", profile, "940000099") == Meaning()
    assert read.meaning("plant/hall/m2", profile, "940000000") == Meaning()
    newer = profile.model_copy(update={"version": 2})
    assert read.meaning("plant/hall/m1", newer, "940000000") == Meaning()


def test_a_later_check_without_modbus_keeps_the_radix(
    simulator: Simulator, tmp_path: Path
) -> None:
    profile = load_profile("pm500")
    record = CommissioningRecord(tmp_path / "commissioning.json")
    full = check(simulator, SMALL_RADIX, "ethernet_ip", "modbus")
    record.store("plant/hall/m1", full.entry(profile, NOW))
    # The meter's EtherNet/IP is still silent for a while after the Modbus session.
    recovered = until(lambda: reached(simulator, SMALL_RADIX), "EtherNet/IP is back")
    again = recovered.entry(profile, NOW)
    assert again.energy_high_multiplier is None
    assert record.completed("plant/hall/m1", again).energy_high_multiplier == 1e3
    other = check(simulator, WELL, "ethernet_ip").entry(profile, NOW)
    assert record.completed("plant/hall/m1", other) == other


def test_an_assembly_of_another_size_fails(simulator: Simulator) -> None:
    simulator.add_fault(
        Fault(kind="wrong_length", meter="well", block=105, extra_bytes=-4)
    )
    found = check(simulator, WELL, "ethernet_ip")
    assert not found.passed


def test_a_damaged_record_is_put_aside_before_a_new_one_is_written(
    tmp_path: Path,
) -> None:
    path = tmp_path / "commissioning.json"
    path.write_text('{"plant/hall/m1": {"passed"', "utf-8")
    record = CommissioningRecord(path)
    record.store("plant/hall/m2", Check(asset="m2").entry(load_profile("pm500"), NOW))
    assert (tmp_path / "commissioning.damaged").read_text("utf-8").endswith('"passed"')


def test_a_failed_check_clears_nothing(simulator: Simulator, tmp_path: Path) -> None:
    simulator.add_fault(Fault(kind="foreign_identity", meter="well"))
    profile = load_profile("pm500")
    record = CommissioningRecord(tmp_path / "commissioning.json")
    found = check(simulator, WELL, "ethernet_ip")
    record.store("plant/hall/m1", found.entry(profile, NOW))
    assert record.meaning("plant/hall/m1", profile, "") == Meaning()


def test_a_check_recorded_meanwhile_is_seen(tmp_path: Path) -> None:
    profile = load_profile("pm500")
    path = tmp_path / "commissioning.json"
    reader = CommissioningRecord(path)
    assert reader.meaning("plant/hall/m1", profile, "") == Meaning()
    writer = CommissioningRecord(path)
    writer.store("plant/hall/m1", Check(asset="plant/hall/m1").entry(profile, NOW))
    assert reader.meaning("plant/hall/m1", profile, "").commissioned


def test_a_broken_record_counts_for_nothing(tmp_path: Path) -> None:
    path = tmp_path / "commissioning.json"
    path.write_text('{"plant/hall/m1": {"passed": true}}', "utf-8")
    record = CommissioningRecord(path)
    assert record.meaning("plant/hall/m1", load_profile("pm500"), "") == Meaning()
