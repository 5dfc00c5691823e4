"""The counters' cases as frames, through the whole of derive: frames in, records out."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.log.contract import EVENTS, FRAMES, Batch
from dataflows.deriving.loop import Loop
from tests.derived import highest, records_of, values_of
from transforms.calendar import Calendar
from transforms.codec.frame import Column, FrameSchema
from transforms.codec.records import Energy, Event
from transforms.derivation.rules import DeriveRules, MeterRules
from transforms.energy.counter import CounterRules
from transforms.model.quality import Quality, Status
from transforms.windows.bay import WindowRules

CASES = sorted((Path(__file__).parents[2] / "cases" / "energy").glob("*/case.toml"))
ASSET = "plant/hall1/main"
POWER = FrameSchema("test", "realtime", (Column("realPower", "float"),))
SETTINGS = {"ct_change": ("ctRatio", "1", "2"), "meter_swap": ("serialText", "A", "B")}


@pytest.mark.parametrize("path", CASES, ids=lambda p: p.parent.name)
def test_a_case_as_frames_makes_the_records_it_must(path: Path) -> None:
    case = tomllib.loads(path.read_text("utf-8"))
    start_us = round(datetime.fromisoformat(case["start"]).timestamp() * 1e6)
    found = records_of(highest(values_of(told(case, start_us))))
    expected = [
        {"substituted": 0.0, "quality": "good", "reason": None} | record
        for record in case["energy"]
    ]
    energies = [
        shown(record, start_us) for record in found if isinstance(record, Energy)
    ]
    assert [record for record in expected if record not in energies] == []


@pytest.mark.parametrize("path", CASES, ids=lambda p: p.parent.name)
def test_a_case_as_frames_tells_the_counters_faults(path: Path) -> None:
    case = tomllib.loads(path.read_text("utf-8"))
    start_us = round(datetime.fromisoformat(case["start"]).timestamp() * 1e6)
    found = records_of(highest(values_of(told(case, start_us))))
    faults = sorted(
        (record.kind, (record.time - start_us) // 1_000_000)
        for record in found
        if isinstance(record, Event) and record.kind.startswith("counter_")
    )
    assert faults == sorted((e["kind"], e["seconds"]) for e in case.get("event", []))


def shown(record: Energy, start_us: int) -> dict[str, Any]:
    return {
        "start": (record.start - start_us) // 1_000_000,
        "end": (record.end - start_us) // 1_000_000,
        "energy": record.energy,
        "substituted": record.substituted,
        "quality": Quality(record.quality).label,
        "verdict": record.verdict,
        "reason": record.reason,
    }


def told(case: dict[str, Any], start_us: int) -> list[Any]:
    schemas = {POWER.header: POWER, counter(case).header: counter(case)}
    loop = Loop(rules(case), lambda value: schemas[value[:10]])
    out: list[Any] = []
    for batch in batches(case, start_us):
        out += loop.take(batch)
    return out + loop.finish()


def rules(case: dict[str, Any]) -> DeriveRules:
    names = ("resolution_wh", "float32", "maximum_kw", "radix_kwh")
    settings = {name: case[name] for name in names if name in case}
    if "modulus_kwh" in case:
        settings["modulus_wh"] = case["modulus_kwh"] * 1000
    own = CounterRules(quantity=case["quantity"], **settings)
    meter = MeterRules(
        counters={case["quantity"]: own},
        has_power="power" in case or "power_kw" in case,
    )
    windows = WindowRules(calendar=Calendar("UTC"), lengths_us=(60_000_000,))
    return DeriveRules(
        windows=windows,
        meters={ASSET: meter},
        energy_us=case["interval_seconds"] * 1_000_000,
    )


def counter(case: dict[str, Any]) -> FrameSchema:
    return FrameSchema("test", "energy", (Column(case["quantity"], "double"),))


def batches(case: dict[str, Any], start_us: int) -> Iterator[Batch]:
    """Settings, then all frames in the order of their slots, one batch each minute."""
    for number, (at, what) in enumerate(case.get("changes", [])):
        name, before, after = SETTINGS[what]
        if not number:
            yield settings_batch(start_us - 1_000_000, name, before)
        yield settings_batch(start_us + round(at * 1e6), name, after)
    frames = sorted([*readings(case, start_us), *powers(case, start_us)])
    minutes = sorted({slot // 60_000_000 for slot, _ in frames})
    for minute in minutes:
        values = [value for slot, value in frames if slot // 60_000_000 == minute]
        count = len(values)
        yield Batch(FRAMES, 0, range(count), [ASSET] * count, values)


def settings_batch(at_us: int, name: str, value: str) -> Batch:
    event = Event(asset=ASSET, kind="meter_described", time=at_us, data={name: value})
    return Batch(EVENTS, 0, [0], [ASSET], [event.encode()])


def readings(case: dict[str, Any], start_us: int) -> Iterator[tuple[int, bytes]]:
    period_us = case["period_seconds"] * 1_000_000
    schema = counter(case)
    for at, value in case["readings"]:
        slot = start_us + at * 1_000_000
        head = slot // period_us, period_us, slot, slot, slot + 20_000
        if isinstance(value, str):
            yield slot, schema.encode_failed(*head, int(Status[value.upper()]))
        else:
            yield slot, schema.encode(*head, Status.OK, bytes(1), [float(value)])


def powers(case: dict[str, Any], start_us: int) -> Iterator[tuple[int, bytes]]:
    """The power of each minute, every second of it."""
    power = case.get("power", [])
    if "power_kw" in case:
        last = case["readings"][-1][0] // 60
        power = [[minute, case["power_kw"]] for minute in range(last)]
    first_us = start_us // 60_000_000 * 60_000_000
    for minute, kw in power:
        for second in range(60):
            slot = first_us + (minute * 60 + second) * 1_000_000
            head = slot // 1_000_000, 1_000_000, slot, slot, slot + 20_000
            yield slot, POWER.encode(*head, Status.OK, bytes(1), [kw])
