"""Profiles and values to bytes and back."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.profiles import load_profile, profile_names
from connectors.simulator import Fault, SimulatedMeter
from connectors.simulator.device import CYCLE_US, Device
from connectors.simulator.memory import Memory, Place, Stretch
from connectors.simulator.record import Value
from transforms.model.quantity import QUANTITIES

TIME_US = 1_760_000_000_000_000
STEPS = {"V": 10, "A": 100, "Hz": 100}
SYSTEM_BITS = 0x100 | 0x8  # EtherNet/IP and Modbus modules: 1420-UM001D p. 61


def device(profile: str = "pm500", **settings: object) -> Device:
    return Device(
        SimulatedMeter(name="m", address="127.1.0.1", profile=profile, **settings)  # type: ignore[arg-type]
    )


def one(kind: str, word_order: str | None) -> Stretch:
    place = Place(name="energyImport", type=kind, offset=0, scale=1000.0)  # type: ignore[arg-type]
    if kind == "real":
        place = Place(name="voltageAN", type="real", offset=0)
    return Stretch([place], place.end, word_order, 1e6)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "word_order", "name", "value", "wire"),
    [
        ("real", "little", "voltageAN", 230.0, "0000 4366"),
        ("real", "little", "voltageAN", 480.5, "4000 43F0"),
        ("real", None, "voltageAN", 230.0, "00 00 66 43"),
        ("real", None, "voltageAN", 480.5, "00 40 F0 43"),
        ("real", "big", "voltageAN", 230.0, "4366 0000"),
        ("ulint", "little", "energyImport", 123456789.012, "1A14 BE99 001C 0000"),
        ("ulint", "little", "energyImport", 9999999999.9, "9F9C 4E72 0918 0000"),
    ],
)
def test_values_stand_as_in_the_test_vectors(
    kind: str, word_order: str | None, name: str, value: float, wire: str
) -> None:
    stretch = one(kind, word_order)
    assert stretch.pack({name: value}) == bytes.fromhex(wire)
    assert stretch.unpack(bytes.fromhex(wire)) == {name: value}


@pytest.mark.parametrize("profile", profile_names())
def test_every_block_of_every_profile_reads_back_to_the_meters_values(
    profile: str,
) -> None:
    meter = device(profile)
    true = meter.values(TIME_US)
    seen: dict[str, Value] = {}
    for instance, stretch in meter.memory.assemblies.items():
        seen |= stretch.unpack(meter.assembly(instance, TIME_US))
    check(true, seen)
    seen = {}
    for group in meter.profile.group:
        for block in group.modbus:
            found = meter.registers(block.address, block.count, TIME_US)
            assert found is not None
            seen |= found[1].unpack(found[0])
    check(true, seen)
    assert seen


def check(true: dict[str, Value], seen: dict[str, Value]) -> None:
    for name, value in seen.items():
        if name in QUANTITIES:
            assert float(value) == pytest.approx(float(true[name]), rel=1e-6, abs=0.06)


@given(volts=st.floats(0, 700), kw=st.floats(-500, 500), hertz=st.floats(45, 65))
def test_gauges_are_rounded_to_the_meters_resolution(
    volts: float, kw: float, hertz: float
) -> None:
    memory = Memory(load_profile("pm500"), 1e6)
    power = memory.assemblies[102]
    values = dict.fromkeys((p.name for p in power.places), 0.0)
    values |= {"realPowerA": kw, "frequency": hertz}
    seen = power.unpack(power.pack(values))
    assert seen["realPowerA"] == round(kw * 1000) / 1000
    assert seen["frequency"] == pytest.approx(round(hertz, 2), rel=1e-6)
    volt = one("real", None)
    assert volt.unpack(volt.pack({"voltageAN": volts}))["voltageAN"] == pytest.approx(
        round(volts * 10) / 10, rel=1e-6
    )


def test_counters_show_whole_watt_hours_gone_by() -> None:
    stretch = one("ulint", "little")
    assert (
        stretch.unpack(stretch.pack({"energyImport": 1.9999}))["energyImport"] == 1.999
    )


def test_a_read_inside_a_value_gets_the_right_half() -> None:
    meter = device()
    found = meter.registers(0x0050, 2, TIME_US)
    half = meter.registers(0x0051, 1, TIME_US)
    assert found is not None
    assert half is not None
    assert half[0] == found[0][2:]
    assert half[1].unpack(half[0]) == {}


@pytest.mark.parametrize(
    ("address", "count"),
    [(0x004F, 1), (0x008A, 1), (0x0524, 1), (0x0089, 2), (0xFFFF, 2)],
)
def test_registers_outside_the_map_do_not_exist(address: int, count: int) -> None:
    assert device().registers(address, count, TIME_US) is None


def test_the_description_is_the_meters_configuration() -> None:
    meter = device(electrical_system="3P", ct_ratio=40.0, demand_minutes=30)
    words = meter.registers(0x100A, 2, TIME_US)
    assert words is not None
    assert words[0] == struct.pack(">HH", 0, 5)
    ratios = meter.registers(0x1018, 4, TIME_US)
    assert ratios is not None
    assert ratios[1].unpack(ratios[0]) == {"ctRatio": 40.0, "vtRatio": 1.0}
    system = meter.registers(0x1001, 1, TIME_US)
    assert system is not None
    assert system[0] == b"\0\2"
    modules = meter.registers(0x4002, 1, TIME_US)
    assert modules is not None
    assert modules[0] == struct.pack(">H", SYSTEM_BITS)


def test_product_information_is_the_same_in_assembly_and_registers() -> None:
    meter = device(product_code=4, serial=940_000_123)
    product = meter.assembly(100, TIME_US)
    assert product[:2] == bytes.fromhex("0342")  # 0x4203: model B, revision 3
    firmware = meter.registers(0x0000, 3, TIME_US)
    serial = meter.registers(0x0020, 7, TIME_US)
    assert firmware is not None
    assert serial is not None
    assert struct.unpack("<10H", product) == struct.unpack(
        ">10H", firmware[0] + serial[0]
    )
    assert serial[1].unpack(serial[0]) == {"serialText": "PM50940000123"}


def test_readings_are_renewed_every_cycle() -> None:
    meter = device()
    start = TIME_US - TIME_US % CYCLE_US
    first = meter.assembly(102, start)
    assert meter.assembly(102, start + CYCLE_US - 1) == first
    assert meter.assembly(102, start + CYCLE_US) != first


def test_the_high_multiplier_is_the_meters_own() -> None:
    meter = device(energy_high_multiplier=1e4)
    high, low = struct.unpack_from("<2f", meter.assembly(107, TIME_US))
    true = float(meter.values(TIME_US)["energyImport"])
    assert high == true // 1e4
    assert high * 1e4 + low == pytest.approx(true, rel=1e-6)


def test_a_new_ct_ratio_scales_currents_and_powers_and_is_told() -> None:
    meter = device()
    before = meter.values(TIME_US)
    meter.set_faults([Fault(kind="ct_ratio_change", start_us=TIME_US - 10, factor=2.0)])
    after = meter.values(TIME_US)
    assert after["realPower"] == 2 * float(before["realPower"])
    assert after["currentB"] == 2 * float(before["currentB"])
    assert after["voltageAN"] == before["voltageAN"]
    ratio = meter.registers(0x1018, 2, TIME_US)
    assert ratio is not None
    assert ratio[1].unpack(ratio[0]) == {"ctRatio": 2.0}
