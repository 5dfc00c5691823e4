"""Sliding demand of power: at each minute's end, the mean of the last interval.

Minutes of the last two intervals are kept. A minute that comes late, or again, within
the last interval gives the next revision of every mean that changes by it; an older one
changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from transforms.codec.derived import Demand
from transforms.demand.mean import DEMAND_QUANTITIES, DemandMinute, Mean, mean_of
from transforms.demand.over import Over
from transforms.demand.rules import DemandRules

__all__ = ["Slide", "take"]

_POWERS = range(2)


class Slide(NamedTuple):
    """A ``known`` minute at whose end a mean was told, and its next revisions."""

    minute: DemandMinute
    revisions: tuple[int, ...] = (0,) * len(_POWERS)


Slides = tuple[Slide, ...]


def take(
    rules: DemandRules, slides: Slides, since_us: int | None, minute: DemandMinute
) -> tuple[Slides, list[Over]]:
    """Take a ``known`` minute; none of before ``since_us`` counts."""
    before = {slide.minute.start_us: slide for slide in slides}
    same = before.get(minute.start_us)
    newest_us = max([minute.end_us, *(s.minute.end_us for s in slides[-1:])])
    early = since_us is not None and minute.start_us < since_us
    late = minute.end_us <= newest_us - rules.interval_us
    if early or late or (same and same.minute == minute):
        return slides, []
    now = same._replace(minute=minute) if same else Slide(minute)
    after = sorted((before | {minute.start_us: now}).values())
    was, now_is = [s.minute for s in slides], [s.minute for s in after]
    out: list[Over] = []
    kept = []
    for old in after:
        end_us = old.minute.end_us
        slide = old
        if minute.end_us <= end_us <= minute.start_us + rules.interval_us:
            slide, told = _told(rules, old, was, now_is)
            out += told
        if end_us > newest_us - 2 * rules.interval_us:
            kept.append(slide)
    return tuple(kept), out


def _told(
    rules: DemandRules,
    slide: Slide,
    before: Sequence[DemandMinute],
    minutes: Sequence[DemandMinute],
) -> tuple[Slide, list[Over]]:
    """All where nothing was told, else what differs from how it was before."""
    out, revisions = [], list(slide.revisions)
    is_new = not any(slide.revisions)
    for place in _POWERS:
        end_us = slide.minute.end_us
        mean = _mean(rules, minutes, place, end_us)
        was = _mean(rules, before, place, end_us)
        if not is_new and mean == was:
            continue
        is_news = is_new or mean.content != was.content
        demand = Demand(
            asset=rules.asset,
            quantity=DEMAND_QUANTITIES[place],
            method="sliding",
            interval=rules.interval_us,
            start=end_us - rules.interval_us,
            end=end_us,
            value=math.nan if mean.value is None else mean.value,
            quality=mean.quality,
            revision=revisions[place],
        )
        out.append(Over(demand, mean.seconds, rules.interval_us, is_news))
        revisions[place] += is_news
    return slide._replace(revisions=tuple(revisions)), out


def _mean(
    rules: DemandRules, minutes: Sequence[DemandMinute], place: int, end_us: int
) -> Mean:
    start_us = end_us - rules.interval_us
    inside = [m for m in minutes if start_us <= m.start_us and m.end_us <= end_us]
    return mean_of(inside, place, rules.interval_us)
