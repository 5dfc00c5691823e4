"""Twenty meters under faults, real processes from the meter to the archive.

The log is held against the simulator's own record in both directions, and the archive
against the log. What derive told is what a plain loop tells of the log's frames; its
ledger is that of the frames, its energy that of the meters' counters.
"""

from __future__ import annotations

import math
import os
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from connectors.log.contract import DERIVED, EVENTS, FRAMES, Batch, Log
from connectors.log.contract import Record as LogRecord
from connectors.log.embedded import EmbeddedLog
from connectors.log.schemas import Schemas
from connectors.simulator import Record, seeded_faults
from connectors.simulator.device import CYCLE_US
from connectors.simulator.faults import STATE_KINDS
from connectors.simulator.load import LoadModel
from dataflows.deriving.loop import Loop
from dataflows.deriving.operator import Told
from dataflows.deriving.rules import derive_rules
from dataflows.site import load_site
from tests.derived import highest, records_of, values_of
from tests.integration.accounts import archived
from tests.integration.explain import unexplained, unmatched_faults, wrong_values
from tests.integration.frames import LoggedFrame, logged_frames
from tests.kit import Plant, until
from tests.mosquitto import MOSQUITTO, Mosquitto
from tests.simulated import SimulatorProcess, addresses
from transforms.codec.records import (
    AnyRecord,
    Energy,
    Event,
    LedgerHour,
    decode_record,
    is_record,
)
from transforms.model.quality import Status

pytestmark = [pytest.mark.integration, pytest.mark.slow]

COUNT = 20
# Ten minutes by hand: PM500_WHOLE_SECONDS=600.
SECONDS = int(os.environ.get("PM500_WHOLE_SECONDS", "150"))
KINDS = (
    "refuse delay truncate wrong_length cip_error modbus_exception garbage nan "
    "counter_zero foreign_identity suspend counter_reset meter_swap ct_ratio_change"
)
# The last four speak Modbus; one of them is another maker's meter. Two speak both.
PLAIN = ("m17", "m18")
# Events of the other flows.
OF_OTHERS = {
    "meter_described",
    "configuration_changed",
    "foreign_device",
    "clock_synchronized",
    "clock_unsynchronized",
}
PROTOCOLS = ["ethernet_ip"] * 14 + ["both"] * 2 + ["modbus"] * 4


@pytest.mark.timeout(SECONDS + 300)
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
    # Of two that speak Modbus no counter begins anew: their energy is known. An EM24 has
    # no identity but its frequency, so nobody can tell another device from it.
    faults = tuple(
        fault
        for fault in faults
        if not (fault.meter in PLAIN and fault.kind in STATE_KINDS)
        and not (fault.meter == names[-1] and fault.kind == "foreign_identity")
    )
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
            "derive": {
                "windows_seconds": [10, 60, 900],
                "energy_seconds": 60,
                "demand_minutes": 1,
            },
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

    made, rest = made_of(plant)
    told = told_in(plant)
    kinds = Counter(kind_of(value) for value in told)
    assert kinds["Window"] > 20 * COUNT
    assert min(kinds["Energy"], kinds["Demand"], kinds["Event"]) > COUNT
    assert [kind_of(value) for value in set(told) - set(made)] == []
    records = records_of(highest(made + rest))
    assert ledger_in(records) == counted_in(frames)
    for meter in PLAIN:
        asset = next(asset for asset, name in meter_of.items() if name == meter)
        first, last = counter_reads(frames, asset)
        assert energy_in(records, asset) == pytest.approx(last - first, abs=0.001)
        assert energy_in(records, asset) == pytest.approx(
            integral_between(record, meter, frames, asset), abs=0.001
        )


def _plain(fault: dict[str, Any]) -> dict[str, object]:
    """A fault as a fleet file says it: seconds from the simulator's start."""
    start, end = fault.pop("start_us") / 1e6, fault.pop("end_us") / 1e6
    fault |= {"start_seconds": start, "end_seconds": end}
    return {key: value for key, value in fault.items() if value is not None}


def made_of(plant: Plant) -> tuple[list[bytes], list[bytes]]:
    """What a plain loop tells of the whole log, in its order; and at its end."""
    log = EmbeddedLog(plant.log_path, create=False)
    loop = Loop(derive_rules(load_site(plant.site)), Schemas(log).frame_schema)
    out: list[Told] = []
    events = list(records_in(log, EVENTS))
    frames = list(records_in(log, FRAMES))
    for place in range(0, len(frames), 500):
        batch = frames[place : place + 500]
        known = [e for e in events if e.time_us <= batch[-1].time_us]
        events = events[len(known) :]
        if known:
            out += loop.take(Batch.of(EVENTS, 0, known))
        out += loop.take(Batch.of(FRAMES, 0, batch))
    log.close()
    return [*values_of(out)], [*values_of(loop.finish())]


def told_in(plant: Plant) -> list[bytes]:
    """All that derive told while the plant lived, every revision of it."""
    log = EmbeddedLog(plant.log_path, create=False)
    values = [record.value for record in records_in(log, DERIVED)]
    for record in records_in(log, EVENTS):
        event = decode_record(record.value)
        if isinstance(event, Event) and event.kind not in OF_OTHERS:
            values.append(record.value)
    log.close()
    return values


def records_in(log: Log, topic: str) -> Iterator[LogRecord]:
    offset = 0
    while records := log.read(topic, 0, offset, 5000):
        yield from records
        offset = records[-1].offset + 1


def kind_of(value: bytes) -> str:
    return type(decode_record(value)).__name__ if is_record(value) else "Window"


def ledger_in(records: list[AnyRecord]) -> dict[tuple[str, str], tuple[int, int, int]]:
    """Slots that were due, good and failed."""
    sums: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for record in records:
        if isinstance(record, LedgerHour):
            own = sums[record.asset, record.group]
            own["due"] += record.due
            own["good"] += record.good
            own["failed"] += sum(record.failed.values())
    return {key: (own["due"], own["good"], own["failed"]) for key, own in sums.items()}


def counted_in(
    frames: list[LoggedFrame],
) -> dict[tuple[str, str], tuple[int, int, int]]:
    sums: dict[tuple[str, str], Counter[bool]] = defaultdict(Counter)
    for frame in frames:
        sums[frame.asset, frame.group][frame.status == Status.OK] += 1
    return {key: (own.total(), own[True], own[False]) for key, own in sums.items()}


def energy_in(records: list[AnyRecord], asset: str) -> float:
    return sum(
        record.energy
        for record in records
        if isinstance(record, Energy)
        and (record.asset, record.quantity) == (asset, "energyImport")
    )


def answered(frames: list[LoggedFrame], asset: str) -> list[LoggedFrame]:
    """Reads of the counter; where it showed zero for a while it did not count."""
    return [
        frame
        for frame in frames
        if (frame.asset, frame.group) == (asset, "energy")
        and frame.readings.get("energyImport")
    ]


def counter_reads(frames: list[LoggedFrame], asset: str) -> tuple[float, float]:
    reads = [frame.readings["energyImport"] for frame in answered(frames, asset)]
    return reads[0], reads[-1]


def integral_between(
    record: Record, meter: str, frames: list[LoggedFrame], asset: str
) -> float:
    """The model's integral of power between the first and the last answered read."""
    first, last = answered(frames, asset)[0], answered(frames, asset)[-1]
    model = LoadModel(int(meter[1:]), rated_amps=100.0)

    def counted(frame: LoggedFrame) -> float:
        request = next(
            each
            for each in record.of(meter=meter, protocol="modbus", block=0x0500)
            if frame.record.sent_us <= each.time_us <= frame.record.received_us
        )
        # The meter counts ten times a second, and shows whole watt-hours.
        kwh = model.energy(request.time_us // CYCLE_US * CYCLE_US)["energyImport"]
        return math.floor(kwh * 1000) / 1000

    return counted(last) - counted(first)
