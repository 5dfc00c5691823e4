from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from io import StringIO
from pathlib import Path

import psutil
import pytest
from deltalake import DeltaTable
from rich.console import Console
from typer.testing import CliRunner

from connectors.log.contract import FRAMES
from connectors.log.embedded import EmbeddedLog
from connectors.log.schemas import publish_schemas
from connectors.profiles import load_profile
from connectors.simulator.fleet import read_fleet
from dataflows.cli import app
from dataflows.demo.board import Board
from dataflows.demo.latency import percentile
from dataflows.demo.plant import (
    SimulatorPorts,
    fleet_toml,
    plant_of,
    site_toml,
)
from dataflows.demo.processes import Child, DemoError
from dataflows.demo.servers import InfluxDatabase, MqttAddress, Servers
from dataflows.demo.summary import ArchiveCount, Outcome
from dataflows.demo.table import View
from dataflows.demo.trouble import troubles
from dataflows.ledger import Summary
from dataflows.site import load_site
from tests.dataflows.processes import ROOT, gone, wait_for
from transforms.codec.frame import frame_schema
from transforms.model.quality import Status

DEMO = (sys.executable, "-m", "dataflows", "demo")
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "TERM": "xterm-256color"}


# -- the plant ---------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 12, 60])
def test_every_plant_is_a_fleet_and_a_site(tmp_path: Path, count: int) -> None:
    meters = plant_of(count, 7)
    path = tmp_path / "fleet.toml"
    path.write_text(fleet_toml(meters, troubles(meters, 7)))
    fleet = read_fleet(path)
    assert len(fleet.meters) == count
    assert list(fleet.faults) == troubles(meters, 7)
    path = tmp_path / "site.toml"
    path.write_text(site_toml(meters, SimulatorPorts(1, 2), MqttAddress("::1", 3)))
    site = load_site(path)
    assert [site.asset(meter) for meter in site.meter] == [m.name for m in meters]
    assert (site.kafka, site.influx) == (None, None)


def test_a_site_on_real_servers_names_them(tmp_path: Path) -> None:
    servers = Servers(
        kafka="127.0.0.1:9092",
        topic_prefix="demo-1.",
        influx=InfluxDatabase("http://127.0.0.1:8086", "pm500"),
    )
    mqtt = MqttAddress("127.0.0.1", 1883)
    path = tmp_path / "site.toml"
    path.write_text(site_toml(plant_of(2, 7), SimulatorPorts(1, 2), mqtt, servers))
    site = load_site(path)
    assert site.kafka is not None
    assert site.kafka.topic_prefix == "demo-1."
    assert site.influx is not None
    assert (site.influx.version, site.influx.database) == (1, "pm500")


def test_twelve_meters_speak_all_protocols_and_two_models() -> None:
    meters = plant_of(12, 0)
    kinds = [(meter.profile, meter.protocol) for meter in meters]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        ("pm500", "ethernet_ip"): 7,
        ("pm500", "modbus"): 2,
        ("pm500", "both"): 1,
        ("em24", "modbus"): 2,
    }


def test_a_seed_decides_plant_and_faults() -> None:
    meters = plant_of(12, 3)
    assert meters == plant_of(12, 3) != plant_of(12, 4)
    assert troubles(meters, 3) == troubles(meters, 3) != troubles(meters, 4)


def test_no_meter_is_troubled_while_it_is_commissioned() -> None:
    first = min(fault.start_us for fault in troubles(plant_of(12, 0), 0))
    assert first >= 6_000_000


# -- what is shown -----------------------------------------------------------------


def board_of(log: EmbeddedLog, statuses: list[Status]) -> Board:
    """A board of twelve meters; the first one had a slot with each status."""
    meters = plant_of(12, 0)
    profile = load_profile("pm500")
    schema = frame_schema(profile, profile.group_named("realtime"))
    publish_schemas(log, [schema])
    values = tuple(9.25 for _ in schema.columns)
    for seq, status in enumerate(statuses, 1_795_000_000):
        slot_us = seq * 1_000_000
        head = (seq, 1_000_000, slot_us, slot_us, slot_us, status)
        value = (
            schema.encode(*head, bytes(len(schema.columns)), values)
            if status is Status.OK
            else schema.encode_failed(*head)
        )
        log.append(FRAMES, [(meters[0].name, value)])
    board = Board(log, [meter.name for meter in meters])
    board.read_on()
    return board


def drawn(board: Board, width: int, height: int) -> list[str]:
    console = Console(width=width, height=height, record=True, file=StringIO())
    view = View(
        board=board,
        meters=plant_of(12, 0),
        last_ms={"demo/press/line1": 12.4},
        places=dict.fromkeys(
            ("archive", "log", "tail", "mqtt", "health", "lag"), "here"
        ),
        now_us=1_795_000_005_000_000,
    )
    console.print(view)
    return console.export_text().splitlines()


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EmbeddedLog]:
    log = EmbeddedLog(tmp_path / "edge.sqlite")
    yield log
    log.close()


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40)])
def test_the_table_fits_the_terminal(log: EmbeddedLog, width: int, height: int) -> None:
    lines = drawn(board_of(log, [Status.OK]), width, height)
    assert len(lines) <= height
    row = next(line for line in lines if line.startswith("press/line1"))
    assert row.split()[2:4] == ["9.25", "9.2"]
    assert "1795000000" in row
    assert "…" not in row
    assert row.split()[-1] == ("12" if width == 80 else "none")


def test_a_failing_meter_shows_why_instead_of_old_readings(log: EmbeddedLog) -> None:
    statuses = [Status.OK, Status.TIMEOUT, Status.BACKING_OFF]
    lines = drawn(board_of(log, statuses), 80, 24)
    row = next(line for line in lines if line.startswith("press/line1"))
    assert "timeout, 4 s" in row
    assert "9.25" not in row
    assert "1/2" in row


def test_a_low_terminal_says_how_many_meters_it_leaves_out(log: EmbeddedLog) -> None:
    lines = drawn(board_of(log, [Status.OK]), 80, 18)
    assert len(lines) == 18
    assert any("... 6 more" in line for line in lines)


def test_a_percentile_is_one_of_the_values() -> None:
    values = [float(n) for n in range(1, 201)]
    assert [percentile(values, percent) for percent in (50, 99, 100)] == [100, 198, 200]
    assert percentile([], 50) is None


# -- the sums ----------------------------------------------------------------------


def outcome(*, frames: int, rows: int | None, missing: int = 0) -> Outcome:
    return Outcome(
        ledger=Summary(due=10, good=7, failed={"timeout": 3}, missing=missing),
        frames=frames,
        archive=ArchiveCount(command="python", output="", rows=rows),
        archive_path=Path("archive"),
        site_path=Path("site.toml"),
        log_path=Path("log"),
        p50_ms=1.0,
        p99_ms=2.0,
        troubles=(),
    )


def test_sums_that_add_up_are_no_complaint() -> None:
    assert outcome(frames=10, rows=10).wrong == []


def test_each_sum_that_does_not_add_up_is_said() -> None:
    assert outcome(frames=10, rows=9).wrong == [
        "the log has 10 frames, the archive 9 rows"
    ]
    assert outcome(frames=10, rows=10, missing=1).wrong == ["10 slots due are not 11"]
    assert "the ledger 10" in outcome(frames=11, rows=11).wrong[0]


def test_frames_that_influxdb_lacks_are_a_complaint() -> None:
    influx = InfluxDatabase("http://127.0.0.1:8086", "pm500")
    whole = replace(outcome(frames=10, rows=10), influx=influx, influx_frames=10)
    assert whole.wrong == []
    assert json.loads(whole.json_line())["influx_frames"] == 10
    assert any("frames in InfluxDB     10" in line for line in whole.lines())
    assert replace(whole, influx_frames=9).wrong == [
        "the log has 10 frames, InfluxDB 9"
    ]
    assert replace(whole, influx_frames=None).wrong


# -- options -----------------------------------------------------------------------


def refused(*words: str) -> str:
    result = CliRunner().invoke(app, ("demo", *words), terminal_width=200)
    assert result.exit_code == 2
    return " ".join(result.output.replace("│", " ").split())  # as if never wrapped


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    assert "is not empty" in refused("--data", str(tmp_path))


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "Not a directory" in refused("--data", str(tmp_path / "file" / "data"))


def test_a_broker_without_a_port_is_refused(tmp_path: Path) -> None:
    assert "HOST:PORT" in refused("--data", str(tmp_path), "--mqtt", "localhost")
    assert "HOST:PORT" in refused("--data", str(tmp_path), "--kafka", "localhost")
    assert "URL/DATABASE" in refused("--data", str(tmp_path), "--influx", "http://h")


def test_a_process_that_does_not_start_is_told_with_its_last_words(
    tmp_path: Path,
) -> None:
    child = Child("simulator", "no_such_module", log_path=tmp_path / "simulator.log")
    with pytest.raises(DemoError, match="simulator ended with exit code 1") as error:
        child.lines(1, 20.0, lambda: False)
    assert "No module named no_such_module" in str(error.value)
    child.wait(30)


# -- the whole ---------------------------------------------------------------------


@contextmanager
def demo(folder: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    running = subprocess.Popen(
        (*DEMO, "--data", str(folder / "demo"), *words),
        cwd=folder,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield running
    finally:
        running.kill()  # its children end by themselves: see the test of that
        running.communicate()


def family(pid: int) -> list[int]:
    return [child.pid for child in psutil.Process(pid).children(recursive=True)]


def all_flows(folder: Path) -> bool:
    return len(list((folder / "demo/data/run").glob("*.json"))) == 3


def archives(folder: Path) -> bool:
    return any(folder.rglob("data/archive/frames/*/_delta_log/*.json"))


@pytest.mark.integration
def test_a_demo_adds_up_from_the_meter_to_the_archive(tmp_path: Path) -> None:
    done = subprocess.run(
        (*DEMO, "--seconds", "13", "--json", "--data", str(tmp_path / "demo")),
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    sums = json.loads(done.stdout)
    failed = sum(sums["failed"].values())
    assert sums["due"] == sums["good"] + failed + sums["missing"]
    assert {"cip_error", "modbus_exception", "timeout"} <= set(sums["failed"])
    with EmbeddedLog(Path(sums["log"]), create=False) as log:
        assert log.bounds(FRAMES, 0) == (0, sums["archive_rows"])
    assert sums["good"] + failed == sums["archive_rows"] > 200
    tables = Path(sums["archive"], "frames").iterdir()
    assert sum(DeltaTable(table).count() for table in tables) == sums["archive_rows"]
    assert 0 < sums["latency_ms"]["p50"] <= sums["latency_ms"]["p99"] < 2000
    assert "11 of 11 meters commissioned" in done.stderr


@pytest.mark.integration
def test_ctrl_c_ends_with_the_sums_and_leaves_no_process(tmp_path: Path) -> None:
    with demo(tmp_path) as running:
        assert running.stdout is not None
        while "good" not in (line := running.stdout.readline()):
            assert line, "it ended by itself"
        # One that comes before the archive reads leaves the rest in the log.
        wait_for(lambda: archives(tmp_path))
        children = family(running.pid)
        running.send_signal(signal.SIGINT)
        running.send_signal(signal.SIGINT)
        rest = running.communicate(timeout=30)[0]
        assert running.returncode == 0, rest
    assert "It adds up" in rest
    assert 'python -c "import polars' in rest
    assert len(children) >= 6
    assert [pid for pid in children if not gone(pid)] == []


@pytest.mark.integration
def test_a_killed_demo_leaves_no_process(tmp_path: Path) -> None:
    with demo(tmp_path) as running:
        wait_for(lambda: all_flows(tmp_path))
        children = family(running.pid)
        running.kill()
        wait_for(lambda: all(map(gone, children)))


@pytest.mark.integration
def test_a_stop_while_it_starts_is_no_failure(tmp_path: Path) -> None:
    with demo(tmp_path) as running:
        wait_for((tmp_path / "demo/fleet.toml").exists)
        running.send_signal(signal.SIGTERM)
        assert "stopped before" in running.communicate(timeout=20)[0]
        assert running.returncode == 0


@pytest.mark.integration
def test_a_terminal_shows_the_live_table_and_ctrl_c_the_sums(tmp_path: Path) -> None:
    pid, terminal = pty.fork()
    if not pid:
        os.chdir(tmp_path)
        os.execve(sys.executable, DEMO, ENVIRONMENT)
    try:
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
        # kW, V, A, PF, kWh, quality, seq, good/failed and latency of one meter.
        row = r"press/line1 +eip +[\d.]+ [\d.]+ +[\d.]+ [\d.]+ +\d+\.\d ✓ \d{10} +\d+/\d+ +\d+"
        seen = read_until(terminal, row)
        assert re.search(r"tail +\S*pm500 tail --site pm500-demo/", seen)
        wait_for(lambda: read_until(terminal, row) and archives(tmp_path))
        os.write(terminal, b"\x03")
        assert "0 missing" in read_until(terminal, "It adds up.*\n")
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.close(terminal)


def read_until(terminal: int, pattern: str, seconds: float = 30.0) -> str:
    """What the terminal shows, without its colors, until the pattern has come."""
    text, deadline = b"", time.monotonic() + seconds
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.1)[0]:
            text += os.read(terminal, 65536)
        plain = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", text.decode(errors="replace"))
        if re.search(pattern, plain):
            return plain
    raise AssertionError(f"{pattern} did not come: {plain[-2000:]}")
