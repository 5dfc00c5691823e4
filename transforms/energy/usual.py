"""What nearly every call of the machine is: energy runs on inside an interval. Pure.

A reading or a minute of power falls into the last interval made, and nothing is due to
be told or forgotten. The state after it is then made in one go, the same that a ``Book``
would come to.

The call before told all that was due. So nothing is now if no span waits, no interval
that ended waits for its power, and the last one does not end.
"""

from __future__ import annotations

from transforms.energy.counter import Accepted, CounterRules, Reading, follows
from transforms.energy.counting import MINUTES, Counting, IntervalRules
from transforms.energy.diagnosis import LINE_US, VOID_US
from transforms.energy.interval import with_energy, with_power
from transforms.energy.load import PowerMinute
from transforms.energy.surgery import Surgeon

__all__ = ["after_minute", "after_slot"]


def after_slot(
    rules: IntervalRules,
    state: Counting,
    slot_us: int,
    wh: int | None,
    period_us: int,
) -> Counting | None:
    """The state after a newer slot that tells nothing; None where more is to be done."""
    counter, intervals, power_us = state.counter, state.intervals, state.power_us
    last, minutes = counter.accepted, state.minutes
    if last is None or state.spans or len(minutes) > MINUTES or not intervals:
        return None
    running = intervals[-1]
    if running.told or not running.start_us <= last.slot_us < running.end_us:
        return None
    waits = power_us is not None and power_us < running.start_us
    if waits and state.slot_us <= running.start_us + rules.wait_us:
        return None
    if _may_forget(rules, state, slot_us):
        return None
    if wh is None:
        return Counting(counter, slot_us, period_us, *state[3:])
    if slot_us > running.end_us:
        return None
    if slot_us == running.end_us and (power_us is None or power_us >= slot_us):
        return None
    after = _count_on(rules.counter, counter, slot_us, wh)
    if after is None or after.accepted is None:
        return None
    accepted = after.accepted
    shaping_us = slot_us - rules.shape_us
    if minutes and minutes[0].end_us <= shaping_us:
        minutes = tuple(m for m in minutes if m.end_us > shaping_us)
    delta_wh = accepted.total_wh - last.total_wh
    running = with_energy(running, last.wh, accepted.wh, delta_wh)
    return Counting(
        after,
        slot_us,
        period_us,
        state.floor_us,
        (*intervals[:-1], running),
        (),
        minutes,
        power_us,
        state.cuts,
    )


def after_minute(
    rules: IntervalRules, state: Counting, minute: PowerMinute
) -> Counting | None:
    """The state after a minute that tells nothing; None where more is to be done."""
    last, intervals, power_us = state.counter.accepted, state.intervals, state.power_us
    minutes = state.minutes
    if last is None or state.spans or not intervals or power_us is None:
        return None
    running = intervals[-1]
    if last.slot_us >= running.end_us:
        return None
    start_us, end_us = minute.start_us, minute.end_us
    if not running.start_us <= power_us <= start_us < end_us <= running.end_us:
        return None
    if len(minutes) >= MINUTES or end_us <= last.slot_us - rules.shape_us:
        return None
    return Counting(
        state.counter,
        state.slot_us,
        state.period_us,
        state.floor_us,
        (*intervals[:-1], with_power(running, minute)),
        (),
        (*minutes, minute),
        end_us,
        state.cuts,
    )


def _count_on(
    rules: CounterRules, state: Surgeon, slot_us: int, wh: int
) -> Surgeon | None:
    """The counter after a reading with which its line goes on; None where it may not.

    Nothing is held, no change waits, and no line that a break left can come back.
    """
    last, lines = state.accepted, state.lines
    if last is None or state.held:
        return None
    if state.swap_us is not None or state.ratio_us is not None:
        return None
    if lines and (last.wh == 0 or slot_us - lines[-1].slot_us > LINE_US):
        return None
    if not follows(rules, last, Reading(slot_us, wh)):
        return None
    below, total_wh, since_us = state.below, last.total_wh, last.since_us
    if wh > last.wh:
        below, total_wh, since_us = last, total_wh + wh - last.wh, slot_us
    else:
        wh = last.wh
    accepted = Accepted(slot_us, wh, total_wh, last.turns, since_us)
    return Surgeon(slot_us, accepted, below, lines)


def _may_forget(rules: IntervalRules, state: Counting, slot_us: int) -> bool:
    """Whether the oldest interval may have become old enough to be forgotten."""
    oldest, lines = state.intervals[0], state.counter.lines
    if not oldest.told or oldest.end_us > slot_us - VOID_US:
        return False
    few = len(state.intervals) - 1 <= rules.kept  # the last one is not told yet
    return not (few and lines and lines[-1].slot_us < oldest.end_us)
