from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.alerts.asset import Alerts, AlertsState
from transforms.alerts.occurrence import Occurrence
from transforms.alerts.rule import AlertRule
from transforms.codec.derived import Demand, Energy
from transforms.codec.records import Event, content_id, decode_record

PRESS = "plant/hall1/press"
SECOND_US = 1_000_000
NAN = float("nan")

POWER = AlertRule(name="power", kind="threshold", quantity="realPower", above=100)
VOLTAGE = AlertRule(name="low", kind="threshold", quantity="voltageAN", below=207)
LOST = AlertRule(name="lost", kind="comm_lost", severity="critical")
HOLE = AlertRule(name="hole", kind="gap", longer_than_us=30 * SECOND_US)
STILL = AlertRule(name="still", kind="frozen")
PEAK = AlertRule(
    name="peak", kind="demand_forecast", quantity="realPower", above=80, hysteresis=5
)
COUNTER = AlertRule(name="counter", kind="reconciliation")

Step = Callable[[AlertsState], tuple[AlertsState, list[Event]]]


def told(*steps: Step) -> list[Event]:
    state: AlertsState = {}
    out: list[Event] = []
    for step in steps:
        state, events = step(state)
        out += events
    return out


def summary(events: list[Event]) -> list[tuple[str, str, int, int | None]]:
    return [(e.data["alert"], e.data["state"], e.time, e.until) for e in events]


def slots(*at_us: int) -> npt.NDArray[np.int64]:
    return np.array(at_us, np.int64)


def column(*values: float) -> npt.NDArray[np.float32]:
    return np.array(values, np.float32)


def event(kind: str, time: int, **more: int | str | None) -> Event:
    return replace(Event(asset=PRESS, kind=kind, time=time), **more)  # type: ignore[arg-type]


def test_only_rules_of_the_asset_count() -> None:
    other = replace(LOST, name="other", assets="plant/hall2/*")
    assert list(Alerts(PRESS, [LOST, other]).rules) == ["lost"]


def test_it_says_which_quantities_it_needs() -> None:
    alerts = Alerts(PRESS, [POWER, VOLTAGE, LOST, PEAK])
    assert alerts.quantities == {"realPower", "voltageAN"}


# -- values ---------------------------------------------------------------------------


def test_thresholds_are_told_in_the_order_of_slots() -> None:
    alerts = Alerts(PRESS, [POWER, VOLTAGE])
    values = {
        "realPower": column(90, 90, 120, 90),
        "voltageAN": column(230, 200, NAN, 230),
    }
    _, events = alerts.on_values({}, slots(0, 1, 2, 3), values)
    assert summary(events) == [
        ("low", "raised", 1, None),
        ("power", "raised", 2, None),
        ("power", "cleared", 2, 3),
        ("low", "cleared", 1, 3),
    ]


def test_a_quantity_that_a_frame_does_not_have_changes_nothing() -> None:
    values = {"currentA": column(500)}
    assert Alerts(PRESS, [POWER]).on_values({}, slots(0), values) == ({}, [])


def test_the_state_that_was_taken_stays_as_it_was() -> None:
    state: AlertsState = {}
    Alerts(PRESS, [POWER]).on_values(state, slots(0), {"realPower": column(120)})
    assert state == {}


def test_an_inactive_threshold_needs_no_state() -> None:
    values = {"realPower": column(120, 90)}
    state, _ = Alerts(PRESS, [POWER]).on_values({}, slots(0, 1), values)
    assert state == {}


# -- communication --------------------------------------------------------------------


def test_lost_communication_is_raised_and_cleared() -> None:
    alerts = Alerts(PRESS, [LOST])
    events = told(
        lambda state: alerts.on_event(state, event("comm_back", 0)),
        lambda state: alerts.on_event(state, event("comm_lost", 10)),
        lambda state: alerts.on_event(state, event("comm_back", 40)),
    )
    assert summary(events) == [
        ("lost", "raised", 10, None),
        ("lost", "cleared", 10, 40),
    ]


def test_lost_communication_is_critical_where_the_rule_says_so() -> None:
    _, (raised,) = Alerts(PRESS, [LOST]).on_event({}, event("comm_lost", 10))
    assert (raised.severity, raised.text) == ("critical", "communication is lost")


def test_failed_slots_bring_a_delayed_loss_forward() -> None:
    alerts = Alerts(PRESS, [replace(LOST, delay_us=5)])
    state, early = alerts.on_event({}, event("comm_lost", 10))
    _, late = alerts.on_values(state, slots(13, 14, 15, 16), {})
    assert summary(early + late) == [("lost", "raised", 10, None)]


def test_a_loss_shorter_than_its_delay_is_not_told() -> None:
    alerts = Alerts(PRESS, [replace(LOST, delay_us=5)])
    events = told(
        lambda state: alerts.on_event(state, event("comm_lost", 10)),
        lambda state: alerts.on_event(state, event("comm_back", 14)),
    )
    assert events == []


# -- gaps -----------------------------------------------------------------------------

GAP = event("gap", 0, until=31 * SECOND_US, group="realtime")
GAP = replace(GAP, data={"cause": "missing", "count": "31"})


def test_a_long_gap_is_raised_and_cleared_at_once() -> None:
    _, events = Alerts(PRESS, [HOLE]).on_event({}, GAP)
    assert summary(events) == [
        ("hole", "raised", 0, None),
        ("hole", "cleared", 0, 31 * SECOND_US),
    ]


def test_a_long_gap_says_what_it_was() -> None:
    _, (raised, _) = Alerts(PRESS, [HOLE]).on_event({}, GAP)
    assert raised == Event(
        id=content_id(PRESS, "alert", "hole", 0, "realtime"),
        asset=PRESS,
        kind="alert",
        time=0,
        group="realtime",
        severity="warning",
        text="realtime missing for 31 s, longer than 30 s",
        data={
            "alert": "hole",
            "state": "raised",
            "kind": "gap",
            "value": "31",
            "limit": "30",
            "cause": "missing",
            "count": "31",
        },
    )


def test_the_end_of_a_gap_says_how_long_it_was() -> None:
    _, (_, cleared) = Alerts(PRESS, [HOLE]).on_event({}, GAP)
    assert (cleared.revision, cleared.text) == (1, "realtime is back after 31 s")


@pytest.mark.parametrize(
    "gap",
    [
        replace(GAP, until=30 * SECOND_US),
        replace(GAP, revision=1),
        replace(GAP, until=None),
    ],
)
def test_a_gap_that_is_short_or_told_before_or_open_says_nothing(gap: Event) -> None:
    assert Alerts(PRESS, [HOLE]).on_event({}, gap) == ({}, [])


FAILED = replace(GAP, until=90 * SECOND_US, data={"cause": "failed", "count": "90"})


def test_slots_that_fail_for_long_are_told_while_they_do() -> None:
    alerts = Alerts(PRESS, [HOLE])
    events = told(
        lambda state: alerts.on_failing(state, "realtime", 0, 30 * SECOND_US),
        lambda state: alerts.on_failing(state, "realtime", 0, 31 * SECOND_US),
        lambda state: alerts.on_failing(state, "realtime", 0, 40 * SECOND_US),
        lambda state: alerts.on_event(state, FAILED),
        lambda state: alerts.on_event(state, replace(FAILED, revision=1)),
    )
    assert summary(events) == [
        ("hole", "raised", 0, None),
        ("hole", "cleared", 0, 90 * SECOND_US),
    ]
    assert [(e.revision, e.text, e.group) for e in events] == [
        (0, "realtime failed for more than 30 s", "realtime"),
        (1, "realtime is back after 90 s", "realtime"),
    ]
    assert (
        events[0].id
        == events[1].id
        == content_id(PRESS, "alert", "hole", 0, "realtime")
    )


def test_groups_fail_each_by_itself() -> None:
    alerts = Alerts(PRESS, [HOLE])
    events = told(
        lambda state: alerts.on_failing(state, "realtime", 0, 40 * SECOND_US),
        lambda state: alerts.on_failing(state, "energy", 0, 40 * SECOND_US),
        lambda state: alerts.on_event(state, replace(FAILED, group="energy")),
    )
    assert [(e.group, e.data["state"]) for e in events] == [
        ("realtime", "raised"),
        ("energy", "raised"),
        ("energy", "cleared"),
    ]


def test_a_gap_that_was_told_is_cleared_though_its_limit_is_longer_now() -> None:
    state, _ = Alerts(PRESS, [HOLE]).on_failing({}, "realtime", 0, 40 * SECOND_US)
    longer = Alerts(PRESS, [replace(HOLE, longer_than_us=900 * SECOND_US)])
    after, (cleared,) = longer.on_event(state, FAILED)
    assert (after, cleared.data["state"]) == ({}, "cleared")


# -- frozen values --------------------------------------------------------------------


def frozen(quantity: str, time: int, until: int | None = None) -> Event:
    data = {"quantity": quantity}
    told = replace(event("frozen_value", time), data=data)
    return told if until is None else replace(told, until=until, revision=1)


def test_each_frozen_quantity_is_an_occurrence_of_its_own() -> None:
    alerts = Alerts(PRESS, [STILL])
    events = told(
        lambda state: alerts.on_event(state, frozen("currentA", 5)),
        lambda state: alerts.on_event(state, frozen("currentB", 5)),
        lambda state: alerts.on_event(state, frozen("currentA", 5, until=9)),
    )
    assert [(e.text, e.id) for e in events] == [
        ("currentA is frozen", content_id(PRESS, "alert", "still", 5, "currentA")),
        ("currentB is frozen", content_id(PRESS, "alert", "still", 5, "currentB")),
        ("currentA changes again", content_id(PRESS, "alert", "still", 5, "currentA")),
    ]


def test_a_rule_of_one_quantity_leaves_the_others() -> None:
    alerts = Alerts(PRESS, [replace(STILL, quantity="currentA")])
    assert alerts.on_event({}, frozen("currentB", 5)) == ({}, [])


def test_a_rule_of_one_quantity_needs_no_subject() -> None:
    alerts = Alerts(PRESS, [replace(STILL, quantity="currentA")])
    _, (raised,) = alerts.on_event({}, frozen("currentA", 5))
    assert raised.id == content_id(PRESS, "alert", "still", 5)


def test_slots_bring_a_delayed_frozen_value_forward() -> None:
    alerts = Alerts(PRESS, [replace(STILL, delay_us=5)])
    state, _ = alerts.on_event({}, frozen("currentA", 5))
    _, (raised,) = alerts.on_values(state, slots(9, 10), {})
    assert raised.id == content_id(PRESS, "alert", "still", 5, "currentA")


def test_another_kind_of_event_does_nothing() -> None:
    alerts = Alerts(PRESS, [LOST, HOLE, STILL])
    assert alerts.on_event({}, event("sequence_restart", 5)) == ({}, [])


# -- demand ---------------------------------------------------------------------------


def demand(forecast: float | None, interval: int = 900) -> Demand:
    return Demand(
        asset=PRESS, quantity="realPower", method="block", interval=interval, start=0,
        end=interval, value=70.0, quality=0, forecast=forecast,
    )  # fmt: skip


def test_a_forecast_over_the_limit_is_raised_until_it_is_back() -> None:
    alerts = Alerts(PRESS, [PEAK])
    events = told(
        lambda state: alerts.on_demand(state, demand(79), 10),
        lambda state: alerts.on_demand(state, demand(81), 20),
        lambda state: alerts.on_demand(state, demand(76), 30),
        lambda state: alerts.on_demand(state, demand(75), 40),
    )
    assert [(e.time, e.until, e.text) for e in events] == [
        (20, None, "realPower demand forecast 81 kW is above 80 kW"),
        (20, 40, "realPower demand forecast 75 kW is no longer above 80 kW"),
    ]


@pytest.mark.parametrize("forecast", [None, NAN])
def test_a_demand_without_a_forecast_says_nothing(forecast: float | None) -> None:
    assert Alerts(PRESS, [PEAK]).on_demand({}, demand(forecast), 10) == ({}, [])


def sliding(value: float, revision: int = 0) -> Demand:
    how = {"method": "sliding", "value": value, "revision": revision, "id": ""}
    return replace(demand(None), **how)  # type: ignore[arg-type]


def test_sliding_demand_itself_is_held_against_the_limit() -> None:
    alerts = Alerts(PRESS, [PEAK])
    events = told(
        lambda state: alerts.on_demand(state, sliding(81), 20),
        lambda state: alerts.on_demand(state, sliding(NAN), 30),
        lambda state: alerts.on_demand(state, sliding(75), 40),
    )
    assert [(e.time, e.until, e.text) for e in events] == [
        (20, None, "realPower sliding demand 81 kW is above 80 kW"),
        (20, 40, "realPower sliding demand 75 kW is no longer above 80 kW"),
    ]


def test_a_correction_of_sliding_demand_says_nothing() -> None:
    alerts = Alerts(PRESS, [PEAK])
    assert alerts.on_demand({}, sliding(81, revision=1), 20) == ({}, [])


def test_another_quantity_says_nothing() -> None:
    other = replace(demand(500), quantity="reactivePower", id="")
    assert Alerts(PRESS, [PEAK]).on_demand({}, other, 10) == ({}, [])


def test_blocks_of_another_length_are_occurrences_of_their_own() -> None:
    alerts = Alerts(PRESS, [PEAK])
    events = told(
        lambda state: alerts.on_demand(state, demand(81, 900), 10),
        lambda state: alerts.on_demand(state, demand(82, 3600), 10),
        lambda state: alerts.on_demand(state, demand(70, 900), 20),
    )
    assert [(e.data["state"], e.data["value"]) for e in events] == [
        ("raised", "81"),
        ("raised", "82"),
        ("cleared", "70"),
    ]


def test_a_forecast_is_over_once_demand_is_counted_in_another_way() -> None:
    alerts = Alerts(PRESS, [PEAK])
    events = told(
        lambda state: alerts.on_demand(state, demand(81), 20),
        lambda state: alerts.on_demand_change(state, "block", 900, 30),
        lambda state: alerts.on_demand_change(state, "sliding", 900, 40),
        lambda state: alerts.on_demand_change(state, "block", 900, 50),
    )
    assert [(e.time, e.until, e.revision, e.text) for e in events] == [
        (20, None, 0, "realPower demand forecast 81 kW is above 80 kW"),
        (20, 40, 1, "realPower: demand is counted in another way"),
    ]
    assert events[0].id == events[1].id


def test_a_forecast_that_was_only_waited_for_ends_without_a_word() -> None:
    alerts = Alerts(PRESS, [replace(PEAK, delay_us=100)])
    state, _ = alerts.on_demand({}, demand(81), 20)
    assert alerts.on_demand_change(state, "block", 60, 30) == ({}, [])


def test_a_forecast_that_was_back_already_ends_when_it_was_back() -> None:
    alerts = Alerts(PRESS, [replace(PEAK, clear_delay_us=100)])
    _, over = told(
        lambda state: alerts.on_demand(state, demand(81), 20),
        lambda state: alerts.on_demand(state, demand(70), 30),
        lambda state: alerts.on_demand_change(state, "block", 60, 40),
    )
    assert over.until == 30


# -- reconciliation -------------------------------------------------------------------


def energy(start: int, verdict: str, quantity: str = "energyImport") -> Energy:
    return Energy(
        asset=PRESS, quantity=quantity, start=start, end=start + 900, energy=12.5,
        substituted=0.0, integral=11.0, budget=0.25, verdict=verdict, quality=0,
        reason="low",
    )  # fmt: skip


def test_energy_that_differs_is_raised_until_it_agrees() -> None:
    alerts = Alerts(PRESS, [COUNTER])
    events = told(
        lambda state: alerts.on_energy(state, energy(0, "agrees")),
        lambda state: alerts.on_energy(state, energy(900, "differs")),
        lambda state: alerts.on_energy(state, energy(1800, "unknown")),
        lambda state: alerts.on_energy(state, energy(2700, "differs")),
        lambda state: alerts.on_energy(state, energy(3600, "agrees")),
    )
    assert summary(events) == [
        ("counter", "raised", 900, None),
        ("counter", "cleared", 900, 3600),
    ]


def test_energy_that_differs_says_both_sides() -> None:
    _, (raised,) = Alerts(PRESS, [COUNTER]).on_energy({}, energy(0, "differs"))
    assert raised.text == (
        "energyImport: the counter gives 12.5 kWh, the measured power 11 kWh; "
        "they may differ by 0.25 kWh"
    )


def test_energy_that_differs_keeps_its_numbers() -> None:
    _, (raised,) = Alerts(PRESS, [COUNTER]).on_energy({}, energy(0, "differs"))
    assert raised.data == {
        "alert": "counter",
        "state": "raised",
        "kind": "reconciliation",
        "quantity": "energyImport",
        "value": "12.5",
        "integral": "11",
        "limit": "0.25",
        "reason": "low",
    }


def test_an_interval_counts_for_as_long_as_it_lasts() -> None:
    alerts = Alerts(PRESS, [replace(COUNTER, delay_us=1800)])
    state, first = alerts.on_energy({}, energy(0, "differs"))
    _, second = alerts.on_energy(state, energy(900, "differs"))
    assert (first, summary(second)) == ([], [("counter", "raised", 0, None)])


def test_an_interval_that_is_corrected_takes_its_alert_back() -> None:
    alerts = Alerts(PRESS, [COUNTER])
    state, _ = alerts.on_energy({}, energy(900, "differs"))
    _, events = alerts.on_energy(state, replace(energy(900, "agrees"), revision=1))
    assert summary(events) == [("counter", "cleared", 900, 900)]


def test_an_older_interval_that_is_corrected_changes_nothing() -> None:
    alerts = Alerts(PRESS, [COUNTER])
    state, _ = alerts.on_energy({}, energy(900, "differs"))
    assert alerts.on_energy(state, energy(0, "agrees")) == (state, [])


# -- state ----------------------------------------------------------------------------


def test_alerts_of_a_quantity_that_is_measured_no_more_are_over() -> None:
    alerts = Alerts(PRESS, [STILL, COUNTER, PEAK])
    ceased = ("voltageAN", "energyImport", "realPower")
    events = told(
        lambda state: alerts.on_event(state, frozen("voltageAN", 10)),
        lambda state: alerts.on_event(state, frozen("voltageBN", 10)),
        lambda state: alerts.on_energy(state, energy(10, "differs")),
        lambda state: alerts.on_demand(state, demand(81), 20),
        lambda state: alerts.on_ceased(state, ceased, 5000),
        lambda state: alerts.on_ceased(state, ceased, 6000),
        # What was still to be told of the time before raises nothing.
        lambda state: alerts.on_energy(state, energy(2000, "differs")),
    )
    over = [e for e in events if e.until is not None]
    assert {(e.data["alert"], e.data["quantity"], e.until) for e in over} == {
        ("still", "voltageAN", 5000),
        ("counter", "energyImport", 5000),
        ("peak", "realPower", 5000),
    }
    assert len(events) == 7


def test_a_state_is_kept_as_plain_tuples() -> None:
    alerts = Alerts(PRESS, [LOST])
    state, _ = alerts.on_event({}, event("comm_lost", 10))
    assert alerts.to_snapshot(state) == (
        1,
        ("lost", "comm_lost", None, "", 10, True, None, 10, 0),
    )


def test_a_rule_that_is_gone_is_dropped() -> None:
    before = Alerts(PRESS, [LOST, POWER])
    state, _ = before.on_event({}, event("comm_lost", 10))
    state, _ = before.on_values(state, slots(11), {"realPower": column(120)})
    after = Alerts(PRESS, [POWER, VOLTAGE])
    assert after.from_snapshot(before.to_snapshot(state)) == {
        ("power", ""): Occurrence(since_us=11, raised=True, told_us=11)
    }


@pytest.mark.parametrize(
    "other",
    [
        replace(POWER, quantity="currentA"),
        AlertRule(name="power", kind="frozen", quantity="realPower"),
        replace(POWER, assets="plant/hall2/*"),
    ],
)
def test_a_rule_about_something_else_starts_anew(other: AlertRule) -> None:
    before = Alerts(PRESS, [POWER])
    state, _ = before.on_values({}, slots(11), {"realPower": column(120)})
    snapshot = before.to_snapshot(state)
    assert Alerts(PRESS, [other]).from_snapshot(snapshot) == {}


def test_another_limit_goes_on_with_the_occurrence() -> None:
    before = Alerts(PRESS, [POWER])
    state, _ = before.on_values({}, slots(11), {"realPower": column(120)})
    after = Alerts(PRESS, [replace(POWER, above=150)])
    restored = after.from_snapshot(before.to_snapshot(state))
    _, events = after.on_values(restored, slots(12), {"realPower": column(120)})
    assert summary(events) == [("power", "cleared", 11, 12)]


def test_another_version_of_the_state_is_refused() -> None:
    with pytest.raises(ValueError, match="an alerts snapshot of version 9 is not"):
        Alerts(PRESS, []).from_snapshot((9,))


def test_an_alert_can_be_written_and_read() -> None:
    _, (raised,) = Alerts(PRESS, [LOST]).on_event({}, event("comm_lost", 10))
    assert decode_record(raised.encode()) == raised


RULES = [
    replace(POWER, delay_us=3, clear_delay_us=2),
    replace(VOLTAGE, hysteresis=3),
    replace(LOST, delay_us=2),
]
ALERTS = Alerts(PRESS, RULES)
powers = st.sampled_from([90.0, 100.0, 101.0, 120.0, NAN])
voltages = st.sampled_from([200.0, 208.0, 210.0, 230.0, NAN])


@settings(max_examples=100)
@given(
    st.lists(st.tuples(powers, voltages), max_size=25),
    st.integers(0, 25),
    st.sampled_from([-1, 0, 1, 2, 5]),
)
def test_batches_and_restarts_change_no_alert(
    rows: list[tuple[float, float]], cut: int, lost_us: int
) -> None:
    start, _ = ALERTS.on_event({}, event("comm_lost", lost_us))
    at_us = slots(*range(len(rows)))
    real = column(*(row[0] for row in rows))
    volts = column(*(row[1] for row in rows))

    def part(
        state: AlertsState, begin: int, end: int
    ) -> tuple[AlertsState, list[Event]]:
        values = {"realPower": real[begin:end], "voltageAN": volts[begin:end]}
        return ALERTS.on_values(state, at_us[begin:end], values)

    whole = part(start, 0, len(rows))
    state, first = part(start, 0, cut)
    restored = ALERTS.from_snapshot(ALERTS.to_snapshot(state))
    state, second = part(restored, cut, len(rows))
    assert (state, first + second) == whole
