from __future__ import annotations

import pytest

from connectors.profiles import load_profile
from transforms.model.profile import Protocol
from transforms.plan import MeterProtocol, groups_of, protocol_of

PM500 = load_profile("pm500")
EM24 = load_profile("em24")


@pytest.mark.parametrize(
    ("group", "meter_protocol", "expected"),
    [
        ("realtime", "ethernet_ip", "ethernet_ip"),
        ("realtime", "modbus", "modbus"),
        ("energy", "ethernet_ip", "ethernet_ip"),
        ("realtime", "both", "ethernet_ip"),
        ("energy", "both", "modbus"),
        ("demand", "both", "ethernet_ip"),
        ("status", "both", "ethernet_ip"),
    ],
)
def test_counters_go_by_modbus_when_both_are_spoken(
    group: str, meter_protocol: MeterProtocol, expected: Protocol
) -> None:
    assert protocol_of(PM500.group_named(group), meter_protocol) == expected


def test_a_group_that_only_modbus_carries_goes_by_it() -> None:
    group = PM500.group_named("realtime").model_copy(update={"ethernet_ip": ()})
    assert protocol_of(group, "both") == "modbus"


def test_unconfigured_groups_are_those_the_protocol_can_carry() -> None:
    planned = groups_of(PM500, "modbus", None)
    assert [(p.group.name, p.protocol, p.period_seconds) for p in planned] == [
        ("realtime", "modbus", 1.0),
        ("energy", "modbus", 10.0),
        ("status", "modbus", 1.0),
    ]


def test_configured_groups_are_all_that_is_polled() -> None:
    planned = groups_of(PM500, "both", {"energy": 30.0, "realtime": 0.5})
    assert [(p.group.name, p.protocol, p.period_seconds) for p in planned] == [
        ("realtime", "ethernet_ip", 0.5),
        ("energy", "modbus", 30.0),
    ]


def test_a_group_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ValueError, match="em24 has no group nosuch"):
        groups_of(EM24, "modbus", {"nosuch": 1.0})


def test_a_configured_group_that_cannot_be_carried_is_an_error() -> None:
    with pytest.raises(ValueError, match="modbus cannot carry group demand"):
        groups_of(PM500, "modbus", {"demand": 60.0})
