"""A shard on its own: odd sites, odd frames, and state that does not grow."""

from __future__ import annotations

import pickle
from collections import Counter
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


def test_a_host_that_began_in_1970_costs_a_gap_and_a_year_of_hours() -> None:
    told = take(shard(), [frame(POWER, 60 * SECOND, 1.0), *seconds(NOON, 30)])
    hours = [record for record in records(told) if isinstance(record, LedgerHour)]
    (gap,) = events("gap", told)
    assert len(hours) <= 24 * 366 + 2
    assert (hours[0].hour, hours[0].due, hours[0].missing) == (0, 3540, 3539)
    assert {(hour.due, hour.missing) for hour in hours[1:]} == {(3600, 3600)}
    assert int(gap.data["count"]) == (NOON - 61 * SECOND) // SECOND


def test_a_summer_shutdown_is_missing_in_every_hour() -> None:
    own = shard()
    hour = 3600 * SECOND
    start = NOON // hour * hour
    back = start + 70 * 24 * hour + 600 * SECOND
    told = [take(own, seconds(start, 1020)), take(own, seconds(back, 3600))]
    hours = [each for each in records(*told) if isinstance(each, LedgerHour)]
    assert [each.hour for each in hours] == [*range(start, back, hour)]
    assert [(each.due, each.good, each.missing) for each in hours] == [
        (3600, 1020, 2580),
        *[(3600, 0, 3600)] * (70 * 24 - 1),
        (3600, 3000, 600),
    ]
    assert sum(n for word, n in _slots(told).items() if "missing" in word) == (
        70 * 24 * 3600 - 1020 + 600
    )


def test_the_hours_of_a_long_hole_are_no_part_of_the_state() -> None:
    own, other = shard(), shard()
    day = 24 * 3600 * SECOND
    take(own, [*seconds(NOON, 30), *seconds(NOON + 300 * day, 300)])
    take(other, [*seconds(NOON, 30), *seconds(NOON + 8 * day, 300)])
    assert len(pickle.dumps(own.to_snapshot())) == pytest.approx(
        len(pickle.dumps(other.to_snapshot())), abs=200
    )


def test_a_long_hole_before_another_period_is_missing_in_every_hour() -> None:
    own = shard()
    start, day = NOON // (3600 * SECOND) * 3600 * SECOND, 24 * 3600 * SECOND
    back = [
        frame(POWER, start + 30 * day + n * 10 * SECOND, 1.0 + n, period=10 * SECOND)
        for n in range(30)
    ]
    told = take(own, [*seconds(start, 30), *back])
    hours = [each for each in records(told) if isinstance(each, LedgerHour)]
    assert [each.missing for each in hours] == [3570, *[3600] * (30 * 24 - 1)]
    assert len(pickle.dumps(own.to_snapshot())) < 30_000


def _slots(told: Sequence[Derived]) -> dict[str, int]:
    """What came of slots, by the words of the counts."""
    counts = sum((each.counts for each in told), Counter[str]())
    return {word: n for word, n in counts.items() if word.startswith("slots")}


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


def silences(start: int, period: int, count: int) -> list[bytes]:
    """Polls that nobody answered."""
    return [
        frame(
            POWER, start + n * period, 0.0, period=period, status=Status.TIMEOUT,
            quality=Quality.BAD_NO_VALUE,
        )
        for n in range(count)
    ]  # fmt: skip


def test_a_meter_is_lost_and_back_after_it_was_given_a_longer_period() -> None:
    own, period = shard(), 10 * SECOND
    moved, gone = NOON + 120 * SECOND, NOON + 420 * SECOND
    take(own, seconds(NOON, 120))
    slow = [frame(POWER, moved + n * period, n / 8, period=period) for n in range(30)]
    again = Shard.from_snapshot(
        rules(), lambda value: SCHEMAS[value[:10]], own.to_snapshot()
    )
    lost = take(again, slow), take(again, silences(gone, period, 60))
    assert [event.time for event in events("comm_lost", *lost)] == [gone]
    back = gone + 600 * SECOND
    told = take(
        again, [frame(POWER, back + n * period, n / 8, period=period) for n in range(9)]
    )
    assert [event.time for event in events("comm_back", told)] == [back]


def test_what_a_state_of_before_says_of_a_meters_life_is_read() -> None:
    own = shard()
    take(own, seconds(NOON, 120))
    version, bays, lanes, ((*head,),), *rest = own.to_snapshot()
    # The number of the last slot stood here.
    head[2] = *head[2][:3], NOON // SECOND + 119, head[2][4]
    again = Shard.from_snapshot(
        rules(),
        lambda value: SCHEMAS[value[:10]],
        (version, bays, lanes, (tuple(head),), *rest),
    )
    gone, period = NOON + 120 * SECOND, 10 * SECOND
    told = take(again, silences(gone, period, 60))
    assert [event.time for event in events("comm_lost", told)] == [gone]


def demand_said(at: int, mode: str, interval: str) -> Event:
    """By the meter's codes: 0 block and 1 sliding; 1 five minutes, 2 ten, 3 fifteen."""
    data = {"demandMode": mode, "demandInterval": interval}
    return Event(asset=ASSET, kind="meter_described", time=at, text="", data=data)


PEAK = AlertRule(
    name="peak", kind="demand_forecast", quantity="realPower", above=100.0
)  # fmt: skip


def test_a_meter_with_sliding_demand_has_its_demand_alert() -> None:
    own = shard(rules(alerts=(PEAK,)))
    own.settings(demand_said(NOON - 1, "1", "1"))
    told = take(own, [*seconds(NOON, 600, 150.0), *seconds(NOON + 600 * SECOND, 600)])
    # Two minutes of five are low: (3 * 150 + 2 * 10) / 5 kW.
    assert [(e.revision, e.time, e.until) for e in events("alert", told)] == [
        (0, NOON + 60 * SECOND, None),
        (1, NOON + 60 * SECOND, NOON + 720 * SECOND),
    ]


def test_a_demand_alert_ends_when_the_meter_counts_in_another_way() -> None:
    own, changed = shard(rules(alerts=(PEAK,))), NOON + 600 * SECOND
    own.settings(demand_said(NOON - 1, "0", "3"))
    high = take(own, seconds(NOON, 600, 150.0))
    own.settings(demand_said(changed, "0", "1"))
    low = take(own, seconds(changed, 1800, 10.0))
    assert [(e.revision, e.until) for e in events("alert", high, low)] == [
        (0, None),
        (1, changed),
    ]


FROZEN = AlertRule(name="still", kind="frozen")


def test_a_frozen_value_is_over_when_its_period_changes_and_begins_anew() -> None:
    own, period = shard(rules(alerts=(FROZEN,))), 2 * SECOND
    moved = NOON + 303 * SECOND
    still = take(own, seconds(NOON, 303, 50.0))
    frames = [
        frame(POWER, moved + SECOND + n * period, 50.0, period=period)
        for n in range(300)
    ]
    told = take(own, frames)
    # In cells of ten seconds.
    expected = [
        (NOON, None),
        (NOON, NOON + 300 * SECOND),
        (NOON + 300 * SECOND, None),
    ]
    for kind in ("frozen_value", "alert"):
        found = events(kind, still, told)
        assert [(event.time, event.until) for event in found] == expected


def test_a_frozen_value_is_over_when_the_meter_gets_another_profile() -> None:
    other = FrameSchema("other", "realtime", (Column("realPower", "float"),))
    schemas = SCHEMAS | {other.header: other}
    own = Shard(rules(alerts=(FROZEN,)), lambda value: schemas[value[:10]])
    moved = NOON + 300 * SECOND
    still = take(own, seconds(NOON, 300, 50.0))
    told = take(own, [frame(other, moved + n * SECOND, n % 7 / 8) for n in range(60)])
    for kind in ("frozen_value", "alert"):
        found = events(kind, still, told)
        assert [event.until for event in found] == [None, moved]


def test_an_alert_of_a_quantity_that_the_profile_has_no_more_is_over() -> None:
    other = FrameSchema("other", "realtime", (Column("currentA", "float"),))
    schemas = SCHEMAS | {other.header: other}
    high = AlertRule(name="high", kind="threshold", quantity="realPower", above=5.0)
    own = Shard(rules(alerts=(high,)), lambda value: schemas[value[:10]])
    moved = NOON + 60 * SECOND
    told = (
        take(own, seconds(NOON, 60)),
        take(own, [frame(other, moved + n * SECOND, n % 7 / 8) for n in range(60)]),
    )
    assert [(e.revision, e.until) for e in events("alert", *told)] == [
        (0, None),
        (1, moved),
    ]


def test_an_alert_of_a_quantity_that_another_group_has_too_goes_on() -> None:
    other = FrameSchema("other", "realtime", (Column("currentA", "float"),))
    more = FrameSchema("other", "demand", (Column("realPower", "float"),))
    schemas = SCHEMAS | {schema.header: schema for schema in (other, more)}
    high = AlertRule(name="high", kind="threshold", quantity="realPower", above=5.0)
    own = Shard(rules(alerts=(high,)), lambda value: schemas[value[:10]])
    moved = NOON + 60 * SECOND
    told = (
        take(own, [frame(more, NOON, 10.0, period=60 * SECOND)]),
        take(own, seconds(NOON, 60)),
        take(own, [frame(other, moved + n * SECOND, n % 7 / 8) for n in range(60)]),
    )
    assert [event.until for event in events("alert", *told)] == [None]


HOLE = AlertRule(name="hole", kind="gap", longer_than_us=60 * SECOND)


@pytest.mark.parametrize("size", [1, 7, 4000])
def test_polls_that_fail_for_long_raise_a_gap_alert_while_they_do(size: int) -> None:
    own, gone = shard(rules(alerts=(HOLE,))), NOON + 60 * SECOND
    sent = [*seconds(NOON, 60), *silences(gone, SECOND, 3600)]
    down = [take(own, sent[at : at + size]) for at in range(0, len(sent), size)]
    again = Shard.from_snapshot(
        rules(alerts=(HOLE,)), lambda value: SCHEMAS[value[:10]], own.to_snapshot()
    )
    back = gone + 3600 * SECOND
    up = take(again, seconds(back, 60))
    (raised,), (cleared,) = events("alert", *down), events("alert", up)
    assert (raised.time, raised.until, raised.revision) == (gone, None, 0)
    assert (cleared.time, cleared.until, cleared.revision) == (gone, back, 1)
    assert raised.id == cleared.id


def test_polls_that_fail_for_a_while_raise_no_gap_alert() -> None:
    own, gone = shard(rules(alerts=(HOLE,))), NOON + 60 * SECOND
    told = take(own, [*seconds(NOON, 60), *silences(gone, SECOND, 60)])
    more = take(own, seconds(gone + 60 * SECOND, 60))
    assert events("alert", told, more) == []


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
