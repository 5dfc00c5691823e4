"""Requests and answers as bytes, by pycomm3's packet classes; no socket here.

A request is built once per session; only its sender context changes. An answer is
taken only if command, session, context and length fit the request.
"""

from __future__ import annotations

import struct

from pycomm3.packets.cip import (
    GenericUnconnectedRequestPacket,
    GenericUnconnectedResponsePacket,
)
from pycomm3.packets.ethernetip import RegisterSessionRequestPacket
from pycomm3.packets.util import get_service_status

from connectors.link import Identity, LinkError
from connectors.readonly import (
    GET_ATTRIBUTE_SINGLE,
    GET_ATTRIBUTES_ALL,
    IDENTITY,
    permit_cip,
)
from transforms.model.quality import Status

__all__ = [
    "Request",
    "get_attribute",
    "get_identity",
    "get_size",
    "length_of",
    "parse_identity",
    "register_session",
    "session_of",
]

# Encapsulation header, 24 bytes (ODVA volume 2, 2-3): command, length, session handle,
# status, sender context, options.
_HEADER_BYTES = 24
_HEAD = struct.Struct("<HHII")
_LENGTH = struct.Struct("<H")
_HANDLE = struct.Struct("<I")
_REGISTER_SESSION = 0x65
_LEAST_ANSWER = 44  # with service, status and no data
_ANSWERS = (b"\x65\x00", b"\x6f\x00")
# Two items: a null address, then unconnected data (its length follows).
_ITEMS = bytes.fromhex("020000000000b200")
_ASSEMBLY = 0x04
_MAXIMUM_BODY = 1024


class Request:
    """One read, ready to be sent again and again with a fresh context."""

    __slots__ = ("_head", "_packet", "_session_no_status", "_success", "_tail", "what")

    def __init__(
        self, service: int, class_code: int, instance: int, attribute: int, session: int
    ) -> None:
        permit_cip(service, class_code)
        self._packet = GenericUnconnectedRequestPacket(
            service=bytes([service]),
            class_code=bytes([class_code]),
            instance=instance,
            attribute=bytes([attribute]) if attribute else b"",
        )
        raw: bytes = self._packet.build_request(b"", session, b"\0" * 8, 0)
        self._head, self._tail = raw[:12], raw[20:]
        self._session_no_status = _HANDLE.pack(session) + bytes(4)
        # The reply's service, a reserved byte, general status 0, no additional status.
        self._success = bytes([service | 0x80, 0, 0, 0])
        self.what = f"class {class_code} instance {instance}"

    def bytes_with(self, context: bytes) -> bytes:
        """The request as sent, under this sender context (8 bytes)."""
        return self._head + context + self._tail

    def value_of(self, answer: bytes) -> bytes:
        """The attribute's data; LinkError where the meter gave none."""
        # What nearly every answer is: the response class would take as long again.
        if (
            len(answer) >= _LEAST_ANSWER
            and answer[:2] == _ANSWERS[1]
            and answer[2:12] == _LENGTH.pack(len(answer) - 24) + self._session_no_status
            and answer[30:38] == _ITEMS
            and answer[38:40] == _LENGTH.pack(len(answer) - 40)
            and answer[40:44] == self._success
        ):
            return answer[44:]
        raise self._why(answer)

    def _why(self, answer: bytes) -> LinkError:
        """What is wrong with an answer, in the words of pycomm3."""
        if status := int.from_bytes(answer[8:12], "little"):
            text = f"{self.what}: encapsulation status {status:#04x}"
            return LinkError(Status.CIP_ERROR, text, True)
        if len(answer) < _LEAST_ANSWER:
            return malformed(self.what, f"cut short: {answer.hex()}")
        reply = GenericUnconnectedResponsePacket(self._packet, answer)
        if answer[40:41] == self._success[:1] and reply.service_status:
            meaning = get_service_status(reply.service_status)
            text = f"{self.what}: CIP {reply.service_status:#04x}, {meaning}"
            return LinkError(Status.CIP_ERROR, text, False)
        return malformed(self.what, f"not an answer to this request: {answer.hex()}")


def malformed(what: str, why: str, *, lost: bool = True) -> LinkError:
    """An answer that is not one."""
    return LinkError(Status.MALFORMED, f"{what}: {why}", lost)


def register_session(context: bytes) -> bytes:
    """The first message of a link."""
    packet = RegisterSessionRequestPacket(b"\x01\x00", b"\x00\x00")
    raw: bytes = packet.build_request(b"", 0, context, 0)
    return raw


def session_of(answer: bytes) -> int:
    """The session handle of a RegisterSession answer."""
    command, _, session, status = _HEAD.unpack_from(answer)
    if command != _REGISTER_SESSION or status or not session:
        raise malformed("session", f"registration answered {answer.hex()}")
    return int(session)


def get_attribute(instance: int, session: int) -> Request:
    """Get_Attribute_Single of an assembly's data (attribute 3)."""
    return Request(GET_ATTRIBUTE_SINGLE, _ASSEMBLY, instance, 3, session)


def get_size(instance: int, session: int) -> Request:
    """Get_Attribute_Single of an assembly's size in bytes (attribute 4)."""
    return Request(GET_ATTRIBUTE_SINGLE, _ASSEMBLY, instance, 4, session)


def get_identity(session: int) -> Request:
    """Get_Attributes_All of Identity instance 1."""
    return Request(GET_ATTRIBUTES_ALL, IDENTITY, 1, 0, session)


def length_of(data: bytes) -> int | None:
    """How long the message is that begins here; LinkError where none does."""
    if len(data) < _HEADER_BYTES:
        return None
    length = int.from_bytes(data[2:4], "little")
    if data[:2] not in _ANSWERS or length > _MAXIMUM_BODY:
        raise malformed("answer", f"starts with {data[:8].hex()}")
    return _HEADER_BYTES + length


def parse_identity(value: bytes) -> tuple[int, int, Identity]:
    """Vendor, device type and the rest of Identity (CIP volume 1, 5-2.2.1)."""
    try:
        vendor, kind, code, major, minor, _, serial, size = struct.unpack_from(
            "<HHHBBHIB", value
        )
    except struct.error as error:
        raise malformed("identity", str(error)) from error
    name = value[15 : 15 + size].decode("ascii", "replace")
    if len(value) != 15 + size:
        raise malformed("identity", f"{len(value)} bytes")
    return vendor, kind, Identity(name, code, f"{major}.{minor}", str(serial))
