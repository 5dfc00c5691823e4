from __future__ import annotations

import re
from pathlib import Path

import pytest

from connectors.profiles import load_profile, profile_names, read_profile
from transforms.model.profile import Profile, RegisterBlock
from transforms.model.profile_check import ProfileError
from transforms.model.quantity import QUANTITIES

PASSWORD = 0x1000  # 1420-UM001E p. 57

profiles = pytest.mark.parametrize("name", profile_names())


@pytest.fixture
def pm500() -> Profile:
    return load_profile("pm500")


@pytest.fixture
def em24() -> Profile:
    return load_profile("em24")


def test_these_profiles_are_shipped() -> None:
    assert profile_names() == ("em24", "pm500")


@profiles
def test_a_shipped_profile_is_named_like_its_file(name: str) -> None:
    assert load_profile(name).name == name


@profiles
def test_a_shipped_profiles_own_periods_keep_its_budget(name: str) -> None:
    profile = load_profile(name)
    for protocol in ("ethernet_ip", "modbus"):
        rate = sum(g.requests(protocol) / g.period_seconds for g in profile.group)
        assert rate <= profile.limits.requests_per_second


@profiles
def test_a_shipped_profiles_periods_divide_the_hour(name: str) -> None:
    periods = [round(g.period_seconds * 1e6) for g in load_profile(name).group]
    assert [3_600_000_000 % period for period in periods] == [0] * len(periods)


@profiles
def test_every_reading_of_a_shipped_profile_is_a_known_quantity(name: str) -> None:
    named = {p.quantity for group in load_profile(name).group for p in group.point}
    assert named <= set(QUANTITIES)


@profiles
def test_a_modbus_group_has_a_register_for_each_enabled_point(name: str) -> None:
    groups = [group for group in load_profile(name).group if group.modbus]
    assert [p.quantity for g in groups for p in g.points if p.modbus is None] == []


def register_blocks(profile: Profile) -> list[RegisterBlock]:
    identity = [
        RegisterBlock(address=e.address, count=e.count)
        for e in (profile.modbus.identity if profile.modbus else ())
    ]
    read = [block for group in profile.group for block in group.modbus]
    return [*identity, *read, *profile.description.modbus]


@profiles
def test_the_password_register_is_in_no_read(name: str) -> None:
    holding = [
        block
        for block in register_blocks(load_profile(name))
        if block.address <= PASSWORD < block.address + block.count
    ]
    assert holding == []


def test_the_pm500_forbids_its_password_register(pm500: Profile) -> None:
    assert pm500.modbus is not None
    assert pm500.modbus.forbidden == (PASSWORD,)


def test_the_pm500_is_known_by_its_identity(pm500: Profile) -> None:
    identity = pm500.ethernet_ip
    assert identity is not None
    assert (identity.vendor, identity.device_type) == (1, 146)
    assert identity.product_name == "PowerMonitor 500"
    assert identity.product_codes == (4, 5, 6, 7, 8, 9)


@pytest.mark.parametrize("firmware", ["A\x03", "B\x00", "B", "B\n", "A\ufffd"])
def test_any_firmware_revision_is_a_pm500s(pm500: Profile, firmware: str) -> None:
    assert pm500.modbus is not None
    pattern = pm500.modbus.identity[0].pattern
    assert pattern is not None
    assert re.fullmatch(pattern, firmware)


def test_the_pm500_has_these_groups_and_reads(pm500: Profile) -> None:
    # 1420-UM001E p. 81: the assemblies and their sizes; p. 57 and 1420-UM001D p. 61:
    # the registers of counters and status.
    found = {
        group.name: (
            group.period_seconds,
            {block.instance: block.size for block in group.ethernet_ip},
            {block.address: block.count for block in group.modbus},
            len(group.points),
        )
        for group in pm500.group
    }
    assert found == {
        "realtime": (1.0, {101: 48, 102: 72}, {0x0050: 58}, 29),
        "energy": (10.0, {107: 72}, {0x0500: 36}, 9),
        "demand": (60.0, {105: 48, 106: 68}, {}, 29),
        "maximum": (60.0, {103: 48, 104: 68}, {}, 29),
        "status": (1.0, {108: 4}, {0x4000: 3}, 6),
    }


def test_the_pm500_says_of_itself_what_assembly_100_and_the_settings_hold(
    pm500: Profile,
) -> None:
    own = pm500.description
    assert {block.instance: block.size for block in own.ethernet_ip} == {100: 20}
    assert {block.address: block.count for block in own.modbus} == {
        0x1001: 1,
        0x100A: 2,
        0x100D: 1,
        0x1018: 4,
    }


def test_all_nine_assemblies_are_448_bytes(pm500: Profile) -> None:
    blocks = [block for group in pm500.group for block in group.ethernet_ip]
    blocks += pm500.description.ethernet_ip
    assert {block.instance for block in blocks} == set(range(100, 109))
    assert sum(block.size for block in blocks) == 448


def test_the_reals_of_the_pm500_fill_their_assemblies(pm500: Profile) -> None:
    places: dict[int, list[int]] = {}
    for group in pm500.group:
        for at in (point.ethernet_ip for point in group.point):
            if at is not None and at.type == "real":
                places.setdefault(at.instance, []).append(at.offset)
    assert places == {
        101: list(range(0, 48, 4)),
        102: list(range(0, 72, 4)),
        103: list(range(0, 48, 4)),
        104: list(range(0, 68, 4)),
        105: list(range(0, 48, 4)),
        106: list(range(0, 68, 4)),
    }


def test_the_pm500s_counters_are_wh_by_modbus_and_kwh_by_ethernet_ip(
    pm500: Profile,
) -> None:
    counters = pm500.group_named("energy").points[:8]
    assert {point.scale_by("modbus") for point in counters} == {1000.0}
    assert {point.scale_by("ethernet_ip") for point in counters} == {1.0}
    assert [p.modbus.address for p in counters if p.modbus] == [
        0x0500, 0x0504, 0x0508, 0x050C, 0x0510, 0x0514, 0x0518, 0x051C,
    ]  # fmt: skip


def test_the_pm500s_powers_are_watts_on_both_wires(pm500: Profile) -> None:
    powers = [p for p in pm500.group_named("realtime").points if "Power" in p.quantity]
    scales = {p.quantity: p.scale for p in powers if "Factor" not in p.quantity}
    assert len(scales) == 12
    assert set(scales.values()) == {1000.0}


def test_only_the_documented_part_of_the_pm500_is_sure(pm500: Profile) -> None:
    sure = {
        (group.name, protocol)
        for group in pm500.group
        for protocol in ("ethernet_ip", "modbus")
        for at in (point.at(protocol) for point in group.points)
        if at is not None and at.commissioned_by_paper
    }
    expected = {("status", "ethernet_ip"), ("status", "modbus"), ("energy", "modbus")}
    assert sure == expected


@pytest.mark.parametrize(
    ("quantity", "address", "kind", "scale"),
    [
        ("voltageAN", 0x00, "int32", 10),
        ("currentA", 0x0C, "int32", 1000),
        ("realPowerA", 0x12, "int32", 10_000),
        ("realPower", 0x28, "int32", 10_000),
        ("powerFactor", 0x35, "int16", 1000),
        ("frequency", 0x37, "uint", 10),
        ("energyImport", 0x42, "int32", 10),
        ("energyExport", 0x5C, "int32", 10),
    ],
)
def test_an_em24_value_has_its_place_and_scale(
    em24: Profile, quantity: str, address: int, kind: str, scale: float
) -> None:
    (point,) = (p for g in em24.group for p in g.points if p.quantity == quantity)
    assert point.modbus is not None
    assert (point.modbus.address, point.modbus.type) == (address, kind)
    assert point.scale_by("modbus") == scale


def test_an_em24_speaks_modbus_only_low_word_first(em24: Profile) -> None:
    assert em24.ethernet_ip is None
    assert em24.modbus is not None
    assert em24.modbus.word_order == "little"


def test_a_name_that_is_not_shipped_says_what_is() -> None:
    with pytest.raises(ProfileError) as raised:
        load_profile("pm5000")
    assert raised.value.mistakes == ("no such profile; there are: em24, pm500",)


def test_a_file_that_is_not_toml_says_where(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text("name = \n")
    with pytest.raises(ProfileError, match=r"not TOML: .*line 1"):
        read_profile(path)


def test_a_profile_of_the_users_own_is_read_from_its_file(tmp_path: Path) -> None:
    text = Path(__file__).parents[3].joinpath("connectors/profiles/em24.toml")
    path = tmp_path / "own.toml"
    path.write_bytes(text.read_bytes())
    assert read_profile(path) == load_profile("em24")
