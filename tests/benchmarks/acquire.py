"""CPU of acquire against a bare asyncio loop that sends and receives the same bytes.

All groups of the PM500 by EtherNet/IP, realtime and status every second, energy every
10 s; the simulator runs in a process of its own and is not counted. Both programs face
the same simulator, one after the other, in turns; the figure is the CPU time (user and
system) of the whole process over a window after it has settled.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from tests.benchmarks.result import Result
from tests.integration.frames import logged_frames
from tests.kit import Plant, until
from tests.simulated import SimulatorProcess, addresses
from transforms.model.quality import Status

_GROUPS = {"realtime": 1, "energy": 10, "demand": 60, "maximum": 60, "status": 1}


def run(fast: bool) -> Iterator[Result]:
    """200 and 1,000 meters."""
    for count in (200,) if fast else (200, 1000):
        window, turns = (8.0, 1) if fast else (20.0, 3)
        with (
            tempfile.TemporaryDirectory() as folder,
            SimulatorProcess(Path(folder), addresses(count)) as simulator,
        ):
            pairs = []
            for turn in range(turns):
                bare = _bare(simulator, count, window)
                ours = _acquire(simulator, Path(folder) / str(turn), count, window)
                pairs.append((ours, bare))
        ours, bare = (statistics.median(column) for column in zip(*pairs, strict=True))
        yield Result(
            what=f"CPU of acquire, {count} meters",
            against="bare asyncio loop, same bytes",
            value=statistics.median(mine / theirs for mine, theirs in pairs),
            unit="x",
            bar=2.5,
            at_most=True,
            detail=f"{ours:.1%} against {bare:.1%} of a core",
        )


def _acquire(
    simulator: SimulatorProcess, folder: Path, count: int, window: float
) -> float:
    meters: list[dict[str, object]] = [
        {
            "asset": f"hall{index % 10}/meter{index}",
            "host": address,
            "ethernet_ip_port": simulator.ethernet_ip_port,
            "groups": _GROUPS,
        }
        for index, address in enumerate(addresses(count))
    ]
    plant = Plant(folder, meters)
    try:
        flow = plant.start("run", "acquire")
        until(lambda: "flow_started" in flow.text(), "acquire runs")
        share = _cpu_share(flow.pid, window)
        assert flow.stop() == 0
        _check(plant, count, window)
        return share
    finally:
        plant.close()


def _check(plant: Plant, count: int, window: float) -> None:
    """A figure counts only if every slot was polled, and nearly all of them well."""
    frames = list(logged_frames(plant.log_path))
    well = sum(frame.status is Status.OK for frame in frames)
    assert len(frames) > 2 * count * window, f"only {len(frames)} frames"
    assert well > 0.99 * len(frames), f"only {well} of {len(frames)} are good"


def _bare(simulator: SimulatorProcess, count: int, window: float) -> float:
    port = str(simulator.ethernet_ip_port)
    command = [sys.executable, "-m", "tests.benchmarks.bare_loop", port]
    with subprocess.Popen([*command, *addresses(count)]) as process:
        try:
            return _cpu_share(process.pid, window)
        finally:
            process.kill()


def _cpu_share(pid: int, window: float) -> float:
    """CPU seconds a second over the window, once the start is over."""
    process = psutil.Process(pid)
    time.sleep(6.0)
    start, before = time.monotonic(), process.cpu_times()
    time.sleep(window)
    taken, after = time.monotonic() - start, process.cpu_times()
    used = after.user + after.system - before.user - before.system
    return used / taken
