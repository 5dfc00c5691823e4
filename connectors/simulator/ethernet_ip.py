"""The EtherNet/IP server: encapsulation, common packet format, ListIdentity on UDP.

Strict where a meter may be (CIP volume 2, chapter 2): lengths must match, a session
belongs to its connection, connected messaging is not there (Forward Open is refused).
"""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress

from connectors.simulator.cip import (
    Plan,
    Status,
    identity_attribute,
    identity_attributes,
    plan_of,
    reply,
)
from connectors.simulator.connection import MeterConnection, Plant
from connectors.simulator.device import Device
from connectors.simulator.faults import Fault
from connectors.simulator.memory import Memory
from connectors.simulator.record import Request

__all__ = ["EthernetIpConnection", "IdentityResponder"]

_HEADER = struct.Struct("<HHII8sI")
_PACKET = struct.Struct("<IHHHHHH")
_REPLY = struct.Struct("<HHII8sIIHHHHHH")
_LIST_IDENTITY, _SEND_RR_DATA = 0x63, 0x6F
_UNSUPPORTED, _INCORRECT, _BAD_SESSION, _BAD_LENGTH, _BAD_VERSION = (
    1,
    3,
    0x64,
    0x65,
    0x69,
)
_IP_PKTINFO = 8  # Linux; the socket module has no name for it before 3.14
_COMMUNICATIONS = struct.pack(
    "<HHHHH16s", 1, 0x0100, 20, 1, 0x0020, b"Communications"
)  # CIP over TCP


class EthernetIpConnection(MeterConnection):
    """One TCP connection."""

    protocol = "ethernet_ip"
    _session = 0

    def admit(self) -> bool:
        """A meter without EtherNet/IP takes none."""
        return self.device is not None and self.device.profile.ethernet_ip is not None

    def data_received(self, data: bytes) -> None:
        """Cut the stream into messages and answer each."""
        if self.rest:
            data = self.rest + data
            self.rest = b""
        at = 0
        while len(data) - at >= 24 and not self.transport.is_closing():
            end = at + 24 + (data[at + 2] | data[at + 3] << 8)
            if len(data) < end:
                break
            self._message(data[at:end])
            at = end
        self.rest = data[at:]

    def _message(self, message: bytes) -> None:
        device = self.device
        assert device is not None
        now = self.plant.clock()
        command = message[0] | message[1] << 8
        if command == _SEND_RR_DATA:
            self._send_rr_data(device, message, now)
            return
        entry = self.received(now, message)
        if device.ethernet_ip_is_silent(now):
            self.unanswered(entry, "suspend")
            return
        _, length, session, _, context, _ = _HEADER.unpack_from(message)
        status, body = 0, b""
        match command:
            case 0x65 if length != 4:  # RegisterSession
                status = _BAD_LENGTH
            case 0x65 if message[24:] != b"\1\0\0\0":
                status, body = _BAD_VERSION, b"\1\0\0\0"
            case 0x65 if self._session:
                status = _UNSUPPORTED
            case 0x65:
                session = self._session = self.plant.new_session()
                body = message[24:]
            case 0x66:  # UnregisterSession
                self.unanswered(entry)
                self.transport.close()
                return
            case 0x63 | 0x04 if length:  # ListIdentity, ListServices
                status = _BAD_LENGTH
            case 0x63:
                body = _identity_list(device, self.transport, now)
                if entry is not None and any(
                    f.kind == "foreign_identity" for f in device.active(now)
                ):
                    entry.faults = ("foreign_identity",)
            case 0x04:
                body = _COMMUNICATIONS
            case _:
                status = _UNSUPPORTED
        head = _HEADER.pack(command, len(body), session, status, context, 0)
        self.answer(entry, head + body)

    def _send_rr_data(self, device: Device, message: bytes, now: int) -> None:
        _, _, session, _, context, _ = _HEADER.unpack_from(message)
        status = 0 if session == self._session and session else _BAD_SESSION
        if not status and not _is_packet(message):
            status = _INCORRECT
        plan = None if status else _planned(device.memory, message[40:])
        if plan is None:
            entry = self.received(now, message)
        else:
            entry = self.received(
                now,
                message,
                service=plan.service,
                block=plan.instance if plan.class_code == 4 else None,
            )
        if device.ethernet_ip_is_silent(now):
            self.unanswered(entry, "suspend")
            return
        if plan is None:
            self.answer(
                entry, _HEADER.pack(_SEND_RR_DATA, 0, session, status, context, 0)
            )
            return
        faults = self.faults(now, plan.instance if plan.class_code == 4 else None)
        body = _data(device, plan, now, entry, faults)
        size = len(body)
        head = _REPLY.pack(
            *(_SEND_RR_DATA, 16 + size, session, 0, context, 0),
            *(0, 0, 2, 0, 0, 0xB2, size),
        )
        self.answer(entry, head + body, faults)


def _is_packet(message: bytes) -> bool:
    """Whether a null address and one unconnected item fill the message exactly."""
    if len(message) < 40:
        return False
    interface, _, items, null, null_size, kind, size = _PACKET.unpack_from(message, 24)
    shape = interface, items, null, null_size, kind, size
    return shape == (0, 2, 0, 0, 0xB2, len(message) - 40)


def _planned(memory: Memory, request: bytes) -> Plan:
    plan = memory.plans.get(request)
    if plan is None:
        sizes = {number: s.size for number, s in memory.assemblies.items()}
        plan = plan_of(request, sizes)
        if len(memory.plans) < 1000:
            memory.plans[request] = plan
    return plan


def _data(
    device: Device,
    plan: Plan,
    now: int,
    entry: Request | None,
    faults: tuple[Fault, ...],
) -> bytes:
    """The CIP reply, spoilt by the faults that spoil it."""
    felt: list[str] = []
    status, body = plan.status, b""
    if status == Status.OK and plan.fixed is not None:
        body = plan.fixed
    elif status == Status.OK and plan.class_code == 1:
        identity = device.identity(now, faults)
        assert identity is not None
        felt += [f.kind for f in faults if f.kind == "foreign_identity"]
        body = (
            identity_attributes(identity)
            if plan.attribute is None
            else identity_attribute(identity, plan.attribute)
        )
    elif status == Status.OK:
        assert plan.instance is not None
        stretch = device.memory.assemblies[plan.instance]
        body = device.assembly(plan.instance, now)
        if entry is not None:
            entry.meant, entry.decoder = body, stretch
        for fault in faults:
            if fault.kind in ("nan", "counter_zero", "swapped_words"):
                spoilt = stretch.spoilt(body, fault)
                if spoilt != body:
                    felt.append(fault.kind)
                body = spoilt
    for fault in faults:
        if fault.kind == "cip_error":
            status, body = fault.cip_status, b""
            felt.append(fault.kind)
        elif fault.kind == "wrong_length" and body:
            body = _resized(body, fault.extra_bytes)
            felt.append(fault.kind)
    if entry is not None and felt:
        entry.faults = tuple(felt)
    return reply(plan.service, status, body)


def _resized(body: bytes, extra: int) -> bytes:
    return body + bytes(extra) if extra >= 0 else body[:extra]


def _identity_list(device: Device, transport: asyncio.Transport, now: int) -> bytes:
    address, port = transport.get_extra_info("sockname")[:2]
    return identity_list(device, address, port, now)


def identity_list(device: Device, address: str, port: int, now: int) -> bytes:
    """The body of a ListIdentity reply; its socket address is big-endian."""
    identity = device.identity(now, device.active(now))
    assert identity is not None
    place = struct.pack(">HH4s8x", socket.AF_INET, port, socket.inet_aton(address))
    item = struct.pack("<H", 1) + place + identity_attributes(identity) + b"\x03"
    return struct.pack("<HHH", 1, 0x000C, len(item)) + item


class IdentityResponder:
    """ListIdentity on UDP: one socket, the meter by the address that was dialed.

    To 127.255.255.255, the loopback net's broadcast, every meter answers.
    """

    def __init__(self, plant: Plant, udp: socket.socket) -> None:
        self._plant = plant
        self._udp = udp
        self._port = udp.getsockname()[1]
        udp.setblocking(False)
        udp.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        asyncio.get_running_loop().add_reader(udp, self._readable)

    def close(self) -> None:
        """Stop answering and close the socket."""
        asyncio.get_running_loop().remove_reader(self._udp)
        self._udp.close()

    def _readable(self) -> None:
        try:
            message, ancillary, _, peer = self._udp.recvmsg(2048, 256)
        except OSError:
            return
        for level, kind, content in ancillary:
            if level == socket.IPPROTO_IP and kind == _IP_PKTINFO:
                self._request(message, socket.inet_ntoa(content[8:12]), peer)

    def _request(self, message: bytes, dialed: str, peer: tuple[str, int]) -> None:
        if len(message) != 24:
            return
        command, length, _, _, context, _ = _HEADER.unpack(message)
        if command != _LIST_IDENTITY or length:
            return
        now = self._plant.clock()
        wanted = (
            list(self._plant.devices)
            if dialed == "127.255.255.255"
            else [dialed] * (dialed in self._plant.devices)
        )
        for address in wanted:
            self._respond(message, address, context, peer, now)

    def _respond(
        self,
        message: bytes,
        address: str,
        context: bytes,
        peer: tuple[str, int],
        now: int,
    ) -> None:
        device = self._plant.devices[address]
        if device.profile.ethernet_ip is None:
            return
        record = self._plant.record
        active = {fault.kind for fault in device.active(now)}
        felt = active & {"refuse", "foreign_identity"}
        if device.ethernet_ip_is_silent(now):
            felt.add("suspend")
        entry = Request(
            time_us=now,
            meter=device.meter.name,
            address=address,
            protocol="ethernet_ip",
            request=message,
            faults=tuple(sorted(felt)),
        )
        if record.on:
            record.received(entry)
        if not felt & {"refuse", "suspend"}:
            body = identity_list(device, address, self._port, now)
            head = _HEADER.pack(_LIST_IDENTITY, len(body), 0, 0, context, 0)
            # The answer leaves from the address that was dialed.
            source = struct.pack("=i4s4s", 0, socket.inet_aton(address), bytes(4))
            control = [(socket.IPPROTO_IP, _IP_PKTINFO, source)]
            entry.answer, entry.sent_us = head + body, now
            with suppress(OSError):  # the asker is beyond reach
                self._udp.sendmsg([head + body], control, 0, peer)
        if record.on:
            record.settled(entry)
