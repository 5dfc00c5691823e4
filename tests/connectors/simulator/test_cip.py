"""The strictness of the CIP side, byte by byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.simulator.cip import (
    Identity,
    identity_attribute,
    identity_attributes,
    plan_of,
)

SIZES = dict(zip(range(100, 109), (20, 48, 72, 48, 68, 48, 68, 72, 4), strict=True))
IDENTITY = Identity(1, 146, 7, 3, 1, 0x30, 940_000_001, "PowerMonitor 500")
READ_101 = "0E 03 20 04 24 65 30 03"


def wrapped(request: str, route: str = "", pad: str = "") -> str:
    inner = bytes.fromhex(request)
    size = len(inner).to_bytes(2, "little").hex()
    return f"52 02 20 06 24 01 0A 05 {size} {request} {pad} {route}"


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (READ_101, 0x00),
        ("0E 03 20 04 24 65 30 04", 0x00),  # the size
        ("0E 04 20 04 25 00 65 00 30 03", 0x00),  # a 16-bit instance
        (READ_101 + " 00 00", 0x15),  # pycomm3's default route path
        (READ_101 + " 00", 0x15),
        ("0E 03 20 04 24 62 30 03", 0x05),  # point 98 has no data
        ("0E 03 20 04 24 6D 30 03", 0x05),
        ("0E 03 20 0F 24 01 30 01", 0x05),  # a class that is not there
        ("0E 03 20 04 24 65 30 05", 0x14),
        ("0E 02 20 04 24 65", 0x14),
        ("01 02 20 04 24 65", 0x08),
        ("10 03 20 04 24 65 30 03 00 00", 0x08),  # Set_Attribute_Single
        ("0E 03 20 04 24 00 30 03", 0x00),  # class attributes
        ("0E 03 20 04 24 00 30 05", 0x14),
        ("01 02 20 01 24 01", 0x00),
        ("01 02 20 01 24 01 00", 0x15),
        ("05 02 20 01 24 01", 0x08),  # Reset
        ("05 02 20 01 24 01 01", 0x08),
        ("0E 03 20 01 24 01 30 07", 0x00),
        ("0E 03 20 01 24 01 30 08", 0x14),
        ("0E 03 20 01 24 02 30 01", 0x05),
        ("54 02 20 06 24 01 0A 05", 0x08),
        ("5B 02 20 06 24 01 0A 05", 0x08),
        ("4E 02 20 06 24 01 0A 05", 0x08),
        (wrapped(READ_101), 0x00),
        (wrapped(READ_101, route="01 00 01 00"), 0x00),
        (wrapped(READ_101, route="00 00"), 0x00),
        (wrapped(READ_101, route="01 00 01 00 00"), 0x15),
        (wrapped(READ_101, route="02 00 01 00"), 0x13),
        (wrapped(READ_101 + " 00", pad="00"), 0x15),
        (wrapped("52 02 20 06 24 01"), 0x08),
        ("52 02 20 06 24 01 0A 05 FF", 0x13),
        ("52 02 20 06 24 01 0A 05 FF 00 01", 0x13),
        ("0E 03 20 04 24 65", 0x04),  # the path is longer than the request
        ("0E 01 1C 04", 0x04),
        ("0E 03 20 04 20 04 24 65", 0x04),
        ("0E 02 2C 65 30 03", 0x04),  # a connection point cannot be read
        ("0E", 0x04),
        ("", 0x04),
    ],
)
def test_each_request_has_its_general_status(request_bytes: str, status: int) -> None:
    assert plan_of(bytes.fromhex(request_bytes), SIZES).status == status


@given(st.binary(max_size=40))
def test_any_bytes_get_a_plan(request_bytes: bytes) -> None:
    assert 0 <= plan_of(request_bytes, SIZES).status <= 0x15


def test_an_unwrapped_request_is_answered_as_its_own_service() -> None:
    plan = plan_of(bytes.fromhex(wrapped(READ_101)), SIZES)
    assert (plan.service, plan.class_code, plan.instance, plan.attribute) == (
        0x0E,
        4,
        101,
        3,
    )


@pytest.mark.parametrize(
    ("attribute", "data"),
    [(1, "0200"), (2, "6C00"), (3, "0900"), (4, "01000400"), (6, "0700"), (7, "0400")],
)
def test_the_assembly_class_says_what_the_manual_says(
    attribute: int, data: str
) -> None:
    request = bytes((0x0E, 3, 0x20, 4, 0x24, 0, 0x30, attribute))
    assert plan_of(request, SIZES).fixed == bytes.fromhex(data)


@pytest.mark.parametrize(("instance", "size"), SIZES.items())
def test_attribute_4_is_the_size(instance: int, size: int) -> None:
    request = bytes((0x0E, 3, 0x20, 4, 0x24, instance, 0x30, 4))
    assert plan_of(request, SIZES).fixed == size.to_bytes(2, "little")


def test_the_identity_stands_as_the_specification_has_it() -> None:
    assert identity_attributes(IDENTITY) == bytes.fromhex(
        "0100 9200 0700 03 01 3000 01430738 10"
    ) + (b"PowerMonitor 500")
    assert identity_attribute(IDENTITY, 7) == b"\x10PowerMonitor 500"
