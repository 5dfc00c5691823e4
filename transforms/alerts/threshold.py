"""A value against its limits: hysteresis, delay to raise, delay to clear.

Delays count from value to value: a slot without one neither raises nor clears, and
breaks nothing off.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from transforms.alerts.occurrence import INACTIVE, Change, Occurrence, due, put, tell
from transforms.alerts.rule import AlertRule
from transforms.codec.records import Event
from transforms.model.quantity import QUANTITIES

__all__ = ["digits", "number", "quiet", "run", "step"]


def step(
    rule: AlertRule,
    asset: str,
    state: Occurrence,
    slot_us: int,
    value: float | None,
    subject: str = "",
    what: str = "",
) -> tuple[Occurrence, list[Event]]:
    """Take the value of one slot, in the quantity's unit; slots come in order.

    ``what`` says which value of the quantity it is, where it is not a plain reading.

    None and numbers that are not finite are no value. A slot that is not later than
    the last one is ignored while the alert is not ``INACTIVE``.
    """
    if value is None or not math.isfinite(value):
        return state, []
    if state.told_us is not None and slot_us <= state.told_us:
        return state, []
    on = not _is_over(rule, value) if state.raised else _is_beyond(rule, value)
    state, change = due(rule, put(state, slot_us, on=on), slot_us)
    if state.since_us is None:
        state = INACTIVE
    if change is None:
        return state, []
    return state, [_event(rule, asset, change, value, subject, what)]


def run(
    rule: AlertRule,
    asset: str,
    state: Occurrence,
    slots_us: npt.NDArray[np.int64],
    values: npt.NDArray[np.floating[Any]],
) -> tuple[Occurrence, list[tuple[int, Event]]]:
    """``step`` over a column, each event with its place; quiet values cost nothing."""
    loud = np.flatnonzero(~quiet(rule, values))
    out: list[tuple[int, Event]] = []
    place = 0
    while place < len(values):
        if state == INACTIVE:
            following = int(np.searchsorted(loud, place))
            if following == len(loud):
                break
            place = int(loud[following])
        slot_us, value = int(slots_us[place]), float(values[place])
        state, events = step(rule, asset, state, slot_us, value)
        out += ((place, event) for event in events)
        place += 1
    return state, out


def quiet(
    rule: AlertRule, values: npt.NDArray[np.floating[Any]]
) -> npt.NDArray[np.bool_]:
    """Where a value does nothing to an ``INACTIVE`` alert; NaN is no value."""
    loud: npt.NDArray[np.bool_] = np.zeros(len(values), np.bool_)
    # A plain float would be rounded to float32 first, as ``step`` does not.
    if rule.above is not None:
        loud |= values > np.float64(rule.above)
    if rule.below is not None:
        loud |= values < np.float64(rule.below)
    loud &= np.isfinite(values)
    return ~loud


def number(value: float, quantity: str | None) -> str:
    """A value with its unit.

    >>> number(123.4000015, "realPower"), number(0.5, "powerFactor")
    ('123.4 kW', '0.5')
    """
    known = QUANTITIES.get(quantity or "")
    return f"{digits(value, quantity)} {known.unit if known else ''}".strip()


def digits(value: float, quantity: str | None) -> str:
    """A value with the digits that its type has in a frame."""
    known = QUANTITIES.get(quantity or "")
    return f"{value:.7g}" if known and known.avro_type == "float" else f"{value:.13g}"


def _is_beyond(rule: AlertRule, value: float) -> bool:
    above, below = rule.above, rule.below
    return (above is not None and value > above) or (
        below is not None and value < below
    )


def _is_over(rule: AlertRule, value: float) -> bool:
    above, below = rule.above, rule.below
    return (above is None or value <= above - rule.hysteresis) and (
        below is None or value >= below + rule.hysteresis
    )


def _event(
    rule: AlertRule, asset: str, change: Change, value: float, subject: str, what: str
) -> Event:
    quantity = rule.quantity
    data = {"quantity": quantity or "", "value": digits(value, quantity)}
    text = f"{quantity} {what}".strip() + f" {number(value, quantity)} is "
    limit, side = rule.above, "above"
    if limit is None or (rule.below is not None and value < rule.below):
        limit, side = rule.below, "below"
    if change.until_us is None and limit is not None:
        text += f"{side} {number(limit, quantity)}"
        data["limit"] = digits(limit, quantity)
    elif rule.above is not None and rule.below is not None:
        text += f"between {digits(rule.below, quantity)} and "
        text += f"{number(rule.above, quantity)} again"
    elif limit is not None:
        text += f"no longer {side} {number(limit, quantity)}"
        data["limit"] = digits(limit, quantity)
    return tell(rule, asset, change, text, data, subject)
