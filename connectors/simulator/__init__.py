"""Meters in one process, for tests and demonstrations: EtherNet/IP and Modbus TCP.

>>> from connectors.simulator import Fault, SimulatedMeter, running_simulator
>>> meters = [SimulatedMeter(name="m1", address="127.1.0.1")]
>>> with running_simulator(meters) as simulator:       # in a thread of its own
...     port = simulator.ethernet_ip_port              # dial 127.1.0.1:port
...     simulator.add_fault(Fault(kind="delay", meter="m1", delay_seconds=2.0))
...     requests = simulator.record.of(meter="m1")     # bytes, true values, faults

In asyncio: ``simulator = Simulator(meters)``, ``await simulator.start()``, ``await
simulator.close()``.
"""

from connectors.simulator.faults import Fault, FaultKind, seeded_faults
from connectors.simulator.fleet import (
    Fleet,
    FleetError,
    SimulatedMeter,
    fleet_of,
    read_fleet,
)
from connectors.simulator.record import ConnectionEvent, Record, Request
from connectors.simulator.server import Simulator, running_simulator

__all__ = [
    "ConnectionEvent",
    "Fault",
    "FaultKind",
    "Fleet",
    "FleetError",
    "Record",
    "Request",
    "SimulatedMeter",
    "Simulator",
    "fleet_of",
    "read_fleet",
    "running_simulator",
    "seeded_faults",
]
