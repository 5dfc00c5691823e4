"""kill -9 of acquire, forward, archive and the broker at random, and the count after it.

Every frame that the edge's log acknowledged must be in the archive exactly once, and
every slot that was due must be a frame or a hole in the ledger.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dataflows.ledger import Summary
from tests.integration.accounts import (
    Identity,
    archived,
    frames_in,
    holes_in,
    logged,
    summary_of,
)
from tests.kafka_broker import KafkaBroker
from tests.kit import Flow, Plant, until
from tests.simulated import SimulatorProcess, addresses

__all__ = ["Outcome", "storm"]

FLOWS = ("acquire", "forward", "archive")
BROKER = "broker"
METERS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What stands where when all is over; ``kills`` by victim."""

    kills: Counter[str]
    logged: Counter[Identity]
    archived: Counter[Identity]
    ledger: Summary

    @property
    def holes(self) -> int:
        """Slots without a frame, by the frames themselves."""
        return holes_in(self.logged)


def storm(
    folder: Path, kills: int, seed: int, said: Callable[[str], object] = print
) -> Outcome:
    """Poll six meters through ``kills`` kills; pauses and victims follow ``seed``."""
    dice = random.Random(seed)
    hosts = addresses(METERS)
    with (
        KafkaBroker(folder / "kafka") as broker,
        SimulatorProcess(folder, hosts) as simulator,
    ):
        plant = Plant(
            folder / "plant",
            [
                {
                    "asset": f"hall/m{n}",
                    "host": host,
                    "ethernet_ip_port": simulator.ethernet_ip_port,
                    "groups": {"realtime": 0.5, "energy": 1.0},
                }
                for n, host in enumerate(hosts)
            ],
            {
                # Commits every half second: many kills meet one under way.
                "archive": {"roll_seconds": 0.5},
                "kafka": {"bootstrap_servers": broker.bootstrap_servers},
            },
        )
        try:
            flows = {name: plant.start("run", name) for name in FLOWS}
            until(lambda: archived(plant.archive), "first rows", 60)
            counted = _kill(plant, broker, flows, dice, kills, said)
            _calm(plant, flows)
            return Outcome(
                kills=counted,
                logged=logged(plant.log_path),
                archived=archived(plant.archive),
                ledger=summary_of(plant.log_path),
            )
        finally:
            plant.close()


def _kill(
    plant: Plant,
    broker: KafkaBroker,
    flows: dict[str, Flow],
    dice: random.Random,
    kills: int,
    said: Callable[[str], object],
) -> Counter[str]:
    counted: Counter[str] = Counter()
    for number in range(kills):
        time.sleep(dice.uniform(0.1, 2.0))  # the random moment
        # The broker takes longest to come back: one kill in eight is its.
        victim = BROKER if dice.random() < 0.125 else dice.choice(FLOWS)
        if number == kills // 2 and not counted[BROKER]:
            victim = BROKER
        if victim == BROKER:
            broker.kill()
            time.sleep(dice.uniform(0.0, 1.0))
            broker.start()
        else:
            flows[victim].kill()
            flows[victim] = plant.start("run", victim)
        for name, flow in flows.items():
            # A flow may end by itself, as it does at a fatal answer of the broker; its
            # supervisor starts it again.
            if flow.process.poll() is not None:
                said(f"{name} had ended with {flow.process.returncode}")
                flows[name] = plant.start("run", name)
        counted[victim] += 1
        said(
            f"kill {number + 1} of {kills}: {victim}, {frames_in(plant.log_path)} frames"
        )
    return counted


def _calm(plant: Plant, flows: dict[str, Flow]) -> None:
    """Let polling go on for a moment, stop it, and wait until all has arrived."""
    before = frames_in(plant.log_path)
    until(lambda: frames_in(plant.log_path) > before + 2 * METERS, "polling", 60)
    assert flows["acquire"].stop() == 0, flows["acquire"].text()[-3000:]
    wanted = frames_in(plant.log_path)
    until(
        lambda: sum(archived(plant.archive).values()) >= wanted,
        f"{wanted} frames in the archive",
        90,
        0.5,
    )
    for name in ("forward", "archive"):
        assert flows[name].stop() == 0, flows[name].text()[-3000:]
