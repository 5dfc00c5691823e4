"""The highest demand of each quantity in each billing period, and when it was."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from transforms.codec.record import content_id
from transforms.codec.records import Event
from transforms.demand.over import Over
from transforms.demand.rules import DemandRules
from transforms.model.quality import Quality
from transforms.model.quantity import QUANTITIES

__all__ = ["Peak", "Top", "take"]

_KEPT_PERIODS = 2
# A correction may lower the peak; then the next one counts.
_KEPT_TOPS = 4
# A single poll that failed must not hide the peak of the month.
_LEAST_PERCENT = 90
_NO_VALUE = int(Quality.BAD_NO_VALUE)


class Top(NamedTuple):
    """A demand that may be the peak."""

    value: float
    start_us: int
    end_us: int
    covered_percent: float


class Peak(NamedTuple):
    """The highest demands of one quantity in one billing period, the highest first.

    Of equal ones the earliest. ``revision`` is that of the next event.
    """

    quantity: str
    start_us: int
    end_us: int
    tops: tuple[Top, ...] = ()
    revision: int = 0


Peaks = tuple[Peak, ...]


def take(rules: DemandRules, peaks: Peaks, over: Over) -> tuple[Peaks, Event | None]:
    """Take a demand that is over; the event of the period's peak if that changes.

    A demand belongs to the period in which it starts, and takes the place of its own
    earlier revision. One is no peak if less than 90 % of the calendar's interval was
    measured, be it for failed polls, or that the interval was partly seen or cut by a
    change of settings. The event says how much was. Two periods are kept.
    """
    quantity, start_us = over.demand.quantity, over.demand.start
    start, end = rules.calendar.month(start_us, rules.billing_first_day)
    ours = [p for p in peaks if p.quantity == quantity]
    peak = next((p for p in ours if p.start_us == start), None)
    if peak is None:
        if len(ours) == _KEPT_PERIODS and start < ours[0].start_us:
            return peaks, None
        peak = Peak(quantity, start, end)
    tops = _tops(peak.tops, over)
    event, revision = None, peak.revision
    if tops and tops[:1] != peak.tops[:1]:
        event = _event(rules, peak, tops[0])
        revision += 1
    if tops == peak.tops and peak in ours:
        return peaks, None
    new = Peak(quantity, start, end, tops, revision)
    ours = sorted((*(p for p in ours if p.start_us != start), new))[-_KEPT_PERIODS:]
    others = (p for p in peaks if p.quantity != quantity)
    return tuple(sorted((*others, *ours))), event


def _tops(tops: tuple[Top, ...], over: Over) -> tuple[Top, ...]:
    demand = over.demand
    new = [t for t in tops if (t.start_us, t.end_us) != (demand.start, demand.end)]
    if demand.quality < _NO_VALUE and over.covers(_LEAST_PERCENT):
        new.append(Top(demand.value, demand.start, demand.end, over.covered_percent))
    new.sort(key=lambda top: (-top.value, top.start_us))
    return tuple(new[:_KEPT_TOPS])


def _event(rules: DemandRules, peak: Peak, top: Top) -> Event:
    unit = QUANTITIES[peak.quantity].unit
    return Event(
        asset=rules.asset,
        kind="demand_peak",
        time=top.start_us,
        until=top.end_us,
        text=f"peak demand of the billing period: {peak.quantity} {top.value:g} {unit}",
        data={
            "quantity": peak.quantity,
            "value": repr(top.value),
            "unit": unit,
            "period_start": _iso(peak.start_us),
            "period_end": _iso(peak.end_us),
            "covered_percent": f"{top.covered_percent:.1f}",
        },
        revision=peak.revision,
        id=content_id(rules.asset, "demand_peak", peak.quantity, peak.start_us),
    )


def _iso(time_us: int) -> str:
    """Such as 2026-02-28T23:00:00Z; of any time, unlike datetime's."""
    return f"{np.datetime64(time_us, 'us').astype('datetime64[s]')}Z"
