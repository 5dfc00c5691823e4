from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.profiles import profile_names
from tests.transforms.model.mutations import mutated
from transforms.model.profile import Profile
from transforms.model.profile_check import ProfileError, parse_profile, path_of

ROOT = Path(__file__).parents[3]
FILES = {
    name: ROOT / "connectors" / "profiles" / f"{name}.toml" for name in profile_names()
}
SMALL = """
name = "small"
version = 1
title = "A small meter"
[limits]
minimum_period_seconds = 0.5
requests_per_second = 10
[ethernet_ip]
vendor = 1
device_type = 2
product_name = "Small"
product_codes = [3]
[modbus]
word_order = "little"
max_registers = 20
forbidden = [0x0020]
identity = [{ address = 0, type = "uint", source = "X" }]
[[group]]
name = "realtime"
period_seconds = 1
ethernet_ip = [{ instance = 1, size = 12 }]
modbus = [{ address = 0x10, count = 4 }]
[[group.point]]
quantity = "voltageAN"
scale = 10
ethernet_ip = { instance = 1, offset = 0, type = "real", status = "tested", source = "X" }
modbus = { address = 0x10, type = "int32", scale = 100, status = "tested", source = "X" }
[[group.point]]
quantity = "alarm1"
ethernet_ip = { instance = 1, offset = 4, type = "bit", bit = 0, status = "tested", source = "X" }
[[group.point]]
quantity = "alarm2"
ethernet_ip = { instance = 1, offset = 4, type = "bit", bit = 9, status = "tested", source = "X" }
"""


def small() -> dict[str, Any]:
    return tomllib.loads(SMALL)


def mistakes_of(raw: dict[str, Any]) -> tuple[str, ...]:
    with pytest.raises(ProfileError) as raised:
        parse_profile("small", raw)
    return raised.value.mistakes


def test_a_small_profile_is_right() -> None:
    profile = parse_profile("small", small())
    (group,) = profile.group
    assert group.requests("ethernet_ip") == group.requests("modbus") == 1
    assert profile.group_named("realtime") is group


def test_a_locations_own_scale_wins_over_the_points() -> None:
    voltage = parse_profile("small", small()).group[0].points[0]
    assert voltage.scale_by("ethernet_ip") == 10
    assert voltage.scale_by("modbus") == 100


def test_a_group_that_is_not_there_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        parse_profile("small", small()).group_named("energy")


def test_a_disabled_point_is_in_no_frame() -> None:
    raw = small()
    raw["group"][0]["point"][1]["enabled"] = False
    points = parse_profile("small", raw).group[0].points
    assert [point.quantity for point in points] == ["voltageAN", "alarm2"]


@pytest.mark.parametrize(
    ("status", "by_paper"),
    [
        ("documented", True),
        ("documented (2nd hand)", True),
        ("tested", True),
        ("unknown", False),
    ],
)
def test_a_documented_location_needs_no_commissioning(
    status: str, by_paper: bool
) -> None:
    raw = small()
    raw["group"][0]["point"][0]["modbus"]["status"] = status
    at = parse_profile("small", raw).group[0].points[0].at("modbus")
    assert at is not None
    assert at.commissioned_by_paper is by_paper


def at_point(raw: dict[str, Any], index: int, protocol: str) -> dict[str, Any]:
    where: dict[str, Any] = raw["group"][0]["point"][index][protocol]
    return where


@pytest.mark.parametrize(
    ("change", "mistake"),
    [
        (
            lambda raw: at_point(raw, 1, "ethernet_ip").update(bit=9),
            "group[0].point[2].ethernet_ip: overlaps group[0].point[1].ethernet_ip",
        ),
        (
            lambda raw: at_point(raw, 1, "ethernet_ip").update(offset=3),
            "group[0].point[1].ethernet_ip: overlaps group[0].point[0].ethernet_ip",
        ),
        (
            lambda raw: at_point(raw, 0, "ethernet_ip").update(offset=9),
            "group[0].point[0].ethernet_ip: lies in no ethernet_ip block of its group",
        ),
        (
            lambda raw: at_point(raw, 0, "modbus").update(address=0x13),
            "group[0].point[0].modbus: lies in no modbus block of its group",
        ),
        (
            lambda raw: raw["modbus"]["identity"][0].update(
                address=0x1F, type="text", length=2
            ),
            "modbus.identity[0]: register 0x0020 is never read",
        ),
        (
            lambda raw: raw.update(
                description={"modbus": [{"address": 0x20, "count": 1}]}
            ),
            "description.modbus[0]: register 0x0020 is never read",
        ),
        (
            lambda raw: raw["group"][0].update(period_seconds=1.0000005),
            "group[0].period_seconds: 1.0000005 is not a whole number of us",
        ),
        (
            lambda raw: raw["group"][0].update(period_seconds=float("inf")),
            "group[0].period_seconds: Input should be a finite number",
        ),
        (
            lambda raw: raw.update(name="small__meter"),
            "name: String should match pattern '^[a-z][a-z0-9]*(_[a-z0-9]+)*$'",
        ),
        (
            lambda raw: [p.update(enabled=False) for p in raw["group"][0]["point"]],
            "group[0]: has no enabled point",
        ),
    ],
)
def test_one_mistake_is_named_with_its_path(
    change: Callable[[dict[str, Any]], object], mistake: str
) -> None:
    raw = small()
    change(raw)
    assert mistakes_of(raw) == (mistake,)


def test_a_period_that_binary_cannot_hold_is_a_whole_number_all_the_same() -> None:
    raw = small()
    raw["group"][0]["period_seconds"] = 1.001
    assert parse_profile("small", raw).group[0].period_seconds == 1.001


def test_every_mistake_of_a_profile_is_listed_at_once() -> None:
    path = Path(__file__).with_name("broken_profile.toml")
    assert mistakes_of(tomllib.loads(path.read_text("utf-8"))) == (
        "name: String should match pattern '^[a-z][a-z0-9]*(_[a-z0-9]+)*$'",
        "version: Input should be greater than or equal to 1",
        "limits.requests_per_second: Input should be greater than 0",
        "modbus.word_order: Input should be 'little' or 'big'",
        "modbus.identity[1].pattern: '[AB' is no regular expression: "
        "unterminated character set at position 0",
        "group[0].point[3].modbus.type: Input should be 'real', 'uint', 'int16', "
        "'int32', 'ulint', 'bit', 'real_pair', 'hours_minutes_pair', "
        "'ulint_hours_minutes' or 'text'",
        "group[0].point[4].scale: Input should be greater than 0",
        "group[0].point[6].ethernet_ip.source: String should have at least 1 character",
        "color: Extra inputs are not permitted",
        "group[0].period_seconds: 0.2 is under the minimum of 0.5 s",
        "group[0].ethernet_ip: the profile has no [ethernet_ip]",
        "group[0].modbus[0].count: 58 is over modbus.max_registers",
        "group[0].modbus[1]: register 0x1000 is never read",
        "group[0].modbus[2]: ends beyond register 0xFFFF",
        "group[0].point[0].quantity: 'voltageXN' is not in the table of quantities",
        "group[0].point[4].quantity: 'voltageAN' stands already at group[0].point[1]",
        "group[0].point[1].modbus: overlaps group[0].point[0].modbus",
        "group[0].point[2].modbus.level: goes with status 'inferred', and only with it",
        "group[0].point[2].modbus: lies in no modbus block of its group",
        "group[0].point[4].modbus.level: goes with status 'inferred', and only with it",
        "group[0].point[5]: has neither ethernet_ip nor modbus",
        "group[1].name: group 'realtime' stands twice",
        "group[1].period_seconds: 1.5e-06 is under the minimum of 0.5 s",
        "group[1].period_seconds: 1.5e-06 is not a whole number of us",
        "group[1]: has no enabled point",
        "modbus.identity[0]: register 0x1000 is never read",
    )


def test_the_message_counts_the_mistakes_and_names_the_profile() -> None:
    error = ProfileError("small", ["a: wrong", "b: wrong too"])
    assert str(error) == "profile small: 2 mistake(s)\n  a: wrong\n  b: wrong too"


def test_a_path_is_written_with_dots_and_indexes() -> None:
    assert path_of(("group", 0, "point", 3, "modbus")) == "group[0].point[3].modbus"


DOCUMENTS = [small(), *(tomllib.loads(f.read_text("utf-8")) for f in FILES.values())]


@given(st.sampled_from(DOCUMENTS).flatmap(mutated))
@settings(max_examples=300)
def test_whatever_a_profile_says_it_is_a_profile_or_a_list_of_mistakes(
    raw: dict[str, Any],
) -> None:
    try:
        profile = parse_profile("mutated", raw)
    except ProfileError:
        return
    assert isinstance(profile, Profile)
