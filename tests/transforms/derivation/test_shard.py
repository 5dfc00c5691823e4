"""A shard on its own: odd sites, odd frames, and state that does not grow."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any

import pytest

from transforms.alerts.rule import AlertRule
from transforms.calendar import Calendar
from transforms.codec.frame import Column, FrameSchema
from transforms.codec.records import (
    AnyRecord,
    Event,
    LedgerHour,
    decode_record,
    is_record,
)
from transforms.codec.window import WindowSchema
from transforms.derivation.rules import DeriveRules, MeterRules
from transforms.derivation.shard import Derived, Shard
from transforms.energy.counter import CounterRules
from transforms.model.quality import Quality, Status
from transforms.windows.bay import WindowRules

SECOND = 1_000_000
NOON = 1_795_089_600 * SECOND
ASSET = "plant/hall1/main"
POWER = FrameSchema("test", "realtime", (Column("realPower", "float"),))
ENERGY = FrameSchema("test", "energy", (Column("energyImport", "double"),))
BOTH = FrameSchema(
    "test",
    "energy",
    (Column("energyImport", "double"), Column("energyExport", "double")),
)
SCHEMAS = {schema.header: schema for schema in (POWER, ENERGY, BOTH)}


def rules(
    *, counters: Sequence[str] = ("energyImport",), **changes: Any
) -> DeriveRules:
    meter = MeterRules(
        counters={name: CounterRules(quantity=name) for name in counters}
    )
    windows = WindowRules(calendar=Calendar("UTC"), lengths_us=(60 * SECOND,))
    own: dict[str, Any] = {"windows": windows, "meters": {ASSET: meter}} | changes
    return DeriveRules(**own)


def shard(own: DeriveRules | None = None) -> Shard:
    return Shard(own or rules(), lambda value: SCHEMAS[value[:10]])


def frame(
    schema: FrameSchema,
    slot: int,
    *values: float,
    period: int = SECOND,
    status: Status = Status.OK,
    quality: Quality = Quality.GOOD,
) -> bytes:
    head = slot // period, period, slot, slot, slot + 20_000, status
    return schema.encode(*head, bytes([quality]) * len(values), values)


def seconds(start: int, count: int, kw: float | None = None) -> list[bytes]:
    """Frames of power, one each second; it moves unless it is said."""
    return [
        frame(POWER, start + n * SECOND, 10 + n % 7 / 8 if kw is None else kw)
        for n in range(count)
    ]


def take(own: Shard, frames: Sequence[bytes]) -> Derived:
    return own.take([ASSET] * len(frames), frames)


def records(*told: Derived) -> list[AnyRecord]:
    return [
        decode_record(value)
        for one in told
        for _, value in (*one.derived, *one.events)
        if is_record(value)
    ]


def events(kind: str, *told: Derived) -> list[Event]:
    found = [each for each in records(*told) if isinstance(each, Event)]
    return [event for event in found if event.kind == kind]


def test_a_counter_that_the_site_has_no_more_does_not_stop_the_rest() -> None:
    own = shard(rules(counters=("energyImport", "energyExport")))
    reads = [
        frame(BOTH, NOON + n * 10 * SECOND, 100.0 + n, 0.0, period=10 * SECOND)
        for n in range(30)
    ]
    take(own, [*seconds(NOON, 30), *reads])
    again = Shard.from_snapshot(
        rules(), lambda value: SCHEMAS[value[:10]], own.to_snapshot()
    )
    told = take(again, seconds(NOON + 30 * SECOND, 400))
    assert told.rejected == []


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), -float("inf")])
def test_a_counter_that_is_no_number_is_no_reading(odd: float) -> None:
    own = shard()
    reads = [
        frame(
            ENERGY,
            NOON + n * 10 * SECOND,
            odd if n == 5 else 100.0 + n,
            period=10 * SECOND,
        )
        for n in range(200)
    ]
    told = take(own, reads)
    assert events("counter_reset", told) == []
    windows = WindowSchema(ENERGY)
    found = [windows.decode(v) for _, v in told.derived if not is_record(v)]
    assert [window.quality[0] for window in found[:2]] == [
        Quality.UNCERTAIN_INCOMPLETE,
        Quality.GOOD,
    ]


def test_a_host_that_began_in_1970_costs_a_gap_and_a_week_of_hours() -> None:
    told = take(shard(), [frame(POWER, 60 * SECOND, 1.0), *seconds(NOON, 30)])
    hours = [record for record in records(told) if isinstance(record, LedgerHour)]
    (gap,) = events("gap", told)
    assert len(hours) <= 24 * 7 + 2
    assert int(gap.data["count"]) == (NOON - 61 * SECOND) // SECOND


def test_a_meter_that_changes_its_period_for_ever_takes_no_more_room() -> None:
    own = shard()
    sizes = []
    for turn in range(60):
        start = NOON + turn * 10 * SECOND
        period = SECOND if turn % 2 else 2 * SECOND
        slots = range(start, start + 10 * SECOND, period)
        take(own, [frame(POWER, slot, 1.0, period=period) for slot in slots])
        sizes.append(len(pickle.dumps(own.to_snapshot())))
    assert max(sizes) < 2 * sizes[5]


def test_a_frame_of_another_layout_counts_once_in_the_ledger() -> None:
    own = shard()
    frames = seconds(NOON, 3700)
    frames.insert(1000, frame(POWER, NOON + 998 * SECOND, 1.0, period=2 * SECOND))
    hours = [
        each for each in records(take(own, frames)) if isinstance(each, LedgerHour)
    ]
    assert [(hour.due, hour.good, hour.missing) for hour in hours] == [(3600, 3600, 0)]


def test_an_alert_that_waits_for_a_frozen_value_is_raised_in_time() -> None:
    alert = AlertRule(name="still", kind="frozen", delay_us=30 * SECOND)
    own = shard(rules(alerts=(alert,)))
    first = take(own, [*seconds(NOON, 60), *seconds(NOON + 60 * SECOND, 200, 5.0)])
    (raised,) = events("alert", first)
    assert (raised.revision, raised.data["state"]) == (0, "raised")


def test_a_clock_that_was_set_back_is_wrong_only_until_the_next_word() -> None:
    own = shard()
    own.settings(
        Event(asset="", kind="clock_unsynchronized", time=NOON + 3600 * SECOND)
    )
    own.settings(Event(asset="", kind="clock_synchronized", time=NOON))
    told = take(own, seconds(NOON + 7200 * SECOND, 200))
    windows = WindowSchema(POWER)
    codes = {
        windows.decode(value).quality
        for _, value in told.derived
        if not is_record(value)
    }
    assert codes == {bytes([Quality.GOOD])}


def test_settings_wait_for_the_first_frame_of_their_meter() -> None:
    own = shard()
    described = Event(
        asset=ASSET, kind="meter_described", time=NOON, data={"ctRatio": "1"}
    )
    changed = Event(
        asset=ASSET, kind="configuration_changed", time=NOON + 9, data={"ctRatio": "2"}
    )
    early = [own.settings(described), own.settings(changed)]
    assert events("settings_changed", *early) == []
    again = Shard.from_snapshot(
        rules(), lambda value: SCHEMAS[value[:10]], own.to_snapshot()
    )
    assert len(events("settings_changed", take(again, seconds(NOON, 5)))) == 1


@pytest.mark.parametrize(
    ("name", "before", "after", "code"),
    [
        ("ctRatio", "100", "200", Quality.UNCERTAIN_INCONSISTENT),
        ("vtRatio", "1", "2", Quality.UNCERTAIN_INCONSISTENT),
        ("electricalSystem", "4", "5", Quality.UNCERTAIN_INCONSISTENT),
        ("demandInterval", "3", "5", Quality.GOOD),
        ("serialText", "A", "B", Quality.GOOD),
    ],
)
def test_only_a_window_of_two_scales_is_inconsistent(
    name: str, before: str, after: str, code: Quality
) -> None:
    own = shard()
    take(own, seconds(NOON - 60 * SECOND, 60))
    told = []
    for at_us, value in ((NOON, before), (NOON + 93 * SECOND, after)):
        told.append(
            own.settings(
                Event(
                    asset=ASSET, kind="meter_described", time=at_us, data={name: value}
                )
            )
        )
    assert len(events("settings_changed", *told)) == 1
    derived = take(own, seconds(NOON, 400)).derived
    schema = WindowSchema(POWER)
    windows = [schema.decode(value) for _, value in derived if not is_record(value)]
    codes = {window.start_us: Quality(window.quality[0]) for window in windows}
    assert codes.pop(NOON + 60 * SECOND) == code
    assert set(codes.values()) == {Quality.GOOD}


def test_no_change_is_forgotten_while_a_meter_has_no_frame() -> None:
    own, at_us = shard(), NOON
    for ratio in [*range(20), *[20] * 40]:
        at_us += SECOND
        for data in ({"serialText": "A"}, {"ctRatio": str(100 + ratio)}):
            at_us += 1
            own.settings(
                Event(asset=ASSET, kind="meter_described", time=at_us, data=data)
            )
    parked = own.to_snapshot()[-1]
    again = Shard.from_snapshot(
        rules(), lambda value: SCHEMAS[value[:10]], own.to_snapshot()
    )
    told = take(again, seconds(NOON, 5))
    assert len(events("settings_changed", told)) == 20
    # The first words, what changed, and the last words.
    assert len(parked) == 2 + 20 + 1


@pytest.mark.parametrize("period", [45, 90, 300, 900])
def test_slow_counters_give_the_same_in_any_batches(period: int) -> None:
    step = period * SECOND
    start = NOON // step * step
    slots = sorted(
        [(start + n * SECOND, 1, frame(POWER, start + n * SECOND, 30 + n % 7 / 8))
         for n in range(8000)]
        + [(start + n * step, 0, frame(ENERGY, start + n * step, 500.0 + n * period / 120, period=step))
           for n in range(8000 // period + 1)]
    )  # fmt: skip
    frames = [value for _, _, value in slots]
    whole, cut = shard(), shard()
    one = take(whole, frames)
    many = [take(cut, frames[at : at + 37]) for at in range(0, len(frames), 37)]
    assert values(one) == values(*many)


def values(*told: Derived) -> list[bytes]:
    return sorted(v for one in told for _, v in (*one.derived, *one.events))
