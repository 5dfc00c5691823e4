"""Faults of counters that broke other programs, as folders.

A folder ``tests/cases/energy/<what>/`` holds a ``case.toml``: readings in kWh (or the
word of a status) by seconds from ``start``, power, changes, and the last revision of
each record and all events that must come of them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.transforms.energy.kit import Run, rules
from transforms.model.quality import Quality

CASES = sorted((Path(__file__).parents[2] / "cases" / "energy").glob("*/case.toml"))
COUNTER = ("resolution_wh", "float32", "maximum_kw", "radix_kwh")


def played(case: dict[str, Any], *, restarting: bool = False) -> Run:
    """The case, fed in the order of time: a minute of power follows its last slot."""
    start = round(datetime.fromisoformat(case["start"]).timestamp())
    counter = {name: case[name] for name in COUNTER if name in case}
    if "modulus_kwh" in case:
        counter["modulus_wh"] = case["modulus_kwh"] * 1000
    run = Run(
        rules(case["interval_seconds"], quantity=case["quantity"], **counter),
        period_us=case["period_seconds"] * 1_000_000,
        restarting=restarting,
    )
    power = case.get("power", [])
    if "power_kw" in case:
        minutes = case["readings"][-1][0] // 60
        power = [[minute, case["power_kw"]] for minute in range(minutes)]
    first = start // 60
    fed: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
    for at, what in case.get("changes", []):
        fed.append((start + at, 0, run.change, (start + at, what)))
    for at, value in case["readings"]:
        fed.append((start + at, 1, run.read, (start + at, _wh(value))))
    for minute, kw in power:
        at = (first + minute + 1) * 60
        fed.append((at, 2, run.power, (first + minute, kw)))
    for _, _, feed, args in sorted(fed, key=lambda entry: entry[:2]):
        feed(*args)
    return run


def _wh(value: float | str) -> int | None:
    return None if isinstance(value, str) else round(value * 1000)


def energies(run: Run, start: int) -> list[dict[str, Any]]:
    return [
        {
            "start": record.start // 1_000_000 - start,
            "end": record.end // 1_000_000 - start,
            "energy": record.energy,
            "substituted": record.substituted,
            "quality": Quality(record.quality).label,
            "verdict": record.verdict,
            "reason": record.reason,
        }
        for record in run.energies
    ]


def loaded(path: Path) -> tuple[dict[str, Any], int]:
    case = tomllib.loads(path.read_text("utf-8"))
    return case, round(datetime.fromisoformat(case["start"]).timestamp())


@pytest.mark.parametrize("path", CASES, ids=lambda p: p.parent.name)
@pytest.mark.parametrize("restarting", [False, True], ids=["running", "restarting"])
def test_a_case_makes_the_records_and_events_it_must(
    path: Path, *, restarting: bool
) -> None:
    case, start = loaded(path)
    run = played(case, restarting=restarting)
    usual = {"substituted": 0.0, "quality": "good", "reason": None}
    assert energies(run, start) == [usual | record for record in case["energy"]]
    assert [(e.kind, e.time // 1_000_000 - start) for e in run.events] == [
        (event["kind"], event["seconds"]) for event in case.get("event", [])
    ]


@pytest.mark.parametrize("path", CASES, ids=lambda p: p.parent.name)
def test_the_slots_of_a_case_lie_on_the_grid_of_its_period(path: Path) -> None:
    case, start = loaded(path)
    period = case["period_seconds"]
    assert [at for at, _ in case["readings"] if (start + at) % period] == []
