from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.calendar import DAY_US, Calendar, problem_with_length

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
ZONES = [
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "America/St_Johns",
    "UTC",
]
CALENDARS = [Calendar(zone) for zone in ZONES]
BERLIN = Calendar("Europe/Berlin")
LENGTHS = [
    SECOND,
    8 * SECOND,
    MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    20 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    24 * HOUR,
]


def us(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp()) * SECOND


def utc(time_us: int) -> str:
    return f"{datetime.fromtimestamp(time_us // SECOND, UTC):%d %H:%M}"


def wall(time_us: int, zone: str) -> datetime:
    return datetime.fromtimestamp(time_us // SECOND, ZoneInfo(zone))


def bounds(calendar: Calendar, first: str, last: str, length_us: int) -> list[str]:
    out, at = [], us(first)
    while at <= us(last):
        start, at = calendar.window(at, length_us)
        out.append(utc(start))
    return out


calendars = st.sampled_from(CALENDARS)
lengths = st.sampled_from(LENGTHS)
# Around the changes of 2026 in Berlin, New York and St. John's, and on Lord Howe.
near_changes = st.sampled_from(
    [
        us("2026-03-08T07:00:00+00:00"),
        us("2026-03-29T01:00:00+00:00"),
        us("2026-04-04T15:00:00+00:00"),
        us("2026-10-03T15:30:00+00:00"),
        us("2026-10-25T01:00:00+00:00"),
        us("2026-11-01T06:00:00+00:00"),
    ]
).flatmap(lambda at: st.integers(at - 36 * HOUR, at + 36 * HOUR))
any_time = st.integers(us("1990-01-01T00:00+00:00"), us("2037-01-01T00:00+00:00"))
times = near_changes | any_time


@pytest.mark.parametrize(
    ("length_us", "problem"),
    [
        (SECOND, None),
        (8 * SECOND, None),
        (24 * HOUR, None),
        (7 * SECOND, "does not divide the day"),
        (48 * HOUR, "does not divide the day"),
        (SECOND // 2, "is shorter than a second"),
        (0, "is shorter than a second"),
        (-MINUTE, "is shorter than a second"),
    ],
)
def test_a_length_divides_the_day(length_us: int, problem: str | None) -> None:
    assert problem_with_length(length_us) == problem


def test_a_window_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="does not divide the day"):
        BERLIN.window(0, 7 * HOUR)


def test_an_unknown_zone_is_refused() -> None:
    with pytest.raises(ZoneInfoNotFoundError):
        Calendar("Europe/Atlantis")


def test_an_hour_is_left_out_in_spring() -> None:
    found = bounds(BERLIN, "2026-03-29T00:00+01:00", "2026-03-29T04:59+02:00", HOUR)
    assert found == ["28 23:00", "29 00:00", "29 01:00", "29 02:00"]


def test_the_repeated_hour_is_two_windows() -> None:
    found = bounds(BERLIN, "2026-10-25T01:00+02:00", "2026-10-25T03:59+01:00", HOUR)
    assert found == ["24 23:00", "25 00:00", "25 01:00", "25 02:00"]


def test_six_hours_are_five_in_spring() -> None:
    found = bounds(BERLIN, "2026-03-29T00:00+01:00", "2026-03-29T23:59+02:00", 6 * HOUR)
    assert found == ["28 23:00", "29 04:00", "29 10:00", "29 16:00"]


def test_six_hours_are_seven_in_autumn() -> None:
    found = bounds(BERLIN, "2026-10-25T00:00+02:00", "2026-10-25T23:59+01:00", 6 * HOUR)
    assert found == ["24 22:00", "25 05:00", "25 11:00", "25 17:00"]


def test_two_hours_around_the_gap_are_one() -> None:
    found = bounds(BERLIN, "2026-03-29T00:00+01:00", "2026-03-29T05:59+02:00", 2 * HOUR)
    assert found == ["28 23:00", "29 01:00", "29 02:00"]


def test_two_hours_around_the_fold_are_three() -> None:
    found = bounds(BERLIN, "2026-10-25T00:00+02:00", "2026-10-25T05:59+01:00", 2 * HOUR)
    assert found == ["24 22:00", "25 00:00", "25 03:00"]


@pytest.mark.parametrize(
    ("time", "start", "end"),
    [
        ("2026-03-29T12:00+02:00", "2026-03-29T00:00+01:00", "2026-03-30T00:00+02:00"),
        ("2026-10-25T12:00+01:00", "2026-10-25T00:00+02:00", "2026-10-26T00:00+01:00"),
        ("2026-07-01T00:00+02:00", "2026-07-01T00:00+02:00", "2026-07-02T00:00+02:00"),
        ("2026-06-30T23:59+02:00", "2026-06-30T00:00+02:00", "2026-07-01T00:00+02:00"),
    ],
)
def test_a_day_is_midnight_to_midnight(time: str, start: str, end: str) -> None:
    assert BERLIN.window(us(time), DAY_US) == (us(start), us(end))


def test_ten_minutes_follow_an_offset_of_a_quarter() -> None:
    start = us("2026-05-01T10:10+05:45")
    found = Calendar("Asia/Kathmandu").window(start + MINUTE, 10 * MINUTE)
    assert found == (start, start + 10 * MINUTE)


def test_an_hour_around_a_jump_of_half_an_hour_is_half_an_hour() -> None:
    jump = us("2026-10-04T02:30+11:00")
    found = Calendar("Australia/Lord_Howe").window(jump, HOUR)
    assert found == (jump, jump + HOUR // 2)


def test_a_day_begins_after_a_skipped_midnight() -> None:
    # 2017-10-15: the clocks of São Paulo went from 0:00 to 1:00.
    found = Calendar("America/Sao_Paulo").window(us("2017-10-15T12:00-02:00"), DAY_US)
    assert found == (us("2017-10-15T01:00-02:00"), us("2017-10-16T00:00-02:00"))


def test_a_day_begins_at_the_first_of_two_midnights() -> None:
    # 2025-11-02: the clocks of Havana went from 1:00 to 0:00.
    found = Calendar("America/Havana").window(us("2025-11-02T12:00-05:00"), DAY_US)
    assert found == (us("2025-11-02T00:00-04:00"), us("2025-11-03T00:00-05:00"))


def test_a_day_that_a_zone_left_out_has_no_window() -> None:
    # Samoa crossed the date line at the end of 2011-12-29.
    found = Calendar("Pacific/Apia").window(us("2011-12-29T12:00-10:00"), DAY_US)
    assert found == (us("2011-12-29T00:00-10:00"), us("2011-12-31T00:00+14:00"))


@pytest.mark.parametrize(
    ("time", "first_day", "start", "end"),
    [
        ("2026-03-15T12:00", 1, "2026-03-01T00:00+01:00", "2026-04-01T00:00+02:00"),
        ("2026-03-15T12:00", 15, "2026-03-15T00:00+01:00", "2026-04-15T00:00+02:00"),
        ("2026-03-15T12:00", 28, "2026-02-28T00:00+01:00", "2026-03-28T00:00+01:00"),
        ("2026-01-01T00:00", 2, "2025-12-02T00:00+01:00", "2026-01-02T00:00+01:00"),
        ("2026-02-28T22:59", 1, "2026-02-01T00:00+01:00", "2026-03-01T00:00+01:00"),
        ("2026-02-28T23:00", 1, "2026-03-01T00:00+01:00", "2026-04-01T00:00+02:00"),
    ],
)
def test_a_month_begins_at_local_midnight(
    time: str, first_day: int, start: str, end: str
) -> None:
    found = BERLIN.month(us(time + "+00:00"), first_day)
    assert found == (us(start), us(end))


@pytest.mark.parametrize("time_us", [-(2**62), 2**62])
def test_a_time_beyond_all_calendars_has_its_windows(time_us: int) -> None:
    start, end = BERLIN.window(time_us, DAY_US)
    assert start <= time_us < end


@pytest.mark.parametrize("time_us", [-(2**62), 2**62])
def test_a_time_beyond_all_calendars_has_its_month(time_us: int) -> None:
    start, end = BERLIN.month(time_us)
    assert start <= time_us < end


def test_no_times_have_no_windows() -> None:
    starts, ends = BERLIN.starts(np.empty(0, np.int64), HOUR)
    assert (starts.tolist(), ends.tolist()) == ([], [])


@given(calendar=calendars, time_us=times, length_us=lengths)
@settings(max_examples=300)
def test_a_window_holds_its_time(
    calendar: Calendar, time_us: int, length_us: int
) -> None:
    start, end = calendar.window(time_us, length_us)
    assert start <= time_us < end


@given(calendar=calendars, time_us=times, length_us=lengths)
@settings(max_examples=300)
def test_a_window_is_the_same_from_its_first_to_its_last_instant(
    calendar: Calendar, time_us: int, length_us: int
) -> None:
    start, end = calendar.window(time_us, length_us)
    found = calendar.window(start, length_us), calendar.window(end - 1, length_us)
    assert found == ((start, end), (start, end))


@given(calendar=calendars, time_us=times, length_us=lengths)
@settings(max_examples=300)
def test_a_window_begins_where_another_ends(
    calendar: Calendar, time_us: int, length_us: int
) -> None:
    start, end = calendar.window(time_us, length_us)
    before, after = (
        calendar.window(start - 1, length_us),
        calendar.window(end, length_us),
    )
    assert (before[1], after[0]) == (start, end)


@given(calendar=calendars, time_us=times)
@settings(max_examples=200)
def test_the_wall_clock_reads_midnight_where_a_day_begins(
    calendar: Calendar, time_us: int
) -> None:
    start, _ = calendar.window(time_us, DAY_US)
    found = wall(start, calendar.zone)
    assert (found.hour, found.minute, found.second) == (0, 0, 0)


@given(calendar=calendars, time_us=times)
@settings(max_examples=200)
def test_twelve_hours_begin_at_midnight_and_at_noon(
    calendar: Calendar, time_us: int
) -> None:
    start, _ = calendar.window(time_us, 12 * HOUR)
    found = wall(start, calendar.zone)
    assert (found.hour % 12, found.minute, found.second) == (0, 0, 0)


@given(calendar=calendars, time_us=times, first_day=st.integers(1, 28))
@settings(max_examples=200)
def test_a_month_begins_on_its_first_day(
    calendar: Calendar, time_us: int, first_day: int
) -> None:
    days = [wall(t, calendar.zone).day for t in calendar.month(time_us, first_day)]
    assert days == [first_day, first_day]


@given(calendar=calendars, time_us=times, first_day=st.integers(1, 28))
@settings(max_examples=200)
def test_a_month_holds_its_time(
    calendar: Calendar, time_us: int, first_day: int
) -> None:
    start, end = calendar.month(time_us, first_day)
    assert start <= time_us < end


@given(calendar=calendars, found=st.lists(times, max_size=9), length_us=lengths)
@settings(max_examples=200)
def test_many_times_have_the_windows_of_each(
    calendar: Calendar, found: list[int], length_us: int
) -> None:
    starts, ends = calendar.starts(np.array(found, np.int64), length_us)
    pairs = list(zip(starts.tolist(), ends.tolist(), strict=True))
    assert pairs == [calendar.window(time_us, length_us) for time_us in found]
