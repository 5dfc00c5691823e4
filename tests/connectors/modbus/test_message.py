"""Modbus requests and answers as bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.link import LinkError
from connectors.modbus.message import length_of, read_request, registers_of
from connectors.profiles import load_profile
from connectors.readonly import ReadOnlyError
from transforms.model.quality import Status

MODBUS = load_profile("pm500").modbus


def answer(pdu: bytes, transaction: int = 7, unit: int = 1) -> bytes:
    head = transaction.to_bytes(2, "big") + b"\0\0" + (len(pdu) + 1).to_bytes(2, "big")
    return head + bytes([unit]) + pdu


def read(data: bytes, unit: int = 1) -> bytes:
    return registers_of(data, 4, unit, 7, 2, "test")


def failed(data: bytes, unit: int = 1) -> Status:
    with pytest.raises(LinkError) as raised:
        read(data, unit)
    return raised.value.status


def test_a_read_is_the_bytes_of_function_4() -> None:
    assert MODBUS is not None
    request = read_request(MODBUS, 1, 7, 0x0050, 58)
    assert request == bytes.fromhex("0007 0000 0006 01 04 0050 003A")


def test_the_password_is_never_asked_for() -> None:
    assert MODBUS is not None
    with pytest.raises(ReadOnlyError):
        read_request(MODBUS, 1, 7, 0x0FFF, 2)


def test_registers_come_as_they_were_received() -> None:
    assert read(answer(b"\x04\x04\x00\x00\x43\x66")) == b"\x00\x00\x43\x66"


def test_an_exception_of_the_asked_function_is_named() -> None:
    assert failed(answer(b"\x84\x02")) is Status.MODBUS_EXCEPTION


@pytest.mark.parametrize(
    "pdu",
    [
        b"\x83\x02",  # an exception of another function
        b"\x03\x04\x00\x00\x43\x66",
        b"\x04\x02\x00\x00",
        b"\x04\x06\x00\x00\x43\x66\x00\x00",
        b"\x04\x04\x00\x00",
    ],
)
def test_what_does_not_fit_the_request_is_malformed(pdu: bytes) -> None:
    assert failed(answer(pdu)) is Status.MALFORMED


@pytest.mark.parametrize("asked", [0, 1])
def test_another_unit_is_malformed(asked: int) -> None:
    data = answer(b"\x04\x04\x00\x00\x43\x66", unit=9)
    assert failed(data, asked) is Status.MALFORMED


@given(st.binary(min_size=9, max_size=60))
def test_no_bytes_raise_anything_but_a_link_error(noise: bytes) -> None:
    for data in (noise, answer(noise)):
        try:
            length_of(data)
            read(data)
        except LinkError:
            pass
