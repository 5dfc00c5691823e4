"""Seconds without a poll when ``pm500 run`` is killed with -9 and started again at once.

Six meters, all flows that a site without servers has; from the kill of the supervisor
to the first new frame in the log, as a service manager without a pause would have it.
The bar is the service level's: a restart costs less than 5 s of slots.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.result import Result
from tests.integration.accounts import frames_in
from tests.kit import Plant, until
from tests.outage import back_after, kill_only
from tests.simulated import SimulatorProcess, addresses

_COUNT = 6


def run(fast: bool) -> Iterator[Result]:
    """The longest of twenty."""
    dice = random.Random(1)
    outages: list[float] = []
    hosts = addresses(_COUNT)
    with (
        tempfile.TemporaryDirectory() as folder,
        SimulatorProcess(Path(folder), hosts) as simulator,
    ):
        meters: list[dict[str, object]] = [
            {
                "asset": f"hall/m{index}",
                "host": host,
                "ethernet_ip_port": simulator.ethernet_ip_port,
                "groups": {"realtime": 0.5, "energy": 1.0},
            }
            for index, host in enumerate(hosts)
        ]
        plant = Plant(Path(folder) / "plant", meters)
        try:
            flow = plant.start("run")
            until(lambda: frames_in(plant.log_path) > 0, "first frames")
            for _ in range(5 if fast else 20):
                time.sleep(dice.uniform(0.2, 2.0))
                killed = time.monotonic()
                kill_only(flow)
                written = frames_in(plant.log_path)
                flow = plant.start("run")
                outages.append(back_after(plant, killed, written))
            assert flow.stop(60) == 0, flow.text()[-3000:]
        finally:
            plant.close()
    yield Result(
        what="kill -9 of pm500 run, until the next poll",
        against=f"the longest of {len(outages)}",
        value=max(outages),
        unit="s",
        bar=5.0,
        at_most=True,
        detail=f"median {statistics.median(outages):.2f} s, slots of 0.5 s",
    )
