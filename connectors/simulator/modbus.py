"""The Modbus TCP server: functions 3 and 4 on the profile's registers, nothing else.

Another unit id than the profile's is answered with exception 0x0B, as by a gateway whose
target does not respond; another protocol id or an impossible length ends the connection
(Modbus Messaging on TCP/IP Implementation Guide 1.0b).
"""

from __future__ import annotations

import struct

from connectors.simulator.connection import MeterConnection
from connectors.simulator.device import Device
from connectors.simulator.faults import Fault
from connectors.simulator.memory import Stretch
from connectors.simulator.record import Request

__all__ = ["ModbusConnection"]

_FUNCTION, _ADDRESS, _VALUE, _NO_TARGET = 1, 2, 3, 0x0B
_MBAP = struct.Struct(">HHHB")


class ModbusConnection(MeterConnection):
    """One TCP connection."""

    protocol = "modbus"

    def admit(self) -> bool:
        """A meter has Modbus or not, and it may have one socket only."""
        device = self.device
        return (
            device is not None
            and device.profile.modbus is not None
            and not device.modbus_is_taken
        )

    def opened(self) -> None:
        """EtherNet/IP may fall silent now."""
        assert self.device is not None
        self.device.modbus_opened()

    def closed(self) -> None:
        """EtherNet/IP may come back after a while."""
        assert self.device is not None
        self.device.modbus_closed(self.plant.clock())

    def data_received(self, data: bytes) -> None:
        """Cut the stream into messages and answer each."""
        if self.rest:
            data = self.rest + data
            self.rest = b""
        at = 0
        while len(data) - at >= 8 and not self.transport.is_closing():
            size = data[at + 4] << 8 | data[at + 5]
            if data[at + 2 : at + 4] != b"\0\0" or not 2 <= size <= 254:
                self.unanswered(self.received(self.plant.clock(), data[at:]))
                self.transport.close()
                return
            end = at + 6 + size
            if len(data) < end:
                break
            self._message(data[at:end])
            at = end
        self.rest = data[at:]

    def _message(self, message: bytes) -> None:
        device = self.device
        assert device is not None
        assert device.profile.modbus is not None
        now = self.plant.clock()
        transaction, _, _, unit = _MBAP.unpack_from(message)
        function = message[7]
        address, count = None, 0
        if len(message) == 12:
            address, count = struct.unpack_from(">HH", message, 8)
        entry = self.received(
            now, message, service=function, block=address, count=count
        )
        faults = self.faults(now, address)
        if unit != device.profile.modbus.unit:
            answer = _exception(function, _NO_TARGET)
        elif function not in (3, 4):
            answer = _exception(function, _FUNCTION)
        elif address is None or not 1 <= count <= device.profile.modbus.max_registers:
            answer = _exception(function, _VALUE)
        else:
            answer = _registers(device, function, address, count, now, entry, faults)
        head = _MBAP.pack(transaction, 0, len(answer) + 1, unit)
        self.answer(entry, head + answer, faults)


def _exception(function: int, code: int) -> bytes:
    return bytes((function | 0x80, code))


def _registers(
    device: Device,
    function: int,
    address: int,
    count: int,
    now: int,
    entry: Request | None,
    faults: tuple[Fault, ...],
) -> bytes:
    """The answer to a read, spoilt by the faults that spoil it."""
    found = device.registers(address, count, now)
    if found is None:
        return _exception(function, _ADDRESS)
    block, stretch = found
    if entry is not None:
        entry.meant, entry.decoder = block, stretch
    for fault in faults:
        if fault.kind == "modbus_exception":
            if entry is not None:
                entry.faults = (fault.kind,)
            return _exception(function, fault.exception_code)
    felt: list[str] = []
    for fault in faults:
        spoilt = _spoilt(device, address, block, stretch, fault)
        if spoilt != block:
            felt.append(fault.kind)
        block = spoilt
    if entry is not None and felt:
        entry.faults = tuple(felt)
    return bytes((function, len(block))) + block


def _spoilt(
    device: Device, address: int, block: bytes, stretch: Stretch, fault: Fault
) -> bytes:
    match fault.kind:
        case "wrong_length":
            extra = fault.extra_bytes
            longer = block + bytes(max(0, min(extra, 250 - len(block))))
            return longer if extra >= 0 else block[:extra]
        case "foreign_identity":
            out = bytearray(block)
            for register in range(address, address + len(block) // 2):
                if device.is_identity(register):
                    at = 2 * (register - address)
                    out[at : at + 2] = b"\xff\xff"
            return bytes(out)
        case _:
            return stretch.spoilt(block, fault)
