from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.host_clock import ClockWatch
from tests.line_protocol import Point
from tests.transforms.codec.frames import SCHEMAS
from tests.transforms.demand.minutes import MINUTE, T0, events, rules, run, steady, us
from tests.transforms.lines.reading import labels, the_point
from transforms.alerts.occurrence import INACTIVE, Change, Words, tell, turn
from transforms.alerts.rule import AlertRule
from transforms.codec.derived import energy_id
from transforms.codec.record import content_id
from transforms.codec.records import (
    DeadLetter,
    Demand,
    Energy,
    Event,
    LedgerHour,
    decode_record,
)
from transforms.lines.records import record_line
from transforms.lines.text import LineError
from transforms.model.quality import Quality, Status
from transforms.over_time import live_quantities

KEY = "plant/hall1/press"
TIME = 1_713_897_600_250_000
DEMAND = Demand(
    asset=KEY,
    quantity="realPower",
    method="block",
    interval=900_000_000,
    start=TIME,
    end=TIME + 900_000_000,
    value=31.25,
    quality=Quality.UNCERTAIN_INCOMPLETE,
    forecast=40.5,
    revision=3,
)
ENERGY = Energy(
    asset=KEY,
    quantity="energyImport",
    start=TIME,
    end=TIME + 900_000_000,
    energy=7.813,
    substituted=0.5,
    quality=Quality.UNCERTAIN_SUBSTITUTED,
    counterStart=100.0,
    counterEnd=107.813,
    integral=7.8,
    budget=0.1,
    verdict="agrees",
    revision=1,
)
HOUR = LedgerHour(
    asset=KEY,
    group="realtime",
    hour=3_600_000_000,
    due=3600,
    good=3590,
    failed={"timeout": 6, "refused": 1},
    missing=3,
    revision=2,
)
EVENT = Event(
    asset=KEY,
    kind="gap",
    time=TIME,
    until=TIME + 5_000_000,
    group="realtime",
    severity="warning",
    text='5 slots "missing"',
    data={"cause": "unknown", "count": "5"},
)
FROZEN = AlertRule(name="frozen", kind="frozen")


def tags_of(point: Point) -> dict[str, str]:
    own = dict(point.tags)
    for name, text in labels(KEY).items():
        assert own.pop(name) == text
    return own


def test_a_demand_that_runs_has_its_forecast() -> None:
    point = the_point(record_line(DEMAND, labels))
    assert point.measurement == "pm500_demand"
    assert tags_of(point) == {
        "quantity": "realPower", "method": "block", "interval": "900",
    }  # fmt: skip
    assert point.time == TIME * 1000
    assert point.fields == {
        "value": 31.25, "forecast": 40.5, "running": 1.0, "quality": 64.0,
        "revision": 3.0,
    }  # fmt: skip


def test_a_demand_that_is_over_runs_no_more() -> None:
    fields = the_point(record_line(replace(DEMAND, forecast=None), labels)).fields
    assert fields["running"] == 0.0
    assert "forecast" not in fields


def test_a_demand_without_a_value_has_none() -> None:
    point = the_point(record_line(replace(DEMAND, value=math.nan), labels))
    assert "value" not in point.fields


def test_an_interval_s_energy_has_counters_budget_and_verdict() -> None:
    point = the_point(record_line(ENERGY, labels))
    assert point.measurement == "pm500_energy"
    assert tags_of(point) == {"quantity": "energyImport", "interval": "900"}
    assert point.fields == {
        "energy": 7.813, "substituted": 0.5, "counter_start": 100.0,
        "counter_end": 107.813, "integral": 7.8, "budget": 0.1, "seconds": 900.0,
        "quality": 64.0, "revision": 1.0, "verdict": "agrees", "reason": "",
    }  # fmt: skip


def test_energy_of_two_lengths_of_intervals_stands_at_two_points() -> None:
    quarter, hour = (
        replace(
            ENERGY, end=TIME + length, id=energy_id(KEY, "energyImport", length, TIME)
        )
        for length in (900_000_000, 3_600_000_000)
    )
    points = [the_point(record_line(record, labels)) for record in (quarter, hour)]
    assert points[0].time == points[1].time
    assert [dict(point.tags)["interval"] for point in points] == ["900", "3600"]


@pytest.mark.parametrize("seconds", [1, 300, 900, 3599, 7200, 90_000])
def test_a_cut_or_longer_energy_has_the_interval_of_the_others(seconds: int) -> None:
    own = energy_id(KEY, "energyImport", 3_600_000_000, TIME)
    record = replace(ENERGY, end=TIME + seconds * 1_000_000, id=own)
    point = the_point(record_line(record, labels))
    assert tags_of(point)["interval"] == "3600"
    assert point.fields["seconds"] == seconds


def test_an_energy_whose_id_tells_no_interval_has_its_own_length() -> None:
    record = replace(ENERGY, end=TIME + 7_000_000, id="another")
    assert tags_of(the_point(record_line(record, labels)))["interval"] == "7"


def test_a_ledger_hour_says_zero_of_what_did_not_fail() -> None:
    point = the_point(record_line(HOUR, labels))
    assert point.measurement == "pm500_ledger"
    assert tags_of(point) == {"group": "realtime"}
    assert point.time == HOUR.hour * 1000
    fields = dict(point.fields)
    counts = {name: fields.pop(name) for name in ("due", "good", "missing", "failed")}
    assert counts == {"due": 3600.0, "good": 3590.0, "missing": 3.0, "failed": 7.0}
    assert fields.pop("revision") == 2.0
    assert {name for name, count in fields.items() if count} == {
        "failed_timeout", "failed_refused",
    }  # fmt: skip
    assert len(fields) == len(Status) - 1


def test_an_event_has_its_text_and_data() -> None:
    point = the_point(record_line(EVENT, labels))
    assert point.measurement == "pm500_event"
    assert tags_of(point) == {"kind": "gap", "group": "realtime"}
    assert point.time is not None
    assert point.time // 1000 == TIME
    fields = dict(point.fields)
    assert json.loads(str(fields.pop("data"))) == EVENT.data
    assert fields == {
        "text": EVENT.text, "severity": "warning", "id": EVENT.id,
        "since": TIME / 1000, "until": (TIME + 5_000_000) / 1000,
        "lasting": 0.0, "revision": 0.0,
    }  # fmt: skip


def test_all_values_that_freeze_at_one_instant_are_points_of_their_own() -> None:
    (realtime,) = (s for s in SCHEMAS if (s.profile, s.group) == ("pm500", "realtime"))
    live = live_quantities(realtime.names)
    names = [name for name, moves in zip(realtime.names, live, strict=True) if moves]
    assert len(names) == 25
    told = [
        Event(
            id=content_id(KEY, "frozen_value", "realtime", name, TIME),
            asset=KEY, kind="frozen_value", time=TIME, group="realtime",
            data={"quantity": name},
        )
        for name in names
    ]  # fmt: skip
    points = [the_point(record_line(event, labels)) for event in told]
    assert [dict(point.tags)["quantity"] for point in points] == names
    assert len({(point.tags, point.time) for point in points}) == len(names)


def test_alerts_of_one_instant_are_points_of_their_own() -> None:
    told = [
        tell(rule, KEY, Change(TIME, None, 0), "", {"quantity": name}, name)
        for rule in (FROZEN, replace(FROZEN, name="stuck"))
        for name in ("currentA", "currentB")
    ]
    points = [the_point(record_line(event, labels)) for event in told]
    own = [(tags["alert"], tags["quantity"]) for tags in map(tags_of, points)]
    assert own == [
        ("frozen", "currentA"), ("frozen", "currentB"),
        ("stuck", "currentA"), ("stuck", "currentB"),
    ]  # fmt: skip


def test_both_phases_whose_transformers_are_exchanged_have_a_point() -> None:
    told = [
        Event(asset=KEY, kind="wiring", time=TIME, data={"phase": letter}, id=letter)
        for letter in "AB"
    ]
    points = [the_point(record_line(event, labels)) for event in told]
    assert [dict(point.tags)["phase"] for point in points] == ["A", "B"]


@pytest.mark.parametrize("name", ["", "a\nb", "end\\"])
def test_an_alert_whose_name_cannot_be_a_tag_has_its_line(name: str) -> None:
    event = Event(asset=KEY, kind="alert", time=TIME, data={"alert": name})
    point = the_point(record_line(event, labels))
    assert tags_of(point) == {"kind": "alert"}
    assert json.loads(str(point.fields["data"])) == {"alert": name}


def test_ids_with_one_ending_are_points_of_their_own() -> None:
    one, two = (replace(EVENT, id=f"{begins}00ff") for begins in "ab")
    points = [the_point(record_line(event, labels)) for event in (one, two)]
    # 0xa00ff and 0xb00ff.
    assert [point.time for point in points] == [TIME * 1000 + 615, TIME * 1000 + 151]


def test_an_id_that_is_no_number_tells_the_same_nanosecond_every_time() -> None:
    event = replace(EVENT, id="another")
    times = [the_point(record_line(event, labels)).time for _ in range(2)]
    assert times == [TIME * 1000 + 256] * 2


def test_a_revision_of_an_event_is_the_same_point() -> None:
    later = replace(EVENT, revision=1, text="over", severity="info")
    one, two = (the_point(record_line(event, labels)) for event in (EVENT, later))
    assert (one.measurement, one.tags, one.time) == (
        two.measurement,
        two.tags,
        two.time,
    )


def test_a_new_peak_of_the_billing_period_is_the_same_point() -> None:
    _, told = run(rules(), steady(0, [10] * 5 + [30] * 5 + [20] * 5 + [0]))
    one, two = (the_point(record_line(event, labels)) for event in events(told))
    assert (one.fields["revision"], two.fields["revision"]) == (0, 1)
    assert (one.tags, one.time) == (two.tags, two.time)
    assert (one.time or 0) // 1000 == us("2026-05-01T00:00+02:00")
    # The second block of five minutes.
    since, until = ((T0 + minutes * MINUTE) / 1000 for minutes in (5, 10))
    assert (two.fields["since"], two.fields["until"]) == (since, until)


@pytest.mark.parametrize("text", ["", "soon", "99999-01-01T00:00:00Z"])
def test_a_peak_of_a_period_that_nobody_can_read_stands_at_its_time(text: str) -> None:
    event = Event(asset=KEY, kind="demand_peak", time=TIME, data={"period_start": text})
    assert (the_point(record_line(event, labels)).time or 0) // 1000 == TIME


def test_an_alert_that_is_raised_again_at_its_own_instant_lasts() -> None:
    state, words = INACTIVE, Words("raised", "cleared", {})
    points = []
    for on in (True, False, True):
        state, told = turn(FROZEN, KEY, state, TIME, on, words)
        points += [the_point(record_line(event, labels)) for event in told]
    assert len({(point.tags, point.time) for point in points}) == 1
    fields = [(point.fields.get("until"), point.fields["lasting"]) for point in points]
    assert fields == [(None, 1), (TIME / 1000, 0), (None, 1)]


def test_a_clock_lasts_unsynchronized_until_it_is_back() -> None:
    watch = ClockWatch()
    said = [watch.look(TIME + n, good) for n, good in enumerate([True, False, True])]
    points = [the_point(record_line(event, labels)) for event in said if event]
    assert [(dict(point.tags)["kind"], point.fields["lasting"]) for point in points] == [
        ("clock_synchronized", 0), ("clock_unsynchronized", 1),
        ("clock_unsynchronized", 0),
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["frozen_value", "wiring"])
def test_what_only_time_can_show_lasts_until_it_has_an_end(kind: str) -> None:
    begun = Event(asset=KEY, kind=kind, time=TIME, group="realtime")
    over = replace(begun, until=TIME + 1, revision=1)
    points = [the_point(record_line(event, labels)) for event in (begun, over)]
    assert [point.fields["lasting"] for point in points] == [1, 0]


@pytest.mark.parametrize("kind", ["comm_lost", "comm_back", "late", "settings_changed"])
def test_an_event_that_never_has_an_end_does_not_last(kind: str) -> None:
    point = the_point(record_line(Event(asset=KEY, kind=kind, time=TIME), labels))
    assert point.fields["lasting"] == 0


def test_what_speaks_of_no_asset_has_the_tags_that_it_is_given() -> None:
    clock = Event(asset="", kind="clock_unsynchronized", time=TIME)
    point = the_point(record_line(clock, lambda _: {"site": "plant"}))
    assert dict(point.tags) == {"site": "plant", "kind": "clock_unsynchronized"}


@pytest.mark.parametrize(
    "record",
    [
        DeadLetter(
            topic="t", partition=0, offset=0, time=0, flow="f", error="e", key=b"",
            value=b"",
        ),
        replace(DEMAND, quality=99),
        replace(EVENT, kind=""),
        replace(HOUR, hour=2**62),
    ],
)  # fmt: skip
def test_a_record_that_has_no_line_is_told(record: DeadLetter) -> None:
    with pytest.raises(LineError):
        record_line(record, labels)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_come_back_exactly(value: float) -> None:
    record = decode_record(replace(DEMAND, value=value).encode())
    assert the_point(record_line(record, labels)).fields["value"] == value
