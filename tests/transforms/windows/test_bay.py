"""Laws of the windows: what is told follows from the frames that came."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transforms.windows.oracle import Fact
from tests.transforms.windows.runs import (
    BAD,
    HOUR,
    KINDS,
    MINUTE,
    NINE,
    SECOND,
    SECONDS,
    Kind,
    Site,
    Told,
    cut,
    cuts,
    final,
    is_right,
    last_hours,
    late_runs,
    ledgers,
    seconds,
    site_and_frames,
    slots_of,
    told_of,
    with_lanes,
)
from transforms.codec.records import Event
from transforms.ledger import ledger_hours

few = settings(max_examples=40)


@given(site_and_frames)
@few
def test_windows_are_those_of_the_oracle(run: tuple[Site, list[Fact]]) -> None:
    site, facts = run
    assert is_right(told_of(site, [facts]), site, facts)


@given(late_runs(), cuts)
@settings(max_examples=80)
def test_late_frames_correct_the_windows(
    run: tuple[Site, list[Fact]], places: list[int]
) -> None:
    site, facts = run
    assert is_right(told_of(site, cut(facts, places)), site, facts)


@given(late_runs())
@few
def test_the_ledger_counts_late_frames(run: tuple[Site, list[Fact]]) -> None:
    site, facts = run
    told = told_of(site, [facts])
    for lane in range(3):
        expected = ledgers(facts, lane).hours
        found = last_hours(told, lane)
        assert found.keys() == expected.keys()
        assert [(h.due, h.good, h.missing) for h in found.values()] == [
            (h.due, h.good, h.missing) for h in expected.values()
        ]


@given(
    site_and_frames,
    st.lists(st.tuples(st.integers(-90, 3000), st.sampled_from(KINDS)), max_size=9),
)
@few
def test_frames_beyond_correction_are_in_the_ledger_alone(
    run: tuple[Site, list[Fact]], more: list[tuple[int, Kind]]
) -> None:
    site, facts = run
    stragglers = _beyond(site, facts, more)
    told = told_of(site, [facts, stragglers])
    assert is_right(told, site, facts)
    found = last_hours(told, 0)
    expected = ledger_hours(
        "plant/hall/meter0", "realtime", ledgers([*facts, *stragglers], 0)
    )
    assert [replace(hour, revision=0) for hour in found.values()] == list(expected)


def _beyond(site: Site, facts: list[Fact], more: list[tuple[int, Kind]]) -> list[Fact]:
    """Frames of lane 0 that are older than what is corrected, and nobody's duplicate."""
    own = [fact.slot for fact in facts if fact.lane == 0]
    cell = with_lanes(site.bay()).cells.cell_us
    found = {number: site.fact(0, number, kind) for number, kind in more}
    return [
        fact
        for fact in found.values()
        if fact.slot not in own
        and (fact.slot // cell + 1) * cell <= max(own) - site.reach
    ]


@given(st.data(), site_and_frames)
@settings(max_examples=60)
def test_one_bad_frame_more_never_makes_a_window_better(
    data: st.DataObject, run: tuple[Site, list[Fact]]
) -> None:
    site, facts = run
    number = data.draw(st.integers(-5, 100))
    worse = site.fact(0, number, BAD)
    before_it = [f.quality for f in facts if (f.lane, f.slot) == (0, worse.slot)]
    for quality in before_it:
        worse = worse._replace(
            quality=tuple(map(max, zip(worse.quality, quality, strict=True)))
        )
    others = [fact for fact in facts if (fact.lane, fact.slot) != (0, worse.slot)]
    with_it = told_of(site, [sorted([*others, worse], key=lambda f: f.slot)])
    without = told_of(site, [facts])
    for length in site.lengths:
        before, after = final(without, 0, length), final(with_it, 0, length)
        assert before.keys() <= after.keys()
        for start, window in before.items():
            codes = zip(window[3], after[start][3], strict=True)
            assert all(new >= old for old, new in codes)


@given(st.data(), site_and_frames)
@few
def test_one_bad_reading_never_makes_a_window_better(
    data: st.DataObject, run: tuple[Site, list[Fact]]
) -> None:
    site, facts = run
    number = data.draw(st.integers(0, len(facts) - 1))
    code = data.draw(st.sampled_from([2, 6, 100, 101, 105]))
    old = facts[number]
    quality = (max(code, old.quality[0]), *old.quality[1:])
    changed = [*facts[:number], old._replace(quality=quality), *facts[number + 1 :]]
    before, after = told_of(site, [facts]), told_of(site, [changed])
    for length in site.lengths:
        own, other = final(before, old.lane, length), final(after, old.lane, length)
        assert own.keys() == other.keys()
        for start, window in own.items():
            codes = zip(window[3], other[start][3], strict=True)
            assert all(new >= was for was, new in codes)


def _told(facts: list[Fact]) -> Told:
    return told_of(SECONDS, [facts])


def _due_and_good(told: Told, length: int) -> dict[int, tuple[int, int]]:
    """By the seconds after nine at which the windows begin."""
    found = final(told, 0, length)
    return {(start - NINE) // SECOND: (w[1], w[2]) for start, w in found.items()}


def test_a_late_frame_counts_once_in_windows_that_are_open() -> None:
    told = _told(seconds(range(5), range(6, 10), 25, 5, 70))
    assert _due_and_good(told, MINUTE) == {0: (60, 11), 60: (11, 1)}
    assert _due_and_good(told, 15 * MINUTE) == {0: (71, 12)}


def test_a_late_frame_behind_the_open_window_leaves_that_whole() -> None:
    told = _told(seconds(range(10), 200, 65, 35, 300))
    expected = {0: (60, 11), 60: (60, 1), 180: (60, 1), 300: (1, 1)}
    assert _due_and_good(told, MINUTE) == expected


def test_a_late_frame_closes_what_is_over() -> None:
    told = _told(seconds(range(10), 1000, 1200, 500, 2500))
    expected = {0: (900, 11), 900: (900, 2), 1800: (701, 1)}
    assert _due_and_good(told, 15 * MINUTE) == expected


def test_a_frame_before_the_first_corrects_what_was_due_with_that() -> None:
    told = _told(seconds(range(15, 25), 40, 5, 60))
    assert _due_and_good(told, 10 * SECOND)[10] == (10, 5)


def test_the_second_frame_of_a_lane_may_be_late() -> None:
    told = _told(seconds(1000, 5, 1001))
    assert _due_and_good(told, 15 * MINUTE) == {0: (895, 1), 900: (102, 2)}


def test_windows_of_the_end_are_due_up_to_the_last_frame() -> None:
    told = _told(seconds(range(65)))
    assert _due_and_good(told, 10 * SECOND)[60] == (5, 5)
    assert _due_and_good(told, 15 * MINUTE) == {0: (65, 65)}


def test_a_day_without_an_hour_has_fewer_slots() -> None:
    day = 24 * HOUR
    site = replace(
        SECONDS, period=MINUTE, lengths=(day,), start=1_774_738_800_000_000
    )  # 2026-03-29, 0:00 in Berlin
    told = told_of(site, [[site.fact(0, 0), site.fact(0, 1), site.fact(0, 2000)]])
    (window,) = [w for s, w in final(told, 0, day).items() if s == site.start]
    assert (window[0] - site.start, window[1]) == (23 * HOUR, 23 * 60)


def test_windows_of_a_clock_that_was_off_are_uncertain_also_of_late_frames() -> None:
    told = Told()
    bay = with_lanes(SECONDS.bay())
    bay.clock_off.append((NINE + 40 * SECOND, NINE + 45 * SECOND))
    told.add(
        bay,
        bay.take(slots_of(seconds(range(30), range(60, 75), range(40, 50)), range(3))),
    )
    quality = {
        (start - NINE) // SECOND: w[3]
        for start, w in final(told, 0, 10 * SECOND).items()
    }
    assert quality == {
        0: [0, 0, 0],
        10: [0, 0, 0],
        20: [0, 0, 0],
        40: [5, 5, 5],
        60: [0, 0, 0],
    }


def test_a_gap_of_failed_slots_is_told_with_the_next_answer() -> None:
    bay = with_lanes(SECONDS.bay())
    frames = [SECONDS.fact(0, 9, BAD), *seconds(range(10, 23))]
    told = bay.take(slots_of([*seconds(range(9)), *frames], range(3))).records
    assert [(e.kind, e.time, e.until) for e in told if isinstance(e, Event)] == [
        ("gap", NINE + 9 * SECOND, NINE + 10 * SECOND)
    ]


def test_a_status_that_stands_for_no_frame_does_not_raise() -> None:
    facts = [fact._replace(status=255) for fact in seconds(range(15), 3)]
    told = _told(facts)
    assert _due_and_good(told, MINUTE) == {0: (15, 0)}
    assert told.counts["duplicate"] == 1
