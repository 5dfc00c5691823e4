"""Requests and answers as bytes (vectors of 1420-UM001 reads as pycomm3 sends them)."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.ethernet_ip import message
from connectors.link import LinkError
from transforms.model.quality import Status

SESSION = 0x11223344
CONTEXT = b"\x01\0\0\0\0\0\0\0"


def answer(
    data: bytes,
    *,
    command: int = 0x6F,
    session: int = SESSION,
    status: int = 0,
    service: int = 0x8E,
    general: int = 0,
) -> bytes:
    cip = bytes([service, 0, general, 0]) + data
    body = struct.pack("<IHHHHHH", 0, 0, 2, 0, 0, 0xB2, len(cip)) + cip
    head = struct.pack("<HHII8sI", command, len(body), session, status, CONTEXT, 0)
    return head + body


def failed(data: bytes) -> Status:
    with pytest.raises(LinkError) as raised:
        message.get_attribute(101, SESSION).value_of(data)
    return raised.value.status


def test_a_read_is_the_bytes_that_the_meter_expects() -> None:
    request = message.get_attribute(101, SESSION).bytes_with(CONTEXT)
    assert request[40:] == bytes.fromhex("0E03200424653003")
    assert request[:12] == bytes.fromhex("6F0018004433221100000000")
    assert request[12:20] == CONTEXT


def test_the_data_of_an_answer_is_its_value() -> None:
    data = bytes(range(48))
    assert message.get_attribute(101, SESSION).value_of(answer(data)) == data


def test_a_cip_error_is_named_with_its_status() -> None:
    assert failed(answer(b"", general=0x05)) is Status.CIP_ERROR


def test_a_lost_session_is_an_error_of_the_link() -> None:
    assert failed(answer(b"", status=0x64)) is Status.CIP_ERROR


@pytest.mark.parametrize(
    "wrong",
    [
        answer(bytes(48), command=0x65),
        answer(bytes(48), session=SESSION + 1),
        answer(bytes(48), service=0x81),
        answer(bytes(48))[:-1],
        answer(bytes(48)) + b"\0",
        answer(b"")[:38],
        answer(b"")[:39],
    ],
)
def test_what_does_not_fit_the_request_is_malformed(wrong: bytes) -> None:
    assert failed(wrong) is Status.MALFORMED


@given(st.binary(max_size=120), st.integers(0, 90))
def test_no_bytes_raise_anything_but_a_link_error(noise: bytes, cut: int) -> None:
    request = message.get_attribute(101, SESSION)
    for data in (noise, answer(noise)[:cut], answer(bytes(48))[:cut] + noise):
        try:
            message.length_of(data)
            request.value_of(data)
        except LinkError:
            pass


@given(st.binary(max_size=60))
def test_an_identity_is_read_or_malformed(noise: bytes) -> None:
    with contextlib.suppress(LinkError):
        message.parse_identity(noise)
