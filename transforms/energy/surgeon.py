"""The counter surgeon: which readings count, and what the others were. Pure.

A reading that steps back, or forward by more than the circuit can carry, is odd. It is
held, and what follows decides. A return to the line makes it a transient: nothing is
booked for it. Odd readings that follow from each other make a new line, and
``diagnosis`` says what kind of break that is and what is booked across it.

A lone zero never begins a line. Energy is never made up: where a break hides some, less
is booked. At all times what was booked is ``accepted.total_wh``.
"""

from __future__ import annotations

from typing import Literal

from transforms.energy.counter import Accepted, CounterRules, Reading, follows
from transforms.energy.diagnosis import LINE_US, Break, diagnose
from transforms.energy.surgery import (
    NEW,
    Finding,
    Step,
    Surgeon,
    from_snapshot,
    to_snapshot,
)

__all__ = [
    "NEW",
    "Change",
    "Finding",
    "Step",
    "Surgeon",
    "change",
    "from_snapshot",
    "see",
    "to_snapshot",
]

_LINES = 3
# A meter tells its serial so soon after its first answer, and is changed no quicker.
_SWAP_US = 10_000_000

Change = Literal["ct_change", "meter_swap"]


Outcome = tuple[Surgeon, tuple[Step, ...], tuple[Finding, ...]]


def see(rules: CounterRules, state: Surgeon, slot_us: int, wh: int) -> Outcome:
    """Take an answered reading; an older slot, or the same again, changes nothing."""
    if slot_us <= state.slot_us:
        return state, (), ()
    reading, last = Reading(slot_us, wh), state.accepted
    if state.lines and slot_us - state.lines[-1].slot_us > LINE_US:
        state = state._replace(lines=state.lines[:-1])
    state = state._replace(slot_us=slot_us)
    if last is not None and follows(rules, last, reading):
        # A serial noticed late says nothing of a line that already goes on.
        since_us = state.swap_us
        other = since_us is not None and last.slot_us < since_us <= slot_us
        if not other and not _doubtful(rules, state, last, reading):
            return _go_on(state, last, reading)
    state, findings = _hold(rules, state, reading)
    if last is None:
        if _lone_zero(state.held):
            return state, (), findings
        return *_begin(state), findings
    broken = None
    if not _lone_zero(state.held):
        broken = diagnose(
            rules,
            state.held,
            last,
            below=state.below,
            lines=state.lines,
            odd=state.odd,
            swapped=_due(state.swap_us, slot_us),
            rescaled=_due(state.ratio_us, slot_us),
        )
    if broken is None:
        return state, (), findings
    state, steps, finding = _take(state, last, broken)
    return state, steps, (*findings, finding)


def change(state: Surgeon, at_us: int, what: Change) -> Outcome:
    """The serial, or the transformer ratio, is another one from a time on.

    A new meter may have answered before it told its serial. Where its first reading
    went on with the old line, that step becomes void.
    """
    last = state.accepted
    if last is None:
        return state, (), ()
    if what == "ct_change":
        return state._replace(ratio_us=at_us), (), ()
    old = state.risen_from
    if old is None or state.held or not _answered_first(old, last, at_us):
        return state._replace(swap_us=at_us), (), ()
    new = last._replace(total_wh=old.total_wh)
    step = Step(
        old.slot_us,
        new.slot_us,
        old.wh,
        new.wh,
        0,
        last.total_wh - old.total_wh,
        lost=True,
        found=("meter_swap",),
    )
    finding = Finding("meter_swap", new.slot_us, state.slot_us, old.wh, new.wh)
    state = state._replace(accepted=new, below=None, lines=())
    return state, (step,), (finding,)


def _answered_first(old: Accepted, last: Accepted, at_us: int) -> bool:
    """Whether a meter that tells its serial had given the last reading already."""
    soon = 0 <= at_us - last.slot_us <= _SWAP_US
    return soon and last.slot_us - old.slot_us > _SWAP_US


def _doubtful(
    rules: CounterRules, state: Surgeon, last: Accepted, reading: Reading
) -> bool:
    """Whether a rise is rather the return of a line that a break had left.

    In time any rise is possible. But a counter at zero since the break hardly counted
    just to where the old line would be, and one that was there before it could be, did
    not count at all.
    """
    if not any(follows(rules, line, reading) for line in state.lines):
        return False
    if last.wh == 0:
        return reading.wh > 0
    held = state.held
    return bool(held) and held[0].wh > last.wh and follows(rules, held[-1], reading)


def _go_on(state: Surgeon, last: Accepted, reading: Reading) -> Outcome:
    """The line goes on: whatever was held was no part of it."""
    state, findings = _drop(state, reading.slot_us)
    found = state.found
    state, step = _count(state, last, reading)
    return _settled(state), (step._replace(found=found),), findings


def _hold(
    rules: CounterRules, state: Surgeon, reading: Reading
) -> tuple[Surgeon, tuple[Finding, ...]]:
    """Hold an odd reading; those held before go if it does not follow from them."""
    findings: tuple[Finding, ...] = ()
    if state.held and not follows(rules, state.held[-1], reading):
        state, findings = _drop(state, reading.slot_us)
    return state._replace(held=(*state.held, reading), odd=state.odd + 1), findings


def _drop(state: Surgeon, decided_us: int) -> tuple[Surgeon, tuple[Finding, ...]]:
    """What is held was a transient."""
    if not state.held:
        return state, ()
    zero = all(reading.wh == 0 for reading in state.held)
    kind = "transient_zero" if zero else "stale_answer"
    first = state.held[0]
    before_wh = state.accepted.wh if state.accepted else None
    finding = Finding(kind, first.slot_us, decided_us, before_wh, first.wh)
    return state._replace(held=(), found=(*state.found, kind)), (finding,)


def _begin(state: Surgeon) -> tuple[Surgeon, tuple[Step, ...]]:
    """The first line of all begins."""
    first = state.held[0]
    accepted = Accepted(first.slot_us, first.wh, 0, 0, first.slot_us)
    return _confirm(state._replace(accepted=accepted), accepted, ())


def _take(
    state: Surgeon, last: Accepted, broken: Break
) -> tuple[Surgeon, tuple[Step, ...], Finding]:
    """The held readings are the line from now on."""
    first, base = state.held[0], broken.base
    resumed = broken.kind in {"recovered", "stale_answer"}
    accepted = Accepted(
        first.slot_us,
        base.wh + broken.delta_wh if resumed else first.wh,
        base.total_wh + broken.delta_wh,
        base.turns + (broken.kind == "rollover"),
        first.slot_us,
    )
    step = Step(
        base.slot_us,
        first.slot_us,
        base.wh,
        accepted.wh,
        broken.delta_wh,
        last.total_wh - base.total_wh,
        broken.lost,
        (*state.found, broken.kind),
    )
    finding = Finding(
        broken.kind, first.slot_us, state.slot_us, last.wh, first.wh, broken.delta_wh
    )
    match broken.kind:
        case "meter_swap" | "ct_change":
            lines: tuple[Accepted, ...] = ()
        case "recovered":
            lines = state.lines[state.lines.index(base) + 1 :]
        case "stale_answer":
            lines = state.lines
            finding = finding._replace(
                first_us=last.since_us, before_wh=base.wh, after_wh=last.wh
            )
        case _:
            lines = (last, *state.lines)[:_LINES]
    state = state._replace(accepted=accepted, below=None, lines=lines)
    return *_confirm(state, accepted, (step,)), finding


def _confirm(
    state: Surgeon, last: Accepted, steps: tuple[Step, ...]
) -> tuple[Surgeon, tuple[Step, ...]]:
    """Count the readings that confirmed the line."""
    for reading in state.held[1:]:
        state, step = _count(state, last, reading)
        steps = (*steps, step)
        last = state.accepted or last
    return _settled(state), steps


def _count(state: Surgeon, last: Accepted, reading: Reading) -> tuple[Surgeon, Step]:
    """Count on; of two readings within the counter's step the highest stays."""
    wh = max(last.wh, reading.wh)
    delta = wh - last.wh
    since_us = reading.slot_us if delta else last.since_us
    accepted = Accepted(
        reading.slot_us, wh, last.total_wh + delta, last.turns, since_us
    )
    below = last if delta else state.below
    step = Step(last.slot_us, reading.slot_us, last.wh, wh, delta)
    return state._replace(accepted=accepted, below=below), step


def _settled(state: Surgeon) -> Surgeon:
    """Nothing is held any more, and changes up to here have had their effect."""
    swap_us, ratio_us = state.swap_us, state.ratio_us
    return state._replace(
        held=(),
        odd=0,
        found=(),
        swap_us=None if _due(swap_us, state.slot_us) else swap_us,
        ratio_us=None if _due(ratio_us, state.slot_us) else ratio_us,
    )


def _due(at_us: int | None, slot_us: int) -> bool:
    return at_us is not None and at_us <= slot_us


def _lone_zero(held: tuple[Reading, ...]) -> bool:
    return len(held) == 1 and held[0].wh == 0
