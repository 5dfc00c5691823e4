"""acquire as a real process, from simulated meters to the log."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from connectors.log.contract import EVENTS, FRAMES
from connectors.log.embedded import EmbeddedLog
from connectors.log.schemas import publish_schemas
from connectors.profiles import load_profile
from connectors.simulator import SimulatedMeter, Simulator, running_simulator
from dataflows.instance import running
from tests.connectors.log.tmpfs import fill, small_disk
from tests.integration.frames import LoggedFrame, logged_frames
from tests.kit import Plant, until
from transforms.codec.frame import frame_schema
from transforms.codec.records import Event, decode_record
from transforms.model.quality import Quality

pytestmark = pytest.mark.integration

HOSTS = ["127.6.0.1", "127.6.0.2", "127.6.0.3"]
PERIODS = {"realtime": 0.25, "energy": 1.0}


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    meters = [
        SimulatedMeter(name=f"m{n}", address=host, seed=n)
        for n, host in enumerate(HOSTS)
    ]
    with running_simulator(meters) as started:
        yield started


def plant_in(folder: Path, simulator: Simulator, **sections: dict[str, Any]) -> Plant:
    meters: list[dict[str, object]] = [
        {
            "asset": f"hall/m{n}",
            "host": host,
            "ethernet_ip_port": simulator.ethernet_ip_port,
            "modbus_port": simulator.modbus_port,
            "groups": PERIODS,
        }
        for n, host in enumerate(HOSTS)
    ]
    return Plant(folder, meters, sections)


def frames_of(plant: Plant) -> list[LoggedFrame]:
    return list(logged_frames(plant.log_path)) if written(plant) else []


def written(plant: Plant) -> int:
    if not plant.log_path.exists():
        return 0
    log = EmbeddedLog(plant.log_path, create=False)
    try:
        return log.bounds(FRAMES, 0)[1]
    finally:
        log.close()


def events_of(plant: Plant) -> list[Event]:
    log = EmbeddedLog(plant.log_path, create=False)
    records = log.read(EVENTS, 0, 0, 1000)
    log.close()
    decoded = [decode_record(record.value) for record in records]
    return [event for event in decoded if isinstance(event, Event)]


def holes_in(frames: list[LoggedFrame]) -> int:
    numbers: dict[tuple[str, str], list[int]] = {}
    for frame in frames:
        numbers.setdefault((frame.asset, frame.group), []).append(frame.record.seq)
    return sum(n[-1] - n[0] + 1 - len(set(n)) for n in numbers.values())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_signal_ends_it_with_every_slot_in_the_log(
    simulator: Simulator, tmp_path: Path, number: signal.Signals
) -> None:
    plant = plant_in(tmp_path, simulator)
    try:
        flow = plant.start("run", "acquire")
        until(lambda: written(plant) > 40, "frames")
        flow.process.send_signal(number)
        assert flow.process.wait(30) == 0, flow.text()
    finally:
        plant.close()
    frames = frames_of(plant)
    assert holes_in(frames) == 0
    assert {frame.asset for frame in frames} == {f"plant/hall/m{n}" for n in range(3)}


def test_it_runs_by_the_engines_own_command(
    simulator: Simulator, tmp_path: Path
) -> None:
    plant = plant_in(tmp_path, simulator)
    with subprocess.Popen(
        [sys.executable, "-m", "bytewax.run", "dataflows.acquire"],
        env=os.environ | {"PM500_SITE": str(plant.site)},
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            until(lambda: written(plant) > 10, "frames")
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            process.kill()


def test_a_site_over_the_polling_budget_is_refused(
    simulator: Simulator, tmp_path: Path
) -> None:
    plant = plant_in(tmp_path, simulator)
    plant.meters[1]["groups"] = {"realtime": 0.2, "status": 0.2}
    plant.__post_init__()
    flow = plant.start("run", "acquire")
    assert flow.process.wait(30) == 2
    assert "meter[1].groups: 15.00 requests/s is over" in flow.text()


def test_a_recorded_check_clears_the_warning(
    simulator: Simulator, tmp_path: Path
) -> None:
    plant = plant_in(tmp_path, simulator)
    try:
        flow = plant.start("run", "acquire")
        until(lambda: written(plant) > 10, "frames")
        assert flow.stop() == 0
        before = frames_of(plant)
        check = plant.start("check", "--site", str(plant.site), "--probe")
        assert check.process.wait(60) == 0, check.text()
        flow = plant.start("run", "acquire")
        until(lambda: written(plant) > len(before) + 10, "frames")
        assert flow.stop() == 0
    finally:
        plant.close()
    after = frames_of(plant)[len(before) :]

    def qualities(frames: list[LoggedFrame], group: str) -> set[int]:
        return {q for f in frames if f.group == group for q in f.record.quality}

    assert qualities(before, "realtime") == {Quality.UNCERTAIN_NOT_COMMISSIONED}
    assert qualities(after, "realtime") == {Quality.GOOD}
    # Modbus was not asked: the radix of the split counters was not shown.
    assert qualities(after, "energy") == {Quality.UNCERTAIN_NOT_COMMISSIONED}
    assert [e.kind for e in events_of(plant)].count("commissioned") == len(HOSTS)


def test_a_clock_stepped_back_over_a_restart_gives_no_number_twice(
    simulator: Simulator, tmp_path: Path
) -> None:
    plant = plant_in(tmp_path, simulator)
    profile = load_profile("pm500")
    schema = frame_schema(profile, profile.group_named("realtime"))
    ahead = time.time_ns() // 1_000_000_000 * 4 + 20  # five seconds from now
    slot = ahead * 250_000
    log = EmbeddedLog(plant.log_path)
    publish_schemas(log, [schema])
    value = schema.encode(
        ahead, 250_000, slot, slot, slot, 2, schema.no_value, schema.nothing
    )
    log.append(FRAMES, [("plant/hall/m0", value)])
    log.close()
    try:
        flow = plant.start("run", "acquire")
        until(lambda: written(plant) > 10, "frames")
        assert flow.stop() == 0
    finally:
        plant.close()
    assert "clock_behind_log" in flow.text()
    later = [f.record.slot_us for f in frames_of(plant)[1:]]
    assert min(later) > slot


def test_polling_goes_on_while_the_disk_is_full(
    simulator: Simulator, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "small", 4_000_000) as disk:
        plant = plant_in(tmp_path, simulator, site={"name": "plant", "data": str(disk)})
        log_path = disk / "log" / "edge.sqlite"
        try:
            flow = plant.start("run", "acquire")
            until(log_path.exists, "the log")
            until(lambda: polls_of(disk) > 20, "polls")
            ballast = fill(disk)
            until(lambda: "log_refuses" in flow.text(), "the log refuses", 60)
            before = polls_of(disk)
            until(lambda: polls_of(disk) > before + 40, "polls while the disk is full")
            ballast.unlink()
            until(lambda: "log_accepts" in flow.text(), "the log accepts", 30)
            assert flow.stop() == 0
        finally:
            plant.close()
        assert holes_in(list(logged_frames(log_path))) == 0
        log = EmbeddedLog(log_path, create=False)
        kinds = [decode_record(r.value) for r in log.read(EVENTS, 0, 0, 1000)]
        log.close()
        full = [e for e in kinds if isinstance(e, Event) and e.kind == "log_full"]
        assert {event.data["dropped"] for event in full} == {"0"}


def polls_of(data: Path) -> float:
    """Frames that the process says it has made."""
    run = running(data / "run").get("acquire")
    if run is None:
        return 0.0
    with urlopen(f"http://{run.host}:{run.port}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    values = [line for line in lines if line.startswith("pm500_frames_total{")]
    return sum(float(line.rpartition(" ")[2]) for line in values)
