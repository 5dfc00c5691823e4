from __future__ import annotations

import math

import pytest

from tests.transforms.energy.kit import MINUTE_US, SECOND_US, Run, rules
from transforms.energy.intervals import (
    NEW,
    PowerMinute,
    flush,
    from_snapshot,
    pending_wh,
    power,
    to_snapshot,
)
from transforms.model.quality import Quality


def counted(run: Run, start: int, end: int, first_wh: int = 53_000_000) -> None:
    """A reading every 10 s at 36 kW, slots ``start`` to ``end`` in seconds."""
    for at in range(start, end + 1, 10):
        run.read(at, first_wh + (at - start) * 10)


def test_an_interval_is_told_by_the_reading_at_its_end() -> None:
    run = Run(rules())
    counted(run, 600, 650)
    assert run.energies == []
    run.read(660, 53_000_600)
    assert [(e.start, e.energy) for e in run.energies] == [(600 * SECOND_US, 0.6)]


def test_an_interval_waits_for_its_power() -> None:
    run = Run(rules())
    run.power(9, 36.0)
    counted(run, 600, 660)
    assert run.energies == []
    run.power(10, 36.0)
    assert [e.integral for e in run.energies] == [0.6]


def test_power_that_is_five_minutes_late_gives_a_revision() -> None:
    run = Run(rules())
    run.power(9, 36.0)
    counted(run, 600, 970)
    first = run.energies[0]
    assert (first.revision, first.verdict, first.reason) == (0, "unknown", "no_power")
    run.power(10, 36.0)
    again = run.energies[0]
    assert (again.id, again.revision, again.verdict) == (first.id, 1, "agrees")


def test_power_of_an_interval_long_told_is_too_late() -> None:
    run = Run(rules())
    run.power(9, 36.0)
    counted(run, 600, 4_900)
    told = len(run.out)
    run.power(10, 36.0)
    assert len(run.out) == told


def test_a_minute_that_came_before_counts_once() -> None:
    run = Run(rules())
    counted(run, 600, 650)
    run.power(10, 36.0)
    run.power(10, 36.0)
    run.read(660, 53_000_600)
    assert [e.integral for e in run.energies] == [0.6]


def test_power_that_is_no_number_is_a_gap() -> None:
    run = Run(rules())
    counted(run, 600, 660)
    minute = PowerMinute(
        600 * SECOND_US, 660 * SECOND_US, math.nan, MINUTE_US, math.nan
    )
    run.state, told = power(run.rules, run.state, minute)
    assert told == []


def test_an_interval_waits_while_a_reading_is_held() -> None:
    run = Run(rules())
    counted(run, 600, 650)
    run.read(660, 0)
    run.read(670, 0)
    assert run.energies == []
    run.read(680, 53_000_800)
    assert [e.energy for e in run.energies] == [0.6]


def test_more_than_a_month_without_readings_makes_one_record_of_its_middle() -> None:
    run = Run(rules(900))
    counted(run, 600, 900)
    run.read(900 + 40 * 86_400, 53_000_000 + 40 * 86_400 * 10)
    run.read(930 + 40 * 86_400, 53_000_000 + 40 * 86_400 * 10 + 600)
    run.read(1_800 + 40 * 86_400, 53_000_000 + 40 * 86_400 * 10 + 9_000)
    lengths = [(e.end - e.start) // SECOND_US for e in run.energies]
    assert lengths == [300, 900, 40 * 86_400 - 1_800, 900, 900]
    assert pending_wh(run.state) == 0


def test_a_day_without_readings_is_told_interval_by_interval() -> None:
    run = Run(rules(900))
    counted(run, 900, 1_800)
    run.read(1_800 + 86_400, 53_009_000 + 864_000)
    assert [e.energy for e in run.energies[1:]] == [9.0] * 96
    assert {e.substituted for e in run.energies[1:]} == {9.0}


def test_nothing_is_known_where_a_swap_hides_it() -> None:
    run = Run(rules())
    counted(run, 600, 650)
    run.change(700, "meter_swap")
    run.read(840, 12_000)
    run.read(850, 12_100)
    assert [(e.energy, e.quality) for e in run.energies] == [
        (0.5, Quality.UNCERTAIN_INCOMPLETE),
        (0.0, Quality.BAD_COUNTER),
        (0.0, Quality.BAD_COUNTER),
        (0.0, Quality.BAD_COUNTER),
    ]


def test_readings_at_the_bounds_stand_in_the_record() -> None:
    run = Run(rules())
    counted(run, 600, 660)
    told = run.energies[0]
    assert (told.counterStart, told.counterEnd) == (53_000.0, 53_000.6)


def test_an_interval_in_a_hole_lies_between_the_readings_around_it() -> None:
    run = Run(rules())
    counted(run, 600, 650)
    run.read(800, 53_002_000)
    told = run.energies[1]
    assert (told.counterStart, told.counterEnd) == (53_000.5, 53_002.0)


def test_a_flush_tells_what_has_not_ended() -> None:
    run = Run(rules())
    counted(run, 600, 690)
    run.state, out = flush(run.rules, run.state)
    run.out += out
    last = run.energies[-1]
    assert (last.energy, last.reason) == (0.3, "ends_early,no_power")
    assert last.quality == Quality.UNCERTAIN_INCOMPLETE
    assert flush(run.rules, run.state) == (run.state, [])


def test_what_goes_on_after_a_flush_is_told_again() -> None:
    run = Run(rules())
    counted(run, 600, 690)
    run.state, out = flush(run.rules, run.state)
    run.out += out
    for at in (700, 710, 720):
        run.read(at, 53_000_000 + (at - 600) * 10)
    last = run.energies[-1]
    assert (last.energy, last.revision, last.reason) == (0.6, 1, "no_power")


def test_a_change_of_ratio_before_any_reading_changes_nothing() -> None:
    run = Run(rules())
    run.change(600, "ct_change")
    assert run.state == NEW


def test_no_interval_is_lost_where_more_ratios_change_than_are_kept() -> None:
    run = Run(rules(900))
    counted(run, 870, 890)
    run.change(1_000, "ct_change")
    run.power(15, 36.0)
    for at in range(1_010, 1_090, 10):
        run.change(at, "ct_change")
    counted(run, 1_100, 1_800, first_wh=53_002_300)
    run.power(29, 36.0)
    starts = [870, 900, 1_000, 1_010, 1_020, 1_030, 1_040, 1_050, 1_060, 1_070, 1_080]
    assert [e.start // SECOND_US for e in run.energies] == starts
    assert sum(e.energy for e in run.energies) == pytest.approx(9.3)


def test_counters_of_one_meter_have_events_of_their_own() -> None:
    ids = set()
    for quantity in ("energyImport", "energyExport"):
        run = Run(rules(quantity=quantity))
        counted(run, 600, 650)
        run.read(660, 0)
        run.read(670, 53_000_700)
        ids |= {event.id for event in run.events}
    assert len(ids) == 2


def test_a_longer_period_makes_no_hole() -> None:
    run = Run(rules())
    counted(run, 600, 650)
    run.period_us = 20 * SECOND_US
    run.read(670, 53_000_700)
    assert [e.substituted for e in run.energies] == [0.0]


def test_little_is_kept_after_a_day() -> None:
    run = Run(rules(900))
    counted(run, 0, 86_400)
    assert len(run.state.intervals) <= 5


def test_a_snapshot_gives_the_same_state() -> None:
    run = Run(rules())
    run.power(9, 36.0)
    counted(run, 600, 655)
    run.read(675, 53_000_800)
    run.read(685, 0)
    assert run.state.spans != ()
    assert from_snapshot(to_snapshot(run.state)) == run.state


def test_a_snapshot_of_another_version_is_refused() -> None:
    with pytest.raises(
        ValueError, match="an energy snapshot of version 9 is not known"
    ):
        from_snapshot((9, *to_snapshot(NEW)[1:]))
