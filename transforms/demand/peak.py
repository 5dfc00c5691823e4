"""The highest demand of each quantity in each billing period, and when it was.

A change of settings, as of the meter's ratio or its interval, begins a new series: its
demands are no measure of those before, so it has a peak of its own in that period.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from transforms.codec.record import content_id
from transforms.codec.records import Demand, Event
from transforms.demand.over import Over
from transforms.demand.rules import DemandRules
from transforms.model.quality import Quality
from transforms.model.quantity import QUANTITIES

__all__ = ["NEVER_US", "Peak", "Top", "take"]

# Instead of an instant: the settings never changed.
NEVER_US = -1
_KEPT_PERIODS = 2
# Of both periods together; a correction reaches back over a change or two.
_KEPT_SERIES = 4
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
    """The highest demands of one quantity and series in one billing period.

    The highest first, of equal ones the earliest. The series began at ``since_us``;
    ``is_later`` says that the period has one of before. ``revision`` is that of the
    next event.
    """

    quantity: str
    start_us: int
    end_us: int
    since_us: int = NEVER_US
    is_later: bool = False
    tops: tuple[Top, ...] = ()
    revision: int = 0


Peaks = tuple[Peak, ...]


def take(
    rules: DemandRules, peaks: Peaks, over: Over, since_us: int
) -> tuple[Peaks, Event | None]:
    """Take a demand that is over; the event of its peak if that changes.

    A demand belongs to the period in which it starts, and takes the place of its own
    earlier revision. One is no peak if less than 90 % of the calendar's interval was
    measured, be it for failed polls, or that the interval was partly seen or cut by a
    change of settings. The event says how much was. Two periods are kept. The settings
    changed last at ``since_us``.
    """
    demand = over.demand
    start, end = rules.calendar.month(demand.start, rules.billing_first_day)
    ours = [p for p in peaks if p.quantity == demand.quantity]
    own = [p for p in ours if p.start_us == start]
    # A slide reaches back over the change, though it has no minute of before.
    is_of_now = demand.method == "sliding" or demand.start >= since_us
    peak = _of_now(own, since_us) if is_of_now else _of_before(own, demand)
    if peak is None:
        is_old = len({p.start_us for p in ours}) == _KEPT_PERIODS
        if not is_of_now or (is_old and start < ours[0].start_us):
            return peaks, None
        peak = Peak(demand.quantity, start, end, since_us, is_later=bool(own))
    tops = _tops(peak.tops, over)
    event, revision = None, peak.revision
    if tops and tops[:1] != peak.tops[:1]:
        event = _event(rules, peak, demand, tops[0])
        revision += 1
    if tops == peak.tops and peak in ours:
        return peaks, None
    new = peak._replace(tops=tops, revision=revision)
    others = (p for p in peaks if p.quantity != demand.quantity)
    ours = _kept([*(p for p in ours if p != peak), new])
    return tuple(sorted((*others, *ours))), event


def _of_now(own: list[Peak], since_us: int) -> Peak | None:
    return next((p for p in own if p.since_us == since_us), None)


def _of_before(own: list[Peak], demand: Demand) -> Peak | None:
    """The peak that a block of before the change counts for, if that is kept."""
    before = [p for p in own if p.since_us <= demand.start] or own[:1]
    return before[-1] if before else None


def _kept(ours: list[Peak]) -> list[Peak]:
    periods = sorted({p.start_us for p in ours})[-_KEPT_PERIODS:]
    return sorted(p for p in ours if p.start_us in periods)[-_KEPT_SERIES:]


def _tops(tops: tuple[Top, ...], over: Over) -> tuple[Top, ...]:
    demand = over.demand
    new = [t for t in tops if (t.start_us, t.end_us) != (demand.start, demand.end)]
    if demand.quality < _NO_VALUE and over.covers(_LEAST_PERCENT):
        new.append(Top(demand.value, demand.start, demand.end, over.covered_percent))
    new.sort(key=lambda top: (-top.value, top.start_us))
    return tuple(new[:_KEPT_TOPS])


def _event(rules: DemandRules, peak: Peak, demand: Demand, top: Top) -> Event:
    unit = QUANTITIES[peak.quantity].unit
    series = (demand.method, demand.interval, peak.since_us) if peak.is_later else ()
    since = {"series_start": _iso(peak.since_us)} if peak.is_later else {}
    return Event(
        asset=rules.asset,
        kind="demand_peak",
        time=top.start_us,
        until=top.end_us,
        text=f"peak demand of the billing period: {peak.quantity} {top.value:g} {unit}",
        data={
            "quantity": peak.quantity,
            "method": demand.method,
            "interval": str(demand.interval),
            "value": repr(top.value),
            "unit": unit,
            "period_start": _iso(peak.start_us),
            "period_end": _iso(peak.end_us),
            "covered_percent": f"{top.covered_percent:.1f}",
        }
        | since,
        revision=peak.revision,
        id=content_id(
            rules.asset, "demand_peak", peak.quantity, peak.start_us, *series
        ),
    )


def _iso(time_us: int) -> str:
    """Such as 2026-02-28T23:00:00Z; of any time, unlike datetime's."""
    return f"{np.datetime64(time_us, 'us').astype('datetime64[s]')}Z"
