"""``pm500 simulate`` as a process, with real signals."""

from __future__ import annotations

import json
import signal
import socket
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from connectors.simulator import Record
from tests.dataflows.commands.pm500 import command, environment, run

pytestmark = pytest.mark.integration
FREE = ("--ethernet-ip-port", "0", "--modbus-port", "0")


@contextmanager
def simulating(*words: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    with subprocess.Popen(
        command("simulate", *FREE, "--json", *words),
        env=environment(Path("site.toml")),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield process, json.loads(process.stdout.readline())
        finally:
            process.kill()


def registered(address: str, port: int) -> socket.socket:
    client = socket.create_connection((address, port), 5)
    client.sendall(struct.pack("<HHII8sI", 0x65, 4, 0, 0, bytes(8), 0) + b"\1\0\0\0")
    assert len(client.recv(28)) == 28
    return client


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_its_ports_serves_records_and_stops_cleanly(
    tmp_path: Path, number: signal.Signals
) -> None:
    path = tmp_path / "record.jsonl"
    with simulating("--meters", "300", "--record", str(path)) as (process, ready):
        assert (ready["ready"], ready["meters"]) == (True, 300)
        assert ready["last"] == "127.1.1.50"
        with registered("127.1.1.50", ready["ethernet_ip_port"]):
            process.send_signal(number)
            assert process.wait(30) == 0
    record = Record.load(path)
    assert [event.what for event in record.connections] == ["opened", "closed"]
    assert [r.meter for r in record.requests] == ["meter0300"]


def test_it_simulates_a_file_of_meters_and_faults(tmp_path: Path) -> None:
    fleet = tmp_path / "fleet.toml"
    fleet.write_text(
        '[[meter]]\nname = "pump"\naddress = "127.1.0.9"\nmodbus_recovery_seconds = 0\n'
        '[[fault]]\nkind = "modbus_exception"\nexception_code = 6\n'
    )
    with (
        simulating("--fleet", str(fleet)) as (_, ready),
        socket.create_connection(("127.1.0.9", ready["modbus_port"]), 5) as client,
    ):
        client.sendall(bytes.fromhex("0001 0000 0006 01 04 0500 0024"))
        assert client.recv(100) == bytes.fromhex("0001 0000 0003 01 84 06")


def test_text_says_one_line_for_each_port() -> None:
    with subprocess.Popen(
        command("simulate", *FREE, "--meters", "1", "--faults"),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(3)]
        process.terminate()
        assert process.wait(30) == 0
    assert [line.split(":")[0] for line in lines] == [
        "EtherNet/IP",
        "Modbus TCP",
        "ready",
    ]


def test_mistakes_are_listed_with_exit_code_2(tmp_path: Path) -> None:
    fleet = tmp_path / "fleet.toml"
    fleet.write_text('[[meter]]\nname = "a"\naddress = "10.0.0.1"\nsize = 3\n')
    done = run(tmp_path / "site.toml", "simulate", "--fleet", str(fleet))
    assert done.returncode == 2
    assert "2 mistake(s)" in done.stderr
    done = run(tmp_path / "site.toml", "simulate", "--profile", "em42")
    assert done.returncode == 2
    assert "em24, pm500" in done.stderr


def test_a_port_in_use_ends_with_exit_code_1(tmp_path: Path) -> None:
    with simulating("--meters", "1") as (_, ready):
        port = str(ready["ethernet_ip_port"])
        done = run(tmp_path / "site.toml", "simulate", "--ethernet-ip-port", port)
    assert done.returncode == 1
    assert "cannot listen" in done.stderr
