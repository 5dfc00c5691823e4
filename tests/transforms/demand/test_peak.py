from __future__ import annotations

from tests.transforms.demand.minutes import (
    MINUTE,
    T0,
    demands,
    events,
    minute,
    rules,
    run,
    steady,
    us,
)
from transforms.codec.record import content_id
from transforms.codec.records import Event
from transforms.demand.machine import (
    START,
    change,
    flush,
    from_snapshot,
    to_snapshot,
)

MAY = us("2026-05-01T00:00+02:00")
JUNE = us("2026-06-01T00:00+02:00")


def peaks(told: list[Event]) -> list[tuple[int, str, int]]:
    return [((e.time - T0) // MINUTE, e.data["value"], e.revision) for e in told]


def covered(told: list[Event]) -> list[tuple[str, str]]:
    return [(e.data["value"], e.data["covered_percent"]) for e in told]


def test_the_first_whole_block_is_the_peak_so_far() -> None:
    _, told = run(rules(), steady(0, [10, 20, 30, 40, 50, 0]))
    assert events(told) == [
        Event(
            asset="press",
            kind="demand_peak",
            time=T0,
            until=T0 + 5 * MINUTE,
            severity="info",
            text="peak demand of the billing period: realPower 30 kW",
            data={
                "quantity": "realPower",
                "method": "block",
                "interval": str(5 * MINUTE),
                "value": "30.0",
                "unit": "kW",
                "period_start": "2026-04-30T22:00:00Z",
                "period_end": "2026-05-31T22:00:00Z",
                "covered_percent": "100.0",
            },
            revision=0,
            id=content_id("press", "demand_peak", "realPower", MAY),
        )
    ]


def test_a_higher_block_is_the_next_revision() -> None:
    _, told = run(rules(), steady(0, [10] * 5 + [30] * 5 + [20] * 5 + [0]))
    assert peaks(events(told)) == [(0, "10.0", 0), (5, "30.0", 1)]


def test_of_equal_blocks_the_first_is_the_peak() -> None:
    _, told = run(rules(), steady(0, [10] * 11))
    assert peaks(events(told)) == [(0, "10.0", 0)]


def test_a_current_has_its_peak_too() -> None:
    _, told = run(rules(), steady(0, [10] * 6))
    assert [e.data["unit"] for e in events(told, "currentB")] == ["A"]


def test_a_failed_poll_does_not_hide_the_peak() -> None:
    minutes = [*steady(0, [90] * 4), minute(4, 90, seconds=59.0), minute(5, 0)]
    _, told = run(rules(), minutes)
    assert covered(events(told)) == [("90.0", "99.7")]


def test_a_block_covered_by_nine_tenths_makes_a_peak() -> None:
    minutes = [*steady(0, [90] * 4), minute(4, 90, seconds=30.0), minute(5, 0)]
    _, told = run(rules(), minutes)
    assert covered(events(told)) == [("90.0", "90.0")]


def test_a_block_covered_by_less_makes_none() -> None:
    minutes = [*steady(0, [90] * 4), minute(4, 90, seconds=29.99), minute(5, 0)]
    _, told = run(rules(), minutes)
    assert events(told) == []


def test_a_first_block_that_was_partly_seen_makes_no_peak() -> None:
    _, told = run(rules(minutes=15), steady(2, [90] * 13 + [0]))
    assert events(told) == []


def test_a_first_block_of_which_nearly_all_was_seen_makes_a_peak() -> None:
    _, told = run(rules(minutes=15), steady(1, [90] * 14 + [0]))
    assert covered(events(told)) == [("90.0", "93.3")]


def test_a_block_that_was_cut_is_measured_by_the_whole_interval() -> None:
    state, _ = run(rules(), steady(0, [90] * 4))
    _, _, told = change(rules(), state, "block", 5 * MINUTE, T0 + 4 * MINUTE)
    assert events(told) == []


def test_a_block_after_a_change_is_measured_by_the_whole_interval() -> None:
    own, state, _ = change(rules(), START, "block", 15 * MINUTE, T0 + MINUTE)
    _, told = run(own, steady(1, [90] * 14 + [0]), state)
    assert covered(events(told)) == [("90.0", "93.3")]


def test_a_block_that_is_covered_better_is_told_again() -> None:
    state, _ = run(rules(minutes=15), [*steady(2, [90] * 14), minute(1, 90.0)])
    _, told = run(rules(minutes=15), [minute(0, 90.0)], state)
    assert covered(events(told)) == [("90.0", "100.0")]


def test_a_cover_that_grows_alone_is_told_of_the_peak_alone() -> None:
    holed = [*steady(0, [90] * 13), minute(15, 0.0), minute(13, 90.0, seconds=30.0)]
    state, _ = run(rules(minutes=15), holed)
    _, told = run(rules(minutes=15), [minute(13, 90.0)], state)
    found = [(type(r), r.revision) for r in told if r in demands(told) + events(told)]
    assert (found, covered(events(told))) == ([(Event, 1)], [("90.0", "93.3")])


def test_a_minute_of_uncertain_completeness_makes_a_peak() -> None:
    minutes = [*steady(0, [90] * 4), minute(4, 90, code=7), minute(5, 0)]
    _, told = run(rules(), minutes)
    assert covered(events(told)) == [("90.0", "100.0")]


def test_another_uncertain_code_makes_a_peak() -> None:
    minutes = [*steady(0, [90] * 4), minute(4, 90, code=5), minute(5, 0)]
    _, told = run(rules(), minutes)
    assert peaks(events(told)) == [(0, "90.0", 0)]


def test_a_block_filled_late_is_the_peak() -> None:
    state, _ = run(rules(), [*steady(0, [10] * 4), minute(5, 0)])
    _, told = run(rules(), [minute(4, 10.0)], state)
    assert peaks(events(told)) == [(0, "10.0", 0)]


def test_a_peak_corrected_below_another_gives_way() -> None:
    state, _ = run(rules(), steady(0, [20] * 5 + [30] * 5 + [0]))
    _, told = run(rules(), [minute(9, -30.0)], state)
    assert peaks(events(told)) == [(0, "20.0", 2)]


def test_a_flushed_block_that_is_whole_is_a_peak() -> None:
    state, _ = run(rules(), steady(0, [10] * 5))
    _, told = flush(rules(), state)
    assert peaks(events(told)) == [(0, "10.0", 0)]


def test_a_new_period_begins_anew() -> None:
    first = JUNE - 5 * MINUTE
    _, told = run(rules(), steady(0, [30] * 5 + [20] * 5 + [0], first))
    found = [(e.time - JUNE, e.data["value"], e.revision) for e in events(told)]
    assert found == [(-5 * MINUTE, "30.0", 0), (0, "20.0", 0)]


def test_a_period_may_begin_on_another_day() -> None:
    own = rules()._replace(billing_first_day=4)
    _, told = run(own, steady(0, [10] * 6))
    assert events(told)[0].data["period_start"] == "2026-05-03T22:00:00Z"


def test_two_periods_are_kept() -> None:
    state = run(rules(), steady(0, [10] * 6, MAY))[0]
    state = run(rules(), steady(0, [10] * 6, JUNE), state)[0]
    july = us("2026-07-01T00:00+02:00")
    state = run(rules(), steady(0, [10] * 6, july), state)[0]
    found = [p.start_us for p in state.peaks if p.quantity == "realPower"]
    assert found == [JUNE, july]


def test_slides_of_a_partly_seen_interval_make_no_peak() -> None:
    _, told = run(rules("sliding", 15), steady(0, [90] * 13 + [10]))
    assert covered(events(told)) == [("84.28571428571429", "93.3")]


def test_a_slide_is_a_peak() -> None:
    _, told = run(rules("sliding"), steady(0, [10, 10, 10, 10, 10, 20, 10]))
    assert peaks(events(told)) == [(0, "10.0", 0), (1, "12.0", 1)]


def test_a_peak_of_before_a_change_of_ratio_does_not_stand_for_what_follows() -> None:
    state, before = run(rules(), steady(0, [1000] * 5 + [0]))
    own, state, _ = change(rules(), state, "block", 5 * MINUTE, T0 + 7 * MINUTE)
    _, after = run(own, steady(10, [100] * 6), state)
    (first,), (later,) = events(before), events(after)
    assert (first.data["value"], first.revision) == ("1000.0", 0)
    assert (later.data["value"], later.revision) == ("100.0", 0)
    assert (first.id, later.id) == (
        content_id("press", "demand_peak", "realPower", MAY),
        content_id(
            "press", "demand_peak", "realPower", MAY,
            "block", 5 * MINUTE, T0 + 7 * MINUTE,
        ),
    )  # fmt: skip
    assert "series_start" not in first.data
    assert later.data["series_start"] == "2026-05-04T08:07:00Z"


def test_demands_of_another_interval_have_a_peak_of_their_own() -> None:
    state, _ = run(rules(minutes=1), steady(0, [90, 0]))
    own, state, _ = change(
        rules(minutes=1), state, "block", 15 * MINUTE, T0 + 15 * MINUTE
    )
    _, after = run(own, steady(15, [40] * 16), state)
    found = [(e.data["value"], e.data["interval"]) for e in events(after)]
    assert found == [("40.0", str(15 * MINUTE))]


def test_slides_of_after_a_change_have_a_peak_of_their_own() -> None:
    own = rules("sliding", 15)
    state, _ = run(own, steady(0, [90] * 15))
    own, state, _ = change(own, state, "sliding", 15 * MINUTE, T0 + 15 * MINUTE)
    _, after = run(own, steady(15, [10] * 15), state)
    found = [(e.data["method"], e.data["value"], e.revision) for e in events(after)]
    assert found[0] == ("sliding", "10.0", 0)


def test_a_block_of_before_a_change_is_corrected_in_its_own_peak() -> None:
    own = rules(minutes=15)
    state, _ = run(own, steady(0, [100] * 14))
    own, state, _ = change(own, state, "block", 15 * MINUTE, T0 + 14 * MINUTE)
    state, _ = run(own, [minute(14, 1.0)], state)
    _, told = run(own, [minute(4, 240.0)], state)
    (event,) = events(told)
    assert (event.data["value"], event.revision) == ("110.0", 1)
    assert event.id == content_id("press", "demand_peak", "realPower", MAY)


def test_a_change_before_all_demands_of_a_period_leaves_the_id_as_it_is() -> None:
    own, state, _ = change(rules(), START, "block", 15 * MINUTE, T0 - MINUTE)
    _, told = run(own, steady(0, [10] * 16), state)
    (event,) = events(told)
    assert event.id == content_id("press", "demand_peak", "realPower", MAY)


def test_changes_without_end_take_no_more_room() -> None:
    own, state = rules(), START
    for place in range(0, 600, 6):
        state, _ = run(own, steady(place, [10] * 6), state)
        at_us = T0 + (place + 6) * MINUTE
        own, state, _ = change(own, state, "block", 5 * MINUTE, at_us)
    assert len([p for p in state.peaks if p.quantity == "realPower"]) == 4


def test_a_peak_of_the_former_version_of_the_state_goes_on() -> None:
    state, _ = run(rules(), steady(0, [30] * 5 + [0]))
    _, blocks, slides, peaks, since_us = to_snapshot(state)
    former = (1, blocks, slides, tuple((*p[:3], *p[5:]) for p in peaks), since_us)
    _, told = run(rules(), steady(10, [50] * 6), from_snapshot(former))
    (event,) = events(told)
    assert (event.data["value"], event.revision) == ("50.0", 1)
    assert event.id == content_id("press", "demand_peak", "realPower", MAY)
