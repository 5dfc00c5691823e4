"""The sequence's laws: it sums as the ledger does, in any order of arrival."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.codec.records import Event, LedgerHour
from transforms.ledger import HOUR_US, ledger_hours, ledger_of
from transforms.sequence import EMPTY, KEPT_US, Sequence

SECOND = 1_000_000
MINUTE = 60 * SECOND
OK, PARTIAL, TIMEOUT, REFUSED = 0, 1, 2, 3

Out = list[Event | LedgerHour]


class Frame(NamedTuple):
    seq: int
    status: int
    period: int = 10 * MINUTE

    @property
    def slot(self) -> int:
        return self.seq * self.period


frames = st.lists(
    st.tuples(st.integers(0, 200), st.sampled_from([OK, OK, PARTIAL, TIMEOUT])).map(
        lambda pair: Frame(*pair)
    ),
    min_size=1,
    max_size=40,
    unique_by=lambda frame: frame.seq,
)


def _take(machine: Sequence, frame: Frame) -> Out:
    if machine.next_us is None or frame.slot >= machine.next_us:
        return machine.slots(frame.slot, bytes([frame.status]))
    return machine.late(frame.slot, frame.status).out


def _told(arrived: list[Frame], period: int = 10 * MINUTE) -> Out:
    machine = Sequence("s/a/m", "realtime", period)
    out = [record for frame in arrived for record in _take(machine, frame)]
    return out + machine.finish()


def _hours(out: Out) -> list[LedgerHour]:
    """In their highest revision, which must come one by one."""
    found: dict[str, LedgerHour] = {}
    for record in out:
        if isinstance(record, LedgerHour):
            before = found.get(record.id)
            assert record.revision == (0 if before is None else before.revision + 1)
            found[record.id] = record
    own = [replace(record, revision=0) for record in found.values()]
    return sorted(own, key=lambda record: record.hour)


def _of_the_ledger(arrived: list[Frame]) -> list[LedgerHour]:
    seq, status, period = np.array(arrived).T
    return list(ledger_hours("s/a/m", "realtime", ledger_of(seq, period, status)))


def _gaps(out: Out) -> list[tuple[int, int | None, dict[str, str], int]]:
    return [
        (record.time, record.until, record.data, record.revision)
        for record in out
        if isinstance(record, Event) and record.kind == "gap"
    ]


def _ok(*seqs: int) -> list[Frame]:
    return [Frame(seq, OK) for seq in seqs]


@given(frames)
def test_hours_are_those_of_the_ledger_in_any_order_of_arrival(
    arrived: list[Frame],
) -> None:
    assert _hours(_told(arrived)) == _of_the_ledger(arrived)


@given(frames)
def test_every_hour_sums_exactly_in_every_revision(arrived: list[Frame]) -> None:
    for hour in _told(arrived):
        if isinstance(hour, LedgerHour):
            assert hour.due == hour.good + sum(hour.failed.values()) + hour.missing
            assert hour.missing >= 0


@given(frames, st.data())
def test_duplicates_change_nothing(arrived: list[Frame], data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(arrived) - 1))
    at = data.draw(st.integers(number + 1, len(arrived)))
    doubled = [*arrived[:at], arrived[number], *arrived[at:]]
    assert _told(doubled) == _told(arrived)


@given(frames)
def test_a_sequence_goes_on_from_its_snapshot(arrived: list[Frame]) -> None:
    machine, out = Sequence("s/a/m", "realtime", 10 * MINUTE), Out()
    for frame in arrived:
        machine = Sequence.from_snapshot(machine.to_snapshot())
        out += _take(machine, frame)
    assert out + machine.finish() == _told(arrived)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=8))
def test_slots_that_were_all_answered_count_as_single_ones(lengths: list[int]) -> None:
    at_once, single = (Sequence("s/a/m", "g", 10 * MINUTE) for _ in range(2))
    out, other = at_once.slots(0, bytes([OK])), single.slots(0, bytes([OK]))
    seq = 1
    for length in lengths:
        out += at_once.answered((seq + length) * 10 * MINUTE)
        other += single.slots(seq * 10 * MINUTE, bytes([OK] * length))
        seq += length
    assert out + at_once.finish() == other + single.finish()


def test_a_run_of_failed_slots_is_a_gap_of_known_cause() -> None:
    arrived = [
        *_ok(0),
        Frame(1, TIMEOUT),
        Frame(2, REFUSED),
        Frame(3, TIMEOUT),
        *_ok(4),
    ]
    data = {"cause": "failed", "count": "3", "timeout": "2", "refused": "1"}
    assert _gaps(_told(arrived)) == [(10 * MINUTE, 40 * MINUTE, data, 0)]


def test_slots_without_a_frame_are_a_gap_of_unknown_cause() -> None:
    data = {"cause": "missing", "count": "3"}
    assert _gaps(_told(_ok(0, 4))) == [(10 * MINUTE, 40 * MINUTE, data, 0)]


def test_failed_and_missing_slots_are_gaps_apart() -> None:
    arrived = [*_ok(0), Frame(1, TIMEOUT), *_ok(3)]
    failed = {"cause": "failed", "count": "1", "timeout": "1"}
    missing = {"cause": "missing", "count": "1"}
    assert _gaps(_told(arrived)) == [
        (10 * MINUTE, 20 * MINUTE, failed, 0),
        (20 * MINUTE, 30 * MINUTE, missing, 0),
    ]


def test_a_run_of_failed_slots_is_told_once_over_cells_and_hours() -> None:
    machine = Sequence("s/a/m", "g", 10 * MINUTE)
    out = machine.slots(0, bytes([OK] + [TIMEOUT] * 5))
    out += machine.slots(60 * MINUTE, bytes([TIMEOUT] * 6))
    out += machine.slots(120 * MINUTE, bytes([OK]))
    data = {"cause": "failed", "count": "11", "timeout": "11"}
    assert _gaps(out) == [(10 * MINUTE, 120 * MINUTE, data, 0)]


def test_failed_slots_at_the_end_are_told_by_finish() -> None:
    data = {"cause": "failed", "count": "1", "timeout": "1"}
    assert _gaps(_told([*_ok(0), Frame(1, TIMEOUT)])) == [
        (10 * MINUTE, 20 * MINUTE, data, 0)
    ]


def test_a_late_frame_makes_the_gap_smaller() -> None:
    found = _gaps(_told(_ok(0, 5, 2, 4)))
    assert [(time, data["count"], revision) for time, _, data, revision in found] == [
        (10 * MINUTE, "4", 0),
        (10 * MINUTE, "3", 1),
        (10 * MINUTE, "2", 2),
    ]


def test_a_late_frame_that_failed_is_told_by_its_gap() -> None:
    late = [Frame(3, TIMEOUT), *_ok(2), Frame(1, TIMEOUT), Frame(4, REFUSED)]
    found = [data for *_, data, _ in _gaps(_told([*_ok(0, 5), *late]))]
    assert found == [
        {"cause": "missing", "count": "4"},
        {"cause": "missing", "count": "3", "timeout": "1"},
        {"cause": "missing", "count": "2", "timeout": "1"},
        {"cause": "missing", "count": "1", "timeout": "2"},
        {"cause": "missing", "count": "0", "timeout": "2", "refused": "1"},
    ]


def test_gaps_of_the_former_version_of_the_state_go_on() -> None:
    machine = Sequence("s/a/m", "g", 10 * MINUTE)
    machine.slots(0, bytes([OK, EMPTY, EMPTY, OK]))
    _, *fields, gaps, hours = machine.to_snapshot()
    former = (1, *fields, tuple(gap[:-1] for gap in gaps), hours)
    again = Sequence.from_snapshot(former)
    assert again.late(10 * MINUTE, TIMEOUT) == machine.late(10 * MINUTE, TIMEOUT)


def test_a_late_frame_keeps_the_id_of_its_gap() -> None:
    out = _told(_ok(0, 5, 2))
    assert len({record.id for record in out if isinstance(record, Event)}) == 1


def test_a_frame_before_the_first_leaves_a_gap_between() -> None:
    data = {"cause": "missing", "count": "2"}
    assert _gaps(_told(_ok(5, 2))) == [(30 * MINUTE, 50 * MINUTE, data, 0)]


def test_an_hour_is_told_when_it_is_over() -> None:
    machine = Sequence("s/a/m", "g", 10 * MINUTE)
    assert machine.slots(0, bytes([OK] * 5)) == []
    (hour,) = machine.slots(50 * MINUTE, bytes([OK]))
    assert hour == LedgerHour(
        asset="s/a/m", group="g", hour=0, due=6, good=6, failed={}, missing=0
    )


def test_a_late_frame_corrects_its_hour() -> None:
    told = [r for r in _told(_ok(0, 1, 2, 3, 5, 7, 4)) if isinstance(r, LedgerHour)]
    found = [(h.hour, h.due, h.good, h.missing, h.revision) for h in told]
    assert found == [(0, 6, 5, 1, 0), (0, 6, 6, 0, 1), (HOUR_US, 2, 1, 1, 0)]


def test_a_late_frame_that_failed_is_failed() -> None:
    hour = _hours(_told([*_ok(0, 2), Frame(1, REFUSED)]))[0]
    assert (hour.due, hour.good, hour.failed, hour.missing) == (3, 2, {"refused": 1}, 0)


def test_the_oldest_frame_that_is_kept_still_counts() -> None:
    last = KEPT_US // (10 * MINUTE) + 2
    arrived = [*_ok(1, last), Frame(last + 1 - KEPT_US // (10 * MINUTE), OK)]
    assert _hours(_told(arrived)) == _of_the_ledger(arrived)


@given(st.integers(1, 40), st.integers(1, 5000), st.sampled_from([1, 7, 10, 90]))
def test_a_long_hole_is_that_of_the_ledger(
    before: int, hours: int, minutes: int
) -> None:
    period = minutes * MINUTE
    back = before + hours * HOUR_US // period
    arrived = [Frame(n, OK, period) for n in (*range(before), back)]
    assert _hours(_told(arrived, period)) == _of_the_ledger(arrived)


def test_older_frames_are_ancient_and_count_nowhere() -> None:
    machine = Sequence("s/a/m", "g", 10 * MINUTE)
    machine.slots(0, bytes([OK]))
    machine.slots(KEPT_US + 20 * MINUTE, bytes([OK]))
    arrived = machine.late(20 * MINUTE, OK)
    assert (arrived.kind, arrived.out) == ("ancient", [])


def test_hours_that_nobody_corrects_are_forgotten() -> None:
    machine = Sequence("s/a/m", "g", HOUR_US)
    for hour in range(500):
        machine.slots(hour * HOUR_US, bytes([OK]))
    assert len(machine.to_snapshot()[-1]) == 168


def test_slots_without_a_frame_begin_nothing() -> None:
    machine = Sequence("s/a/m", "g", 10 * MINUTE)
    assert machine.slots(0, bytes([EMPTY, EMPTY])) == []
    assert machine.next_us is None


def test_a_late_frame_may_be_the_first() -> None:
    machine = Sequence("s/a/m", "g", 10 * MINUTE)
    assert machine.late(30 * MINUTE, OK).kind == "late"
    assert machine.next_us == 40 * MINUTE


# -- a change of period --------------------------------------------------------------


def _changed(parts: list[list[Frame]], late: list[tuple[int, int]]) -> Out:
    """Frames of parts in order, each with its period, then late ones: slot and status."""
    machine, out = Sequence("s/a/m", "realtime", parts[0][0].period), Out()
    for part in parts:
        if part[0].period != machine.period_us:
            out += machine.change_period(part[0].period, part[0].slot)
        for frame in part:
            out += machine.slots(frame.slot, bytes([frame.status]))
    out += [
        record for slot, status in late for record in machine.late(slot, status).out
    ]
    return out + machine.finish()


@st.composite
def parts(draw: st.DrawFn) -> list[list[Frame]]:
    out: list[list[Frame]] = []
    last = 0
    periods = draw(st.lists(st.sampled_from([1, 10, 15, 60]), min_size=1, max_size=4))
    for minutes in periods:
        period = minutes * MINUTE
        steps = draw(st.lists(st.integers(1, 9), min_size=1, max_size=6))
        seqs = [last // period + sum(steps[: n + 1]) for n in range(len(steps))]
        out.append([Frame(seq, seq * 7 % 4, period) for seq in seqs])
        last = out[-1][-1].slot
    return out


@given(parts())
def test_hours_are_those_of_the_ledger_over_changes_of_period(
    given_parts: list[list[Frame]],
) -> None:
    arrived = [frame for part in given_parts for frame in part]
    assert _hours(_changed(given_parts, [])) == _of_the_ledger(arrived)


def test_slots_of_the_old_period_are_due_until_the_change() -> None:
    tens, minutes = _ok(0, 1), [Frame(35, OK, MINUTE), Frame(36, OK, MINUTE)]
    out = _changed([tens, minutes], [])
    assert [(h.due, h.good, h.missing) for h in _hours(out)] == [(6, 4, 2)]
    data = {"cause": "missing", "count": "2"}
    assert _gaps(out) == [(20 * MINUTE, 40 * MINUTE, data, 0)]


def test_a_change_of_period_begins_the_numbering_anew() -> None:
    machine = Sequence("s/a/m", "g", 10 * MINUTE)
    machine.slots(0, bytes([OK]))
    (event,) = machine.change_period(SECOND, 10 * MINUTE)
    assert isinstance(event, Event)
    assert (event.kind, event.time, event.data) == (
        "sequence_restart",
        10 * MINUTE,
        {"period_seconds": "1", "period_seconds_before": "600"},
    )


def test_a_gap_keeps_the_grid_of_its_time() -> None:
    tens, minutes = _ok(0, 5), [Frame(60, OK, MINUTE)]
    out = _changed([tens, minutes], [(20 * MINUTE, OK), (25 * MINUTE, OK)])
    assert [(data["count"], revision) for _, _, data, revision in _gaps(out)] == [
        ("4", 0),
        ("3", 1),
    ]


def test_an_hour_that_was_told_before_a_change_is_corrected() -> None:
    tens, minutes = _ok(4, 5), [Frame(51, OK, MINUTE), Frame(70, OK, MINUTE)]
    arrived = [*tens, *minutes]
    assert _hours(_changed([tens, minutes], [])) == _of_the_ledger(arrived)


def test_a_snapshot_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="a sequence snapshot of version 0"):
        Sequence.from_snapshot((0,))
