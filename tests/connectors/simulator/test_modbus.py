"""Modbus TCP on real sockets: our own bytes, and pymodbus as a foreign client."""

from __future__ import annotations

import asyncio
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pymodbus.client import AsyncModbusTcpClient

from connectors.simulator import SimulatedMeter, Simulator, running_simulator
from tests.connectors.simulator.wire import RawEthernetIp, RawModbus, read_assembly

pytestmark = pytest.mark.integration

METERS = [
    SimulatedMeter(name="one", address="127.1.0.1", modbus_recovery_seconds=0.0),
    SimulatedMeter(name="em24", address="127.1.0.2", profile="em24"),
    SimulatedMeter(
        name="free",
        address="127.1.0.3",
        single_modbus_socket=False,
        modbus_suspends_ethernet_ip=False,
    ),
]


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with running_simulator(METERS) as running:
        yield running


@pytest.fixture(autouse=True)
def _sockets_are_free(simulator: Simulator) -> Iterator[None]:
    yield
    until(lambda: simulator.record.open_connections("one") == 0)


def until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    waiting = threading.Event()
    for _ in range(int(seconds / 0.005)):
        if condition():
            return
        waiting.wait(0.005)
    raise AssertionError("it did not come to pass")


def client_of(simulator: Simulator, address: str) -> AsyncModbusTcpClient:
    return AsyncModbusTcpClient(
        address, port=simulator.modbus_port, timeout=5, retries=0, reconnect_delay=0
    )


@pytest.mark.parametrize("function", [3, 4])
def test_both_functions_read_the_same_registers(
    simulator: Simulator, function: int
) -> None:
    with RawModbus(simulator) as client:
        answer = client.read(0x1018, 4, function)
    assert answer == bytes((function, 8)) + bytes.fromhex("0000 3F80 0000 3F80")


def test_pymodbus_reads_what_the_record_says(simulator: Simulator) -> None:
    async def read() -> tuple[Any, ...]:
        client = client_of(simulator, "127.1.0.1")
        assert await client.connect()
        reals = await client.read_input_registers(0x0050, count=58, device_id=1)
        counters = await client.read_input_registers(0x0500, count=36, device_id=1)
        status = await client.read_input_registers(0x4000, count=3, device_id=1)
        client.close()
        types = client.DATATYPE
        return (
            client.convert_from_registers(reals.registers, types.FLOAT32, "little"),
            client.convert_from_registers(counters.registers, types.UINT64, "little"),
            status.registers,
        )

    reals, counters, status = asyncio.run(read())
    first, second, third = simulator.record.of(meter="one", protocol="modbus")[-3:]
    values = list(first.values.values())
    raw = [
        v * 1000 if "Power" in k and "Factor" not in k else v
        for k, v in first.values.items()
    ]
    assert len(values) == 29
    assert reals == pytest.approx(raw, rel=1e-9)
    assert [c / 1000 for c in counters[:8]] == list(second.values.values())[:8]
    assert divmod(counters[8], 100)[0] == int(second.values["operatingHours"])
    assert status[2] == 0x108
    assert bool(status[0] & 1) == third.values["alarm1"]


def test_pymodbus_reads_the_em24(simulator: Simulator) -> None:
    async def read() -> tuple[Any, ...]:
        client = client_of(simulator, "127.1.0.2")
        assert await client.connect()
        volts = await client.read_input_registers(0x0000, count=6, device_id=1)
        hertz = await client.read_input_registers(0x0032, count=6, device_id=1)
        client.close()
        kind = client.DATATYPE.INT32
        return (
            client.convert_from_registers(volts.registers, kind, "little"),
            hertz.registers[5],
        )

    volts, hertz = asyncio.run(read())
    first, second = simulator.record.of(meter="em24")[-2:]
    assert [v / 10 for v in volts] == list(first.values.values())
    assert hertz / 10 == second.values["frequency"]
    assert 210 < volts[0] / 10 < 240


@pytest.mark.parametrize(
    ("pdu", "answer"),
    [
        ("04 0088 0002", None),
        ("04 008A 0001", "84 02"),  # after the frequency
        ("04 0089 0002", "84 02"),
        ("04 0050 0000", "84 03"),
        ("04 0050 007E", "84 03"),
        ("04 0050 00", "84 03"),
        ("04 0050 0001 00", "84 03"),
        ("06 1001 0001", "86 01"),
        ("10 1001 0001 02 0001", "90 01"),
        ("08 0000 0000", "88 01"),
        ("42 0000 0000", "C2 01"),
        ("01 0000 0001", "81 01"),
    ],
)
def test_each_request_has_its_exception(
    simulator: Simulator, pdu: str, answer: str | None
) -> None:
    with RawModbus(simulator) as client:
        got = client.ask(bytes.fromhex(pdu))
    assert got == bytes.fromhex(answer) if answer else got[:2] == b"\x04\x04"


def test_another_unit_does_not_respond(simulator: Simulator) -> None:
    with RawModbus(simulator) as client:
        assert client.ask(bytes.fromhex("04 0050 0002"), unit=2) == b"\x84\x0b"


@pytest.mark.parametrize(
    "head", ["0001 0001 0006 01", "0001 0000 0001 01", "0001 0000 0100 01"]
)
def test_what_is_no_modbus_ends_the_connection(simulator: Simulator, head: str) -> None:
    with RawModbus(simulator) as client:
        client.socket.sendall(bytes.fromhex(head + "04 0050 0002"))
        with pytest.raises((EOFError, ConnectionResetError)):
            client.take(1)


def test_the_password_is_answered_and_a_forbidden_request(simulator: Simulator) -> None:
    with RawModbus(simulator) as client:
        assert client.read(0x1000, 1) == b"\x04\x02" + struct.pack(">H", 4711)
        client.read(0x1001, 1)
    assert [r.block for r in simulator.record.forbidden() if r.service == 4] == [0x1000]


def test_a_write_is_a_forbidden_request(simulator: Simulator) -> None:
    with RawModbus(simulator) as client:
        client.ask(bytes.fromhex("06 1001 0001"))
    assert simulator.record.forbidden()[-1].service == 6


def test_a_second_socket_is_refused_until_the_first_has_gone(
    simulator: Simulator,
) -> None:
    with RawModbus(simulator) as first:
        first.read(0x1001, 1)
        with (
            pytest.raises((EOFError, ConnectionError)),
            RawModbus(simulator) as second,
        ):
            second.take(1)
        assert first.read(0x1001, 1)[0] == 4
    until(lambda: simulator.record.open_connections("one", "modbus") == 0)
    with RawModbus(simulator) as third:
        assert third.read(0x1001, 1)[0] == 4
    assert "refused" in {event.what for event in simulator.record.connections}


def test_a_meter_may_have_several_sockets_and_both_protocols(
    simulator: Simulator,
) -> None:
    with (
        RawModbus(simulator, "127.1.0.3") as one,
        RawModbus(simulator, "127.1.0.3") as two,
        RawEthernetIp(simulator, "127.1.0.3") as third,
    ):
        assert one.read(0x1001, 1) == two.read(0x1001, 1)
        assert len(third.data(101)) == 48


def test_an_open_modbus_connection_suspends_ethernet_ip(simulator: Simulator) -> None:
    with RawEthernetIp(simulator, timeout_seconds=0.2) as client:
        assert len(client.data(101)) == 48
        with RawModbus(simulator) as modbus:
            modbus.read(0x1001, 1)
            client.tell_cip(read_assembly(101))
            with pytest.raises(TimeoutError):
                client.take(1)
        until(lambda: simulator.record.open_connections("one", "modbus") == 0)
        assert len(client.data(102)) == 72
    silent = simulator.record.of(meter="one", protocol="ethernet_ip", fault="suspend")
    assert [r.block for r in silent] == [101]
    assert silent[0].answer == b""
    assert silent[0].sent_us is None
