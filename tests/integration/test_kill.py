"""kill -9 of ``pm500 run`` at random moments: nothing lost, nothing doubled."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from tests.integration.accounts import (
    archived,
    frames_in,
    holes_in,
    logged,
    summary_of,
)
from tests.integration.frames import logged_frames
from tests.kit import Plant, until
from tests.outage import back_after, kill_only
from tests.simulated import SimulatorProcess, addresses
from transforms.model.quality import Status

pytestmark = [pytest.mark.integration, pytest.mark.slow]

KILLS = 20
COUNT = 6


@pytest.mark.timeout(400)
def test_killing_pm500_run_twenty_times_loses_and_doubles_nothing(
    tmp_path: Path,
) -> None:
    dice = random.Random(20)
    hosts = addresses(COUNT)
    with SimulatorProcess(tmp_path, hosts) as simulator:
        site: list[dict[str, object]] = [
            {
                "asset": f"hall/m{n}",
                "host": host,
                "ethernet_ip_port": simulator.ethernet_ip_port,
                "groups": {"realtime": 0.5, "energy": 1.0},
            }
            for n, host in enumerate(hosts)
        ]
        # Commits every half second: many kills meet one under way.
        plant = Plant(tmp_path / "plant", site, {"archive": {"roll_seconds": 0.5}})
        try:
            run = plant.start("run")
            until(lambda: frames_in(plant.log_path) > 0, "first frames")
            for _ in range(KILLS):
                time.sleep(dice.uniform(0.2, 2.0))  # the random moment
                killed = time.monotonic()
                kill_only(run)
                written = frames_in(plant.log_path)
                run = plant.start("run")
                # How long that takes stands in the benchmarks.
                back_after(plant, killed, written)
            # A stop that comes before the archive reads leaves the rest in the log.
            rows = archived(plant.archive).total()
            until(lambda: archived(plant.archive).total() > rows, "rows", pause=0.2)
            assert run.stop(60) == 0, run.text()[-3000:]
        finally:
            plant.close()
    identities = logged(plant.log_path)
    assert max(identities.values()) == 1
    assert archived(plant.archive) == identities
    holes, summary = holes_in(identities), summary_of(plant.log_path)
    assert holes > 0
    assert summary.missing == holes
    good = sum(f.status is Status.OK for f in logged_frames(plant.log_path))
    assert summary.good == good
    assert summary.due == good + sum(summary.failed.values()) + holes
