"""Energy of intervals from one counter of one asset. Pure.

What the surgeon accepts is booked between readings: into the interval that holds both,
else cut at the bounds by the load shape, in whole Wh that make the sum. So the energy
of all records and ``pending_wh`` together is what the counter counted, exactly.

An interval is told once a reading at or after its end was accepted and power is known
to its end. Power may be ``wait_us`` late; coming later still it gives a revision, as
long as the interval is kept: an hour, since the accepted reading before the last, and
while a fault may turn out to be none up to ``kept`` intervals. While a reading is held,
intervals wait.

Energy that was cut over a missing slot, or into more than two parts, is substituted; a
hole inside one interval is not, its energy is exactly known. Where power is missing in
the hole too, the cut waits for ``shape_us`` of power after it. Of a hole of more than
3100 intervals all but the first and the last are told as one.
"""

from __future__ import annotations

from collections.abc import Iterable

from transforms.codec.records import Energy, Event
from transforms.energy import surgeon
from transforms.energy.booking import Book
from transforms.energy.counting import (
    NEW,
    Counting,
    IntervalRules,
    Span,
    from_snapshot,
    to_snapshot,
)
from transforms.energy.findings import event_of
from transforms.energy.interval import Interval, energy_of
from transforms.energy.load import PowerMinute, measured
from transforms.energy.surgeon import Change, Finding
from transforms.energy.usual import after_minute, after_slot

__all__ = [
    "NEW",
    "Change",
    "Counting",
    "IntervalRules",
    "PowerMinute",
    "change",
    "flush",
    "from_snapshot",
    "pending_wh",
    "power",
    "read",
    "to_snapshot",
]

Told = tuple[Counting, list[Energy | Event]]


def read(
    rules: IntervalRules,
    state: Counting,
    slot_us: int,
    wh: int | None,
    period_us: int,
) -> Told:
    """Take a slot of the counter; None where it failed or has no good value.

    An older slot, or the same again, changes nothing.
    """
    if slot_us <= state.slot_us:
        return state, []
    usual = after_slot(rules, state, slot_us, wh, period_us)
    if usual is not None:
        return usual, []
    return _read(rules, state, slot_us, wh, period_us)


def power(rules: IntervalRules, state: Counting, minute: PowerMinute) -> Told:
    """Take a minute of power; one that is not after the last changes nothing."""
    known_us = minute.start_us if state.power_us is None else state.power_us
    if minute.start_us < known_us or minute.end_us <= minute.start_us:
        return state, []
    usual = after_minute(rules, state, minute)
    if usual is not None:
        return usual, []
    return _power(rules, state, minute)


def change(rules: IntervalRules, state: Counting, at_us: int, what: Change) -> Told:
    """The serial, or the transformer ratio, is another one from a time on.

    A new ratio cuts the interval in two at that time, or at the last accepted reading
    where that came later. What was booked up to a new meter's first reading becomes
    void where that came before its serial.
    """
    accepted = state.counter.accepted
    if accepted is None:
        return state, []
    counter, steps, findings = surgeon.change(state.counter, at_us, what)
    state = state._replace(counter=counter)
    book = Book(rules, state)
    if what == "ct_change":
        book.cut(max(at_us, accepted.slot_us))
    for step in steps:
        book.take(step, accepted.slot_us, hole=False)
    state, energies = _tell(rules, state, book)
    return state, [*_events(rules, findings), *energies]


def flush(rules: IntervalRules, state: Counting) -> Told:
    """Tell all that is booked, ended or not; readings that are held stay so."""
    return _tell(rules, state, Book(rules, state), final=True)


def pending_wh(state: Counting) -> int:
    """What was accepted and is not in the last revision of any record yet."""
    waiting = sum(span.delta_wh for span in state.spans)
    return waiting + sum(i.energy_wh - i.told_wh for i in state.intervals)


def _read(
    rules: IntervalRules,
    state: Counting,
    slot_us: int,
    wh: int | None,
    period_us: int,
) -> Told:
    """Take a newer slot, whatever it is."""
    longest_us = max(period_us, state.period_us)
    state = state._replace(slot_us=slot_us, period_us=period_us)
    if wh is None:
        return _tell(rules, state, Book(rules, state))
    before = state.counter.accepted
    counter, steps, findings = surgeon.see(rules.counter, state.counter, slot_us, wh)
    state = state._replace(counter=counter)
    book = Book(rules, state)
    booked_us = steps[0].start_us if steps else slot_us
    if before is not None:
        booked_us = before.slot_us
    elif counter.accepted is not None:
        book.begin(booked_us)
    for step in steps:
        hole = step.end_us - step.start_us > longest_us
        book.take(step, booked_us, hole=hole)
        booked_us = step.end_us
    state, energies = _tell(rules, state, book)
    return state, [*_events(rules, findings), *energies]


def _power(rules: IntervalRules, state: Counting, minute: PowerMinute) -> Told:
    """Take a newer minute of power, wherever it is."""
    book = Book(rules, state)
    book.measure(minute)
    return _tell(rules, state, book)


def _events(rules: IntervalRules, findings: Iterable[Finding]) -> list[Event]:
    quantity = rules.counter.quantity
    return [event_of(rules.asset, quantity, finding) for finding in findings]


def _tell(
    rules: IntervalRules, state: Counting, book: Book, *, final: bool = False
) -> Told:
    """Distribute what can be, tell what is ready, and close the book."""
    accepted = state.counter.accepted
    if accepted is None:
        return book.closed(), []
    for span in book.spans[:]:
        if final or _is_due(rules, state, book, span):
            book.spans.remove(span)
            book.distribute(span)
    out: list[Energy | Event] = []
    for place, interval in enumerate(book.row.intervals):
        if interval.start_us >= accepted.slot_us:
            break
        ended = interval.end_us <= accepted.slot_us
        if not final and not (ended and _is_ready(rules, state, book, interval)):
            if interval.told:
                continue
            break  # in the order of time
        complete = final or (book.power_us or 0) >= interval.end_us
        if interval.due or not interval.told or (interval.late and complete):
            record = energy_of(
                rules.asset,
                rules.counter,
                rules.budget,
                interval,
                ended=ended,
                nominal_us=rules.nominal_us,
            )
            out.append(record)
            book.row.intervals[place] = interval._replace(
                revision=record.revision,
                told_wh=interval.energy_wh,
                due=False,
                late=False,
            )
    return book.closed(), out


def _is_due(rules: IntervalRules, state: Counting, book: Book, span: Span) -> bool:
    """Whether a span waits no longer for the power that shows its shape."""
    if book.power_us is None:
        return True
    need_us = span.end_us
    if span.hole:
        _, known_us = measured(book.minutes, span.start_us, span.end_us)
        if 2 * known_us < span.end_us - span.start_us:
            need_us += rules.shape_us
    return book.power_us >= need_us or state.slot_us > need_us + rules.wait_us


def _is_ready(
    rules: IntervalRules, state: Counting, book: Book, interval: Interval
) -> bool:
    """Whether all energy of an ended interval is booked, and its power came or is late."""
    start_us, end_us = interval.start_us, interval.end_us
    if any(span.start_us < end_us and span.end_us > start_us for span in book.spans):
        return False
    if book.power_us is None or book.power_us >= end_us:
        return True
    return state.slot_us > end_us + rules.wait_us
