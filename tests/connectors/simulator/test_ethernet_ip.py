"""EtherNet/IP on real sockets: our own bytes, and pycomm3 as a foreign client."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from pycomm3 import CIPDriver

from connectors.simulator import (
    Fault,
    Record,
    SimulatedMeter,
    Simulator,
    running_simulator,
)
from tests.connectors.simulator.wire import CONTEXT, RawEthernetIp, read_assembly

pytestmark = pytest.mark.integration

METERS = [
    SimulatedMeter(name="one", address="127.1.0.1", seed=1, serial=940_000_001),
    SimulatedMeter(name="two", address="127.1.0.2", seed=2, serial=940_000_002),
    SimulatedMeter(name="em24", address="127.1.0.3", profile="em24"),
]


@pytest.fixture(scope="module")
def shared() -> Iterator[Simulator]:
    with running_simulator(METERS) as running:
        yield running


@pytest.fixture
def simulator(shared: Simulator) -> Iterator[Simulator]:
    shared.clear_faults()
    yield shared
    shared.clear_faults()


def test_a_session_is_registered_and_the_context_echoed(simulator: Simulator) -> None:
    with RawEthernetIp(simulator, register=False) as client:
        answer = client.ask(0x65, b"\1\0\0\0")
    assert answer[:4] == bytes.fromhex("65000400")
    assert struct.unpack_from("<I", answer, 4)[0] > 0
    assert answer[8:] == bytes(4) + CONTEXT + bytes(4) + b"\1\0\0\0"


def test_two_connections_have_two_sessions(simulator: Simulator) -> None:
    with RawEthernetIp(simulator) as one, RawEthernetIp(simulator) as two:
        assert one.session != two.session


def test_the_assembly_read_is_answered_as_the_specification_has_it(
    simulator: Simulator,
) -> None:
    with RawEthernetIp(simulator) as client:
        client.tell_cip(bytes.fromhex("0E 03 20 04 24 65 30 03"))
        answer = client.reply()
        session = struct.pack("<I", client.session)
    head = bytes.fromhex("6F004400") + session + bytes(4) + CONTEXT + bytes(4)
    packet = bytes.fromhex("00000000 0000 0200 0000 0000 B200 3400 8E000000")
    assert answer[:44] == head + packet
    assert len(answer) == 44 + 48


@pytest.mark.parametrize(
    ("command", "data", "status"),
    [
        (0x65, b"\1\0\0\0", 0x01),  # registered already
        (0x65, b"\1\0", 0x65),
        (0x65, b"\2\0\0\0", 0x69),
        (0x63, b"\0", 0x65),
        (0x04, b"\0", 0x65),
        (0x70, b"", 0x01),
        (0x1234, b"", 0x01),
        (0x6F, b"", 0x03),
        (0x6F, bytes(16), 0x03),
        (
            0x6F,
            bytes.fromhex("000000000A0002000000 0000 B200 0900") + read_assembly(101),
            3,
        ),
        (
            0x6F,
            bytes.fromhex("000000000A0002000000 0000 B200 0700") + read_assembly(101),
            3,
        ),
        (
            0x6F,
            bytes.fromhex("000000000A0001000000 0000 B200 0800") + read_assembly(101),
            3,
        ),
    ],
)
def test_a_wrong_encapsulation_has_its_status(
    simulator: Simulator, command: int, data: bytes, status: int
) -> None:
    with RawEthernetIp(simulator) as client:
        assert struct.unpack_from("<I", client.ask(command, data), 8)[0] == status


@pytest.mark.parametrize("offset", [1, 1000])
def test_a_session_of_nobody_is_refused(simulator: Simulator, offset: int) -> None:
    with RawEthernetIp(simulator) as client:
        client.session += offset
        client.tell_cip(read_assembly(101))
        answer = client.reply()
    assert struct.unpack_from("<I", answer, 8)[0] == 0x64
    assert len(answer) == 24


def test_a_read_before_the_session_is_refused(simulator: Simulator) -> None:
    with RawEthernetIp(simulator, register=False) as client:
        client.tell_cip(read_assembly(101))
        assert struct.unpack_from("<I", client.reply(), 8)[0] == 0x64


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (read_assembly(101) + b"\0\0", 0x15),
        (read_assembly(109), 0x05),
        (read_assembly(101, attribute=7), 0x14),
        (bytes.fromhex("10 03 20 04 24 65 30 03 01"), 0x08),
        (bytes.fromhex("54 02 20 06 24 01 0A 05"), 0x08),
    ],
)
def test_a_wrong_request_has_its_general_status(
    simulator: Simulator, request_bytes: bytes, status: int
) -> None:
    with RawEthernetIp(simulator) as client:
        reply = client.cip(request_bytes)
    assert reply == bytes((request_bytes[0] | 0x80, 0, status, 0))


def test_a_reset_is_refused_and_a_forbidden_request(simulator: Simulator) -> None:
    with RawEthernetIp(simulator) as client:
        assert client.status(bytes.fromhex("05 02 20 01 24 01 01")) == 0x08
    forbidden = simulator.record.forbidden()
    assert [r.service for r in forbidden if r.service == 0x05] == [0x05]


def test_messages_may_come_byte_by_byte_or_together(simulator: Simulator) -> None:
    with RawEthernetIp(simulator) as client:
        head = struct.pack("<HHII8sI", 0x6F, 24, client.session, 0, CONTEXT, 0)
        packet = struct.pack("<IHHHHHH", 0, 10, 2, 0, 0, 0xB2, 8)
        message = head + packet + read_assembly(108)
        for byte in message:
            client.socket.sendall(bytes((byte,)))
        assert len(client.reply()) == 48
        client.socket.sendall(message * 3)
        assert [len(client.reply()) for _ in range(3)] == [48, 48, 48]


def test_unregistering_closes_without_an_answer(simulator: Simulator) -> None:
    with RawEthernetIp(simulator) as client:
        client.tell(0x66)
        with pytest.raises(EOFError, match="0 of"):
            client.take(1)


@pytest.mark.parametrize("address", ["127.9.9.9", "127.0.0.1", "127.1.0.3"])
def test_an_address_without_such_a_meter_is_closed_at_once(
    simulator: Simulator, address: str
) -> None:
    with (
        pytest.raises((EOFError, ConnectionResetError)),
        RawEthernetIp(simulator, address, register=False) as client,
    ):
        client.take(1)


def test_each_address_is_its_own_meter(simulator: Simulator) -> None:
    with RawEthernetIp(simulator) as one, RawEthernetIp(simulator, "127.1.0.2") as two:
        assert one.data(101) != two.data(101)
        assert one.cip(bytes.fromhex("0E0320012401 3006"))[4:] == struct.pack(
            "<I", 940_000_001
        )
        assert two.cip(bytes.fromhex("0E0320012401 3006"))[4:] == struct.pack(
            "<I", 940_000_002
        )


@pytest.mark.parametrize(
    "wrapping",
    [
        {"route_path": False},
        {"unconnected_send": True},
        {"unconnected_send": True, "route_path": False},
    ],
)
def test_pycomm3_reads_what_the_record_says(
    simulator: Simulator, wrapping: dict[str, bool]
) -> None:
    with CIPDriver(f"127.1.0.1:{simulator.ethernet_ip_port}") as driver:
        tag = driver.generic_message(
            service=0x0E,
            class_code=0x04,
            instance=101,
            attribute=3,
            connected=False,
            **wrapping,
        )
    assert tag, tag.error
    entry = simulator.record.of(meter="one", block=101)[-1]
    assert list(struct.unpack("<12f", tag.value)) == list(entry.values.values())
    assert list(entry.values)[:2] == ["voltageAN", "voltageBN"]
    assert entry.answer[44:] == tag.value
    assert entry.faults == ()


def test_pycomm3s_default_route_path_is_refused(simulator: Simulator) -> None:
    with CIPDriver(f"127.1.0.1:{simulator.ethernet_ip_port}") as driver:
        tag = driver.generic_message(
            service=0x0E, class_code=4, instance=101, attribute=3, connected=False
        )
    assert not tag
    assert "Too much data" in tag.error


def test_pycomm3_lists_the_identity(simulator: Simulator) -> None:
    found = CIPDriver.list_identity(f"127.1.0.2:{simulator.ethernet_ip_port}")
    assert found is not None
    assert found["product_name"] == "PowerMonitor 500"
    assert found["product_code"] == 7
    assert found["ip_address"] == "127.1.0.2"
    assert int(found["serial"], 16) == 940_000_002


def test_the_identity_is_listed_by_udp_from_the_dialed_address(
    simulator: Simulator,
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(5)
        place = ("127.1.0.2", simulator.ethernet_ip_port)
        udp.sendto(struct.pack("<HHII8sI", 0x63, 0, 0, 0, CONTEXT, 0), place)
        answer, peer = udp.recvfrom(2048)
    assert peer == place
    assert answer[:2] == b"\x63\0"
    assert answer[12:20] == CONTEXT
    assert struct.unpack_from("<HHH", answer, 24) == (1, 0x000C, len(answer) - 30)
    assert answer[32:40] == struct.pack(">HH4B", 2, place[1], 127, 1, 0, 2)
    assert answer[-18:] == b"\x10PowerMonitor 500\x03"


def test_every_meter_answers_the_loopback_broadcast(simulator: Simulator) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(5)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        place = ("127.255.255.255", simulator.ethernet_ip_port)
        udp.sendto(struct.pack("<HHII8sI", 0x63, 0, 0, 0, CONTEXT, 0), place)
        peers = {udp.recvfrom(2048)[1][0] for _ in range(2)}
    assert peers == {"127.1.0.1", "127.1.0.2"}


def test_the_server_hears_loopback_only(simulator: Simulator) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing, only picks a route
        except OSError:
            pytest.skip("this host has no address beside loopback")
        own = probe.getsockname()[0]
    # Traffic of a host to itself goes through `lo`: the address check must hold.
    with (
        pytest.raises((EOFError, ConnectionError)),
        RawEthernetIp(simulator, own) as client,
    ):
        client.take(1)


def test_the_record_has_every_byte_both_ways(tmp_path: Path) -> None:
    path = tmp_path / "record.jsonl"
    with running_simulator(METERS[:1], record_path=path) as simulator:
        with RawEthernetIp(simulator) as client:
            session = struct.pack("<I", client.session)
            client.tell_cip(read_assembly(108))
            answer = client.reply()
        simulator.add_fault(Fault(kind="garbage", meter="one"))
    record = Record.load(path)
    read = record.requests[1]
    assert read.request == (
        bytes.fromhex("6F001800")
        + session
        + bytes(4)
        + CONTEXT
        + bytes.fromhex(
            "00000000 00000000 0A00 0200 0000 0000 B200 0800 0E03200424 6C 3003"
        )
    )
    assert read.answer == answer
    assert read.service == 0x0E
    assert read.block == 108
    assert read.values == simulator.record.requests[1].values
    assert set(read.values) >= {"alarm1", "output2"}
    assert read.sent_us is not None
    assert read.sent_us >= read.time_us
    assert [event.what for event in record.connections] == ["opened", "closed"]
    assert [fault.kind for fault in record.faults] == ["garbage"]
    copy = tmp_path / "copy.jsonl"
    record.dump(copy)
    assert Record.load(copy).requests == record.requests
    assert json.loads(path.read_text().splitlines()[0])["record"] == "connection"
