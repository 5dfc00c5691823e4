"""The simulator: one listening socket a protocol, meters by the loopback address dialed.

The sockets listen on every address of the loopback interface and on no other: bound to
the device ``lo`` where the system allows it, and in every case only addresses of
127.0.0.0/8 have meters, so any other connection is closed before a byte is read.
"""

from __future__ import annotations

import asyncio
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from connectors.simulator.connection import Plant
from connectors.simulator.device import Device
from connectors.simulator.ethernet_ip import EthernetIpConnection, IdentityResponder
from connectors.simulator.faults import Fault
from connectors.simulator.fleet import FleetError, SimulatedMeter, check_fleet
from connectors.simulator.modbus import ModbusConnection
from connectors.simulator.record import Record

__all__ = ["Simulator", "allow_many_connections", "now_us", "running_simulator"]

_BACKLOG = 4096
_REFUSAL_SECONDS = 0.02


def now_us() -> int:
    """The wall clock in microseconds since the epoch."""
    return time.time_ns() // 1000


class Simulator:
    """Meters in this process, served by the running event loop.

    FleetError lists every mistake of the fleet. ``clock`` gives microseconds since the
    epoch; load, faults and record use it, delays are real seconds. ``add_fault`` and
    ``clear_faults`` may be called from any thread while it runs.
    """

    def __init__(
        self,
        meters: Sequence[SimulatedMeter],
        faults: Sequence[Fault] = (),
        *,
        clock: Callable[[], int] = now_us,
        record: Record | None = None,
    ) -> None:
        mistakes = check_fleet(meters, faults)
        if mistakes:
            raise FleetError("fleet", mistakes)
        self.meters = tuple(meters)
        self.clock = clock
        self.record = Record() if record is None else record
        devices = {meter.address: Device(meter) for meter in meters}
        self._plant = Plant(devices, clock, self.record)
        self._by_name = {device.meter.name: device for device in devices.values()}
        self._faults: tuple[Fault, ...] = ()
        self._refusals_planned = False
        self._lock = threading.Lock()
        self._servers: list[asyncio.Server] = []
        self._responder: IdentityResponder | None = None
        self._refusals: asyncio.Task[None] | None = None
        self._set_faults(tuple(faults))
        self.ethernet_ip_port = 0
        self.modbus_port = 0

    # -- to be asked ----------------------------------------------------------------

    @property
    def faults(self) -> tuple[Fault, ...]:
        """All faults given so far, past and coming ones too."""
        return self._faults

    def add_fault(self, fault: Fault) -> None:
        """Inject a fault from now on (or in its window)."""
        with self._lock:
            mistakes = check_fleet(self.meters, [fault])
            if mistakes:
                raise FleetError("fault", mistakes)
            self._set_faults((*self._faults, fault))

    def clear_faults(self) -> None:
        """Take all faults away; what state faults did is undone too."""
        with self._lock:
            self._set_faults(())

    def device(self, name: str) -> Device:
        """The meter of this name; KeyError where there is none.

        ``device(name).load.at(time_us)`` is what the wires carry,
        ``device(name).values(time_us)`` what the meter makes of it.
        """
        return self._by_name[name]

    def _set_faults(self, faults: tuple[Fault, ...]) -> None:
        before = set(self._faults)
        for fault in faults:
            if fault not in before:
                self.record.fault(fault)
        touched = {fault.meter for fault in before ^ set(faults)}
        self._faults = faults
        self._refusals_planned = any(fault.kind == "refuse" for fault in faults)
        by_meter: dict[str | None, list[Fault]] = {}
        for fault in faults:
            by_meter.setdefault(fault.meter, []).append(fault)
        for name in self._by_name if None in touched else touched:
            assert name is not None
            own = by_meter.get(None, []) + by_meter.get(name, [])
            self._by_name[name].set_faults(own)

    # -- life -----------------------------------------------------------------------

    async def start(self, ethernet_ip_port: int = 0, modbus_port: int = 0) -> None:
        """Listen; port 0 takes a free one. OSError where a port cannot be had."""
        loop = asyncio.get_running_loop()
        tcp, udp = _ethernet_ip_sockets(ethernet_ip_port)
        self.ethernet_ip_port = tcp.getsockname()[1]
        self._responder = IdentityResponder(self._plant, udp)
        self._servers.append(
            await loop.create_server(
                lambda: EthernetIpConnection(self._plant), sock=tcp, backlog=_BACKLOG
            )
        )
        modbus = _listening(socket.SOCK_STREAM, modbus_port)
        self.modbus_port = modbus.getsockname()[1]
        self._servers.append(
            await loop.create_server(
                lambda: ModbusConnection(self._plant), sock=modbus, backlog=_BACKLOG
            )
        )
        self._refusals = loop.create_task(self._refuse())

    async def close(self) -> None:
        """Stop listening, end every connection, close the record's file."""
        if self._refusals is not None:
            self._refusals.cancel()
        for server in self._servers:
            server.close()
        for connection in tuple(self._plant.connections):
            connection.transport.abort()
        await asyncio.sleep(0)  # aborted connections are told in the loop's next turn
        if self._responder is not None:
            self._responder.close()
            self._responder = None
        self._servers.clear()
        self.record.close()

    async def _refuse(self) -> None:
        while True:
            if self._refusals_planned:
                self._plant.enforce_refusals()
            await asyncio.sleep(_REFUSAL_SECONDS)


@contextmanager
def running_simulator(
    meters: Sequence[SimulatedMeter],
    faults: Sequence[Fault] = (),
    *,
    ethernet_ip_port: int = 0,
    modbus_port: int = 0,
    clock: Callable[[], int] = now_us,
    record: Record | None = None,
    record_path: Path | None = None,
) -> Iterator[Simulator]:
    """A simulator in a thread of its own, listening until the block ends."""
    if record is None:
        record = Record(path=record_path)
    simulator = Simulator(meters, faults, clock=clock, record=record)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="simulator", daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(
            simulator.start(ethernet_ip_port, modbus_port), loop
        ).result(30)
        yield simulator
    finally:
        asyncio.run_coroutine_threadsafe(simulator.close(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()


def allow_many_connections() -> None:
    """Raise this process's limit of open files as far as it may."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _ethernet_ip_sockets(port: int) -> tuple[socket.socket, socket.socket]:
    """TCP and UDP on the same number, as a scanner expects it."""
    for _ in range(20):
        tcp = _listening(socket.SOCK_STREAM, port)
        try:
            return tcp, _listening(socket.SOCK_DGRAM, tcp.getsockname()[1])
        except OSError:
            tcp.close()
            if port:
                raise
    raise OSError("no number is free on TCP and UDP alike")


def _listening(kind: socket.SocketKind, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET, kind)
    try:
        if kind == socket.SOCK_STREAM:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):  # not allowed everywhere; the address check remains
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo\0")
        # 127.0.0.1 alone would not hear the other addresses of 127.0.0.0/8.
        bound.bind(("0.0.0.0", port))  # noqa: S104 (on `lo` only)
    except OSError:
        bound.close()
        raise
    return bound
