"""Twenty meters under faults, real processes from the meter to the archive.

The log is held against the simulator's own record in both directions, and the archive
against the log.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from connectors.simulator import Record, seeded_faults
from tests.integration.accounts import archived
from tests.integration.explain import unexplained, unmatched_faults, wrong_values
from tests.integration.frames import logged_frames
from tests.kit import Plant, until
from tests.mosquitto import MOSQUITTO, Mosquitto
from tests.simulated import SimulatorProcess, addresses
from transforms.model.quality import Status

pytestmark = [pytest.mark.integration, pytest.mark.slow]

COUNT = 20
SECONDS = 150
KINDS = (
    "refuse delay truncate wrong_length cip_error modbus_exception garbage nan "
    "counter_zero foreign_identity suspend counter_reset meter_swap ct_ratio_change"
)
# The last four speak Modbus; one of them is another maker's meter. Two speak both.
PROTOCOLS = ["ethernet_ip"] * 14 + ["both"] * 2 + ["modbus"] * 4


@pytest.mark.timeout(400)
def test_every_poll_is_accounted_for_from_the_meter_to_the_archive(
    tmp_path: Path,
) -> None:
    if MOSQUITTO is None:
        pytest.skip("mosquitto is not installed")
    hosts = addresses(COUNT)
    names = [f"m{n}" for n in range(COUNT)]
    meters: list[dict[str, object]] = [
        {"name": name, "address": host, "seed": n}
        for n, (name, host) in enumerate(zip(names, hosts, strict=True))
    ]
    meters[-1]["profile"] = "em24"
    faults = seeded_faults(
        3, names, 8_000_000, (SECONDS - 10) * 1_000_000,
        per_meter_hour=70, longest_seconds=6.0, kinds=KINDS.split(),  # type: ignore[arg-type]
    )  # fmt: skip
    # A meter is taken away and another maker's device put in its place for a while.
    exchanged = {"meter": names[0], "start_seconds": 20.0, "end_seconds": 24.0}
    exchanges = [
        {"kind": "refuse"} | exchanged,
        {"kind": "foreign_identity"} | exchanged | {"end_seconds": 34.0},
    ]
    record_path = tmp_path / "record.jsonl"
    with (
        Mosquitto(tmp_path) as broker,
        SimulatorProcess(
            tmp_path,
            hosts,
            meters=meters,
            faults=exchanges + [_plain(asdict(fault)) for fault in faults],
            record=record_path,
        ) as simulator,
    ):
        site = [
            {
                "asset": f"hall{n % 3}/m{n}",
                "host": host,
                "protocol": PROTOCOLS[n],
                "profile": meters[n].get("profile", "pm500"),
                "ethernet_ip_port": simulator.ethernet_ip_port,
                "modbus_port": simulator.modbus_port,
            }
            for n, host in enumerate(hosts)
        ]
        sections = {
            "mqtt": {"host": "127.0.0.1", "port": broker.port},
            "archive": {"roll_seconds": 15},
            "poll": {"backoff_maximum_seconds": 2.0},
        }
        plant = Plant(tmp_path / "plant", site, sections)
        try:
            run = plant.start("run")
            until(plant.log_path.exists, "acquire runs")
            time.sleep(SECONDS)  # the plant lives: this is the run, not a wait
            assert run.stop(60) == 0, run.text()[-3000:]
        finally:
            plant.close()
    record = Record.load(record_path)
    frames = list(logged_frames(plant.log_path))
    meter_of = {f"plant/hall{n % 3}/m{n}": f"m{n}" for n in range(COUNT)}

    assert record.forbidden() == []
    by_series: dict[tuple[str, str], list[int]] = defaultdict(list)
    for frame in frames:
        by_series[frame.asset, frame.group].append(frame.record.seq)
    for series, numbers in by_series.items():
        assert numbers == list(range(numbers[0], numbers[-1] + 1)), series
    assert {asset for asset, _ in by_series} == set(meter_of)

    assert wrong_values(frames, record, meter_of) == []
    assert unmatched_faults(frames, record, meter_of) == []
    assert unexplained(frames, record, meter_of, {"m14", "m15"}) == []
    seen = Counter(frame.status for frame in frames)
    assert seen[Status.OK] > 0.5 * len(frames)
    assert set(seen) > {
        Status.TIMEOUT, Status.CLOSED, Status.CIP_ERROR, Status.MODBUS_EXCEPTION,
        Status.MALFORMED, Status.FOREIGN_DEVICE, Status.BACKING_OFF,
    }, seen  # fmt: skip

    assert archived(plant.archive) == Counter(frame.identity for frame in frames)


def _plain(fault: dict[str, Any]) -> dict[str, object]:
    """A fault as a fleet file says it: seconds from the simulator's start."""
    start, end = fault.pop("start_us") / 1e6, fault.pop("end_us") / 1e6
    fault |= {"start_seconds": start, "end_seconds": end}
    return {key: value for key, value in fault.items() if value is not None}
