"""CPU per frame of two replicas of acquire, each with half of the meters, against one.

The PM500 by EtherNet/IP, realtime and status every second, energy every 10 s; the
simulator runs in a process of its own and is not counted. One and two take turns on the same
meters; the figure is the CPU time (user and system) of all their processes over a
window after they have settled, for each frame that the log got meanwhile.

Each process has its price, some hundredths of a core, whatever it polls: the engine,
and a commit to the log about every 20 ms. So replicas are compared where they are
wanted, with as many meters as one process and the simulator still carry here; the
short run has too few for the bar.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from connectors.log.contract import FRAMES
from connectors.log.embedded import EmbeddedLog
from tests.benchmarks.processor import cpu_seconds
from tests.benchmarks.result import Result
from tests.dataflows.processes import process
from tests.integration.frames import logged_frames
from tests.kit import Plant, until
from tests.simulated import SimulatorProcess, addresses
from transforms.model.quality import Status

_GROUPS = {"realtime": 1, "energy": 10, "status": 1}
_PARTS = {"one": ("1/1",), "two": ("1/2", "2/2")}
_SETTLE_SECONDS = 6.0
_MORE_TURNS = 3
_WELL = 0.99


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    """CPU seconds a frame, frames a second, and the share of good ones."""

    cost: float
    rate: float
    well: float = 1.0


def run(fast: bool) -> Iterator[Result]:
    """2,000 meters, 200 in short."""
    # Whole periods of energy, so that every window has as many of its frames.
    count, window, turns = (200, 10.0, 1) if fast else (2000, 20.0, 5)
    pairs = []
    with (
        tempfile.TemporaryDirectory() as folder,
        SimulatorProcess(Path(folder), addresses(count)) as simulator,
    ):
        for turn in range(turns + _MORE_TURNS):
            # Who begins changes, so that what slowly drifts favors neither.
            order = ("one", "two") if turn % 2 else ("two", "one")
            measured = {
                name: _acquire(
                    simulator, Path(folder) / f"{name}{turn}", count, window, name
                )
                for name in order
            }
            # Where the machine stood still and polls failed, a figure says nothing.
            if all(each.well > _WELL for each in measured.values()):
                pairs.append((measured["two"], measured["one"]))
            if len(pairs) == turns:
                break
        assert len(pairs) == turns, f"only {len(pairs)} turns without failed polls"
    two, one = (
        statistics.median(each.cost for each in column)
        for column in zip(*pairs, strict=True)
    )
    rate = statistics.median(each.rate for pair in pairs for each in pair)
    yield Result(
        what=f"CPU per frame of two replicas of acquire, {count} meters",
        against="one with all of the meters",
        value=statistics.median(t.cost / o.cost for t, o in pairs),
        unit="x",
        bar=None if fast else 1.15,
        at_most=True,
        detail=f"{two * 1e6:.0f} against {one * 1e6:.0f} µs, {rate:.0f} frames/s",
    )


def _acquire(
    simulator: SimulatorProcess, folder: Path, count: int, window: float, name: str
) -> _Measured:
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
    command = (sys.executable, "-m", "dataflows", "run", "acquire")
    logs = folder / "stderr.log"
    with ExitStack() as stack:
        flows = [
            stack.enter_context(process(command, plant.site, PM500_REPLICA=part))
            for part in _PARTS[name]
        ]
        until(lambda: logs.read_text().count("flow_started") == len(flows), "acquire")
        measured = _measure([flow.pid for flow in flows], plant.log_path, window)
        for flow in flows:
            flow.terminate()
        assert [flow.wait(30) for flow in flows] == [0] * len(flows)
    return replace(measured, well=_checked(plant, count, window))


def _measure(pids: Sequence[int], log: Path, window: float) -> _Measured:
    """CPU and frames over the window, once the start is over."""
    processes = [psutil.Process(pid) for pid in pids]
    time.sleep(_SETTLE_SECONDS)
    start, before, first = time.monotonic(), cpu_seconds(processes), _end(log)
    time.sleep(window)
    used = cpu_seconds(processes) - before
    frames, taken = _end(log) - first, time.monotonic() - start
    return _Measured(cost=used / frames, rate=frames / taken)


def _end(path: Path) -> int:
    with EmbeddedLog(path, create=False) as log:
        return log.bounds(FRAMES, 0)[1]


def _checked(plant: Plant, count: int, window: float) -> float:
    """All slots were polled, once each; the share that was polled well."""
    frames = list(logged_frames(plant.log_path))
    well = sum(frame.status is Status.OK for frame in frames)
    assert len({frame.asset for frame in frames}) == count
    assert len({frame.identity for frame in frames}) == len(frames), "a frame twice"
    assert len(frames) > 2 * count * window, f"only {len(frames)} frames"
    return well / len(frames)
