"""A bare client for both protocols: it may send what no proper client sends."""

from __future__ import annotations

import socket
import struct
from types import TracebackType

from connectors.simulator import Simulator

__all__ = ["RawEthernetIp", "RawModbus", "read_assembly"]

CONTEXT = b"whatever"


def read_assembly(instance: int, attribute: int = 3) -> bytes:
    """The CIP request of pm500.md section 5."""
    return bytes((0x0E, 3, 0x20, 4, 0x24, instance, 0x30, attribute))


class _Raw:
    def __init__(self, address: str, port: int, timeout_seconds: float) -> None:
        self.socket = socket.create_connection((address, port), timeout_seconds)

    def take(self, count: int) -> bytes:
        """Exactly so many bytes; EOFError where the peer ends before."""
        got = b""
        while len(got) < count:
            chunk = self.socket.recv(count - len(got))
            if not chunk:
                raise EOFError(f"{len(got)} of {count} bytes")
            got += chunk
        return got

    def close(self) -> None:
        self.socket.close()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class RawEthernetIp(_Raw):
    """One EtherNet/IP connection, registered unless told otherwise."""

    def __init__(
        self,
        simulator: Simulator,
        address: str = "127.1.0.1",
        *,
        register: bool = True,
        timeout_seconds: float = 5.0,
    ) -> None:
        super().__init__(address, simulator.ethernet_ip_port, timeout_seconds)
        self.session = 0
        if register:
            self.session = struct.unpack_from("<I", self.ask(0x65, b"\1\0\0\0"), 4)[0]

    def __enter__(self) -> RawEthernetIp:
        return self

    def ask(self, command: int, data: bytes = b"") -> bytes:
        """One encapsulation message and its whole reply."""
        self.tell(command, data)
        return self.reply()

    def tell(self, command: int, data: bytes = b"") -> None:
        head = struct.pack("<HHII8sI", command, len(data), self.session, 0, CONTEXT, 0)
        self.socket.sendall(head + data)

    def reply(self) -> bytes:
        head = self.take(24)
        return head + self.take(struct.unpack_from("<H", head, 2)[0])

    def cip(self, request: bytes) -> bytes:
        """The CIP reply to a CIP request."""
        self.tell_cip(request)
        return self.reply()[40:]

    def tell_cip(self, request: bytes) -> None:
        packet = struct.pack("<IHHHHHH", 0, 10, 2, 0, 0, 0xB2, len(request))
        self.tell(0x6F, packet + request)

    def status(self, request: bytes) -> int:
        """The general status of the reply."""
        return self.cip(request)[2]

    def data(self, instance: int) -> bytes:
        """The data of an assembly."""
        return self.cip(read_assembly(instance))[4:]


class RawModbus(_Raw):
    """One Modbus connection."""

    def __init__(
        self,
        simulator: Simulator,
        address: str = "127.1.0.1",
        *,
        timeout_seconds: float = 5.0,
    ) -> None:
        super().__init__(address, simulator.modbus_port, timeout_seconds)

    def __enter__(self) -> RawModbus:
        return self

    def ask(self, pdu: bytes, unit: int = 1) -> bytes:
        """The PDU that answers a PDU."""
        self.socket.sendall(struct.pack(">HHHB", 7, 0, len(pdu) + 1, unit) + pdu)
        head = self.take(7)
        transaction, protocol, size, answered = struct.unpack(">HHHB", head)
        assert (transaction, protocol, answered) == (7, 0, unit)
        return self.take(size - 1)

    def read(self, address: int, count: int, function: int = 4) -> bytes:
        """The PDU that answers a read."""
        return self.ask(struct.pack(">BHH", function, address, count))
