"""What both servers share: the meter by the dialed address, faults of the link, record.

A refused connection is accepted by the one listening socket and then reset: a client
sees ``ConnectionResetError``, from its connect or at its first exchange (or end of
stream), never ``ECONNREFUSED``.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections.abc import Callable
from typing import ClassVar, Literal

from connectors.simulator.device import Device
from connectors.simulator.faults import Fault
from connectors.simulator.record import ConnectionEvent, Record, Request, WireProtocol

__all__ = ["MeterConnection", "Plant"]


class Plant:
    """All meters of a simulator, by address, with their clock, record and connections."""

    def __init__(
        self, devices: dict[str, Device], clock: Callable[[], int], record: Record
    ) -> None:
        self.devices = devices
        self.clock = clock
        self.record = record
        self.connections: set[MeterConnection] = set()
        self._sessions = 0

    def new_session(self) -> int:
        """A session handle that no other connection has."""
        self._sessions += 1
        return self._sessions

    def enforce_refusals(self) -> None:
        """Reset the open connections of meters that refuse by now."""
        now = self.clock()
        for connection in tuple(self.connections):
            if connection.device is not None and _refuses(connection, now):
                connection.reset()


class MeterConnection(asyncio.Protocol):
    """One connection to one meter; the subclass knows the protocol."""

    protocol: ClassVar[WireProtocol]

    def __init__(self, plant: Plant) -> None:
        self.plant = plant
        self.device: Device | None = None
        self.rest = b""
        self._address = ""
        self._late: dict[asyncio.TimerHandle, Request | None] = {}

    # -- life -----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Find the meter; a strange address or a refusal ends the connection."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        # None where the peer has gone already.
        self._address = (transport.get_extra_info("sockname") or ("",))[0]
        # Only loopback addresses have meters, so nobody else is ever served.
        self.device = self.plant.devices.get(self._address)
        if self.device is None:
            transport.abort()
            return
        if _refuses(self, self.plant.clock()) or not self.admit():
            self._tell("refused")
            self.device = None
            self.reset()
            return
        self.plant.connections.add(self)
        self._tell("opened")
        self.opened()

    def connection_lost(self, exc: Exception | None) -> None:
        """Answers that are still late will never be sent."""
        for timer, entry in self._late.items():
            timer.cancel()
            if entry is not None:
                self.plant.record.settled(entry)
        self._late.clear()
        if self.device is not None:
            self.plant.connections.discard(self)
            self.closed()
            self._tell("closed")

    def admit(self) -> bool:
        """Whether the meter takes one more connection of this protocol."""
        return True

    def opened(self) -> None:
        """The connection is open."""

    def closed(self) -> None:
        """The connection has gone."""

    def reset(self) -> None:
        """End the connection by a reset."""
        raw = self.transport.get_extra_info("socket")
        if raw is not None and not self.transport.is_closing():
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def _tell(self, what: Literal["opened", "closed", "refused"]) -> None:
        assert self.device is not None
        if self.plant.record.on:
            self.plant.record.connection(
                ConnectionEvent(
                    time_us=self.plant.clock(),
                    meter=self.device.meter.name,
                    address=self._address,
                    protocol=self.protocol,
                    what=what,
                )
            )

    # -- requests and answers -----------------------------------------------------------

    def received(
        self,
        time_us: int,
        message: bytes,
        *,
        service: int | None = None,
        block: int | None = None,
        count: int = 0,
    ) -> Request | None:
        """Record a request; None where nothing is recorded."""
        if not self.plant.record.on or self.device is None:
            return None
        entry = Request(
            time_us=time_us,
            meter=self.device.meter.name,
            address=self._address,
            protocol=self.protocol,
            request=message,
            service=service,
            block=block,
            count=count,
        )
        self.plant.record.received(entry)
        return entry

    def faults(self, time_us: int, block: int | None) -> tuple[Fault, ...]:
        """The faults that this data request feels; a refusal closes at once."""
        device = self.device
        if device is None or not device.faults:
            return ()
        return tuple(f for f in device.active(time_us) if f.hits(self.protocol, block))

    def unanswered(self, entry: Request | None, cause: str | None = None) -> None:
        """No answer, ever."""
        if entry is not None:
            if cause is not None:
                entry.faults = (*entry.faults, cause)
            self.plant.record.settled(entry)

    def answer(
        self, entry: Request | None, message: bytes, faults: tuple[Fault, ...] = ()
    ) -> None:
        """Send the answer as the faults of the link let it."""
        if not faults:
            self._send(entry, message, close=False)
            return
        wait, pause, close = 0.0, 0.0, False
        for fault in faults:
            match fault.kind:
                case "garbage":
                    message = _noise(entry, len(message))
                case "truncate":
                    half = len(message) // 2
                    keep = half if fault.keep_bytes is None else fault.keep_bytes
                    message, close = message[:keep], True
                case "delay":
                    wait = fault.delay_seconds
                case "drip":
                    pause = fault.delay_seconds
                case _:
                    continue
            if entry is not None and fault.kind not in entry.faults:
                entry.faults = (*entry.faults, fault.kind)
        if wait == float("inf"):
            self.unanswered(entry)
        elif pause:
            self._drip(entry, message, 0, pause)
        elif wait:
            self._later(wait, entry, lambda: self._send(entry, message, close=close))
        else:
            self._send(entry, message, close=close)

    def _later(
        self, seconds: float, entry: Request | None, act: Callable[[], None]
    ) -> None:
        def due() -> None:
            self._late.pop(timer, None)
            act()

        timer = asyncio.get_running_loop().call_later(seconds, due)
        self._late[timer] = entry

    def _drip(
        self, entry: Request | None, message: bytes, at: int, pause: float
    ) -> None:
        if at + 1 >= len(message):
            self._sent(entry, message)
        self.transport.write(message[at : at + 1])
        if at + 1 < len(message):
            self._later(pause, entry, lambda: self._drip(entry, message, at + 1, pause))

    def _send(self, entry: Request | None, message: bytes, *, close: bool) -> None:
        self._sent(entry, message)
        self.transport.write(message)
        if close:
            self.transport.close()

    def _sent(self, entry: Request | None, message: bytes) -> None:
        # Before the bytes go: whoever has the answer finds it in the record.
        if entry is not None:
            entry.answer = message
            entry.sent_us = self.plant.clock()
            self.plant.record.settled(entry)


def _refuses(connection: MeterConnection, time_us: int) -> bool:
    device = connection.device
    if device is None or not device.faults:
        return False
    return any(
        fault.kind == "refuse" and fault.protocol in (None, connection.protocol)
        for fault in device.active(time_us)
    )


def _noise(entry: Request | None, size: int) -> bytes:
    seed = f"{entry.meter}:{entry.time_us}" if entry else size
    return random.Random(seed).randbytes(size)  # noqa: S311 (repeatable)
