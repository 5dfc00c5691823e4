"""A day of twenty meters with every fault: derive against the model's own record."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import pytest

from tests.derived import Latest, derived, highest, records_of, rules_for, values_of
from tests.generated import Day, every_trouble, meters_of
from transforms.codec.records import Energy, LedgerHour
from transforms.energy.counter import CounterRules, step_wh
from transforms.ledger import Hour, status_label

# The day is made and derived once.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("day")]

DAY_US = 86_400_000_000
START_US = 1_795_046_400_000_000  # 2026-11-19, 00:00 UTC
# Two meters as fast as meters are polled, the others slower: the slots are the same.
SLOW = {
    "realtime": 10.0,
    "energy": 10.0,
    "demand": 60.0,
    "maximum": 60.0,
    "status": 10.0,
}


@pytest.fixture(scope="module")
def day() -> Day:
    meters = (*meters_of(2), *meters_of(20, periods=SLOW)[2:])
    troubles = every_trouble(meters, START_US, START_US + DAY_US)
    return Day(meters, START_US, START_US + DAY_US, troubles=troubles)


@pytest.fixture(scope="module")
def found(day: Day) -> dict[str, Latest]:
    return highest(values_of(derived(rules_for(day), day)))


def test_the_ledger_is_the_models_record(day: Day, found: dict[str, Latest]) -> None:
    ledger = {
        (record.asset, record.group, record.hour): counted(record)
        for record in records_of(found)
        if isinstance(record, LedgerHour)
    }
    truth = {
        (asset, group, start): told(hour)
        for asset, group in day.truth.lanes
        for start, hour in day.truth.hours(asset, group).items()
    }
    assert ledger == truth


def test_each_hour_of_the_ledger_sums_exactly(found: dict[str, Latest]) -> None:
    wrong = [
        record
        for record in records_of(found)
        if isinstance(record, LedgerHour)
        and record.due != record.good + sum(record.failed.values()) + record.missing
    ]
    assert wrong == []


def test_the_days_energy_is_the_models_integral(
    day: Day, found: dict[str, Latest]
) -> None:
    energy = energies(found)
    off = {
        name: energy[name] - true_wh(day, *name)
        for name in plain_counters(day)
        if abs(energy[name] - true_wh(day, *name)) > allowed_wh(day, *name)
    }
    assert off == {}


def test_a_whole_days_counters_are_compared(day: Day) -> None:
    exact = {meter.asset for meter in day.meters if meter.exact}
    compared = [asset for asset, _ in plain_counters(day)]
    assert sum(asset in exact for asset in compared) > 50
    assert sum(asset not in exact for asset in compared) > 50


def test_energy_is_never_made_up(day: Day, found: dict[str, Latest]) -> None:
    """Where a counter hid some, less is booked, and never more than flowed."""
    energy = energies(found)
    more = {
        name: energy[name] - true_wh(day, *name)
        for name in day.truth.counters
        if name in energy
        and energy[name] > true_wh(day, *name) + allowed_wh(day, *name)
    }
    assert more == {}


# -- the two sides --------------------------------------------------------------------


def counted(record: LedgerHour) -> tuple[int, int, Mapping[str, int], int]:
    return record.due, record.good, record.failed, record.missing


def told(hour: Hour) -> tuple[int, int, Mapping[str, int], int]:
    failed = {status_label(status): n for status, n in hour.failed.items()}
    return hour.due, hour.good, failed, hour.missing


def energies(found: dict[str, Latest]) -> dict[tuple[str, str], int]:
    """Energy of all intervals in Wh, by asset and counter."""
    out: dict[tuple[str, str], int] = defaultdict(int)
    for record in records_of(found):
        if isinstance(record, Energy):
            out[record.asset, record.quantity] += round(record.energy * 1000)
    return dict(out)


def plain_counters(day: Day) -> list[tuple[str, str]]:
    """Counters of energy that no fault hides any of."""
    return [
        (asset, quantity)
        for asset, quantity in day.truth.counters
        if "nergy" in quantity and not day.truth.hides_energy(asset, quantity)
    ]


def true_wh(day: Day, asset: str, quantity: str) -> float:
    """The model's integral between the first and the last answered read."""
    slots = day.truth.readings(asset, quantity).slot_us
    first, last = int(slots[0]), int(slots[-1])
    return 1000 * day.truth.energy_between(asset, quantity, first, last)


def allowed_wh(day: Day, asset: str, quantity: str) -> float:
    """1 Wh of an exact counter, its steps at both ends of one in two float32."""
    meter = next(each for each in day.meters if each.asset == asset)
    if meter.exact:
        return 1.0
    rules = CounterRules(quantity=quantity, float32=True)
    wh = day.truth.readings(asset, quantity).wh
    return step_wh(rules, int(wh[0])) + step_wh(rules, int(wh[-1]))
