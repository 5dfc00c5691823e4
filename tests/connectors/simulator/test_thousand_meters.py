"""A thousand meters in one process."""

from __future__ import annotations

import asyncio
import struct

import pytest

from connectors.simulator import Simulator, fleet_of
from connectors.simulator.server import allow_many_connections
from tests.connectors.simulator.wire import read_assembly

pytestmark = pytest.mark.integration
METERS = 1000


async def read_once(address: str, port: int) -> tuple[float, ...]:
    """Twelve REAL of assembly 101."""
    reader, writer = await asyncio.open_connection(address, port)
    writer.write(struct.pack("<HHII8sI", 0x65, 4, 0, 0, bytes(8), 0) + b"\1\0\0\0")
    session = struct.unpack_from("<I", await reader.readexactly(28), 4)[0]
    request = read_assembly(101)
    writer.write(struct.pack("<HHII8sI", 0x6F, 24, session, 0, bytes(8), 0))
    writer.write(struct.pack("<IHHHHHH", 0, 0, 2, 0, 0, 0xB2, 8) + request)
    answer = await reader.readexactly(44 + 48)
    writer.close()
    return struct.unpack("<12f", answer[44:])


async def read_all() -> tuple[Simulator, list[tuple[float, ...]]]:
    """Every meter once, all connected before the first is closed."""
    simulator = Simulator(fleet_of(METERS))
    await simulator.start()
    reads = [
        read_once(meter.address, simulator.ethernet_ip_port)
        for meter in simulator.meters
    ]
    values = await asyncio.gather(*reads)
    await simulator.close()
    return simulator, values


def test_a_thousand_meters_answer_with_their_own_values() -> None:
    allow_many_connections()
    simulator, values = asyncio.run(read_all())
    assert len(set(values)) == METERS
    by_meter = {r.meter: r for r in simulator.record.of(block=101)}
    for meter, read in zip(simulator.meters, values, strict=True):
        assert tuple(by_meter[meter.name].values.values()) == read
    assert simulator.record.forbidden() == []
