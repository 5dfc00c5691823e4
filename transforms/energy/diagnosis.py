"""What kind of break a new line of a counter is. Pure.

===============  =====================================================================
meter_swap       the serial changed: nothing is booked, the new meter has its own line
ct_change        the transformer ratio changed, and the counter with it: nothing
recovered        a line that an earlier break had left goes on: its own movement is
                 booked, and what was booked since it was left becomes void
stale_answer     the same where the last rise was no energy: the line before it goes on
rollover         what leads through the modulus to the new reading
reset            what the counter shows, if that can have flowed meanwhile; else nothing
jump             a step forward that no circuit carries: nothing
===============  =====================================================================

``CONFIRMATIONS`` readings in a row that follow from each other make a new line. One is
enough where the serial changed, or where a rollover is short and the way to it was too.
A line that was left is known for a day. What was booked becomes void at most an hour
back; beyond that only where the line's own movement is no smaller.
"""

from __future__ import annotations

from typing import NamedTuple

from transforms.energy.counter import (
    Accepted,
    CounterRules,
    Reading,
    follows,
    reach_wh,
)

__all__ = ["CONFIRMATIONS", "LINE_US", "VOID_US", "Break", "diagnose"]

CONFIRMATIONS = 3
LINE_US = 86_400_000_000
VOID_US = 3_600_000_000
# Of a modulus: a longer way through zero at once is rather a stale answer.
_SHORT = 0.125
# After so many odd readings the last is taken for a line, else a counter whose answers
# alternate would never count again.
_PATIENCE = 30


class Break(NamedTuple):
    """Book ``delta_wh`` from ``base`` to the new line; what came after it is void."""

    kind: str
    base: Accepted
    delta_wh: int = 0
    lost: bool = True


def diagnose(
    rules: CounterRules,
    run: tuple[Reading, ...],
    last: Accepted,
    *,
    below: Accepted | None,
    lines: tuple[Accepted, ...],
    odd: int,
    swapped: bool,
    rescaled: bool,
) -> Break | None:
    """The break between the last accepted reading and a run of odd ones.

    None: it takes more readings to tell. ``below`` is the accepted reading before the
    last rise, ``lines`` are those that breaks left, ``odd`` counts readings since.
    """
    if swapped:
        return Break("meter_swap", last)
    turned_wh = _turned_wh(rules, last, run[0])
    rollover = None
    if turned_wh is not None:
        rollover = Break("rollover", last, turned_wh, lost=False)
        if turned_wh <= _SHORT * (rules.modulus_wh or 0):
            return rollover
    if len(run) < CONFIRMATIONS and odd < _PATIENCE:
        return None
    if rescaled:
        return Break("ct_change", last)
    for line in lines:
        if run[-1].slot_us - line.slot_us <= LINE_US and _resumes(
            rules, line, run, last
        ):
            return _resumed("recovered", line, run)
    first = run[0]
    if (
        below is not None
        and below.wh > 0  # else any reset would look like it
        and first.wh < last.wh
        and run[-1].slot_us - below.slot_us <= VOID_US
        and _resumes(rules, below, run, last)
    ):
        return _resumed("stale_answer", below, run)
    if rollover is not None:
        return rollover
    if first.wh > last.wh:
        return Break("jump", last)
    reach = reach_wh(rules, first.slot_us - last.slot_us, first.wh)
    return Break("reset", last, first.wh if 0 <= first.wh <= reach else 0)


def _turned_wh(rules: CounterRules, last: Accepted, first: Reading) -> int | None:
    """The way from the last reading through the modulus; None where there is none."""
    if rules.modulus_wh is None or first.wh >= last.wh:
        return None
    # The modulus need not be whole: each turn is rounded so that no error adds up.
    next_turn = round((last.turns + 1) * rules.modulus_wh)
    turn_wh = next_turn - round(last.turns * rules.modulus_wh)
    way = first.wh + turn_wh - last.wh
    reach = reach_wh(rules, first.slot_us - last.slot_us, first.wh)
    return way if 0 <= way <= reach else None


def _resumes(
    rules: CounterRules, line: Accepted, run: tuple[Reading, ...], last: Accepted
) -> bool:
    """Whether a line goes on with a run, and what came after it may become void."""
    if not all(follows(rules, line, reading) for reading in run):
        return False
    near = run[-1].slot_us - line.slot_us <= VOID_US
    return near or run[0].wh - line.wh >= last.total_wh - line.total_wh


def _resumed(kind: str, line: Accepted, run: tuple[Reading, ...]) -> Break:
    return Break(kind, line, max(0, run[0].wh - line.wh), lost=False)
