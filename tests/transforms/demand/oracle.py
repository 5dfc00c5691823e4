"""Blocks of power counted the plain way: all minutes so far, at once."""

from __future__ import annotations

import math
from collections.abc import Sequence

from transforms.demand.mean import DemandMinute

Content = tuple[str, float | None, int, float | None]

POWERS = ("realPower", "apparentPower")


def running(
    minutes: Sequence[DemandMinute], start_us: int, end_us: int
) -> list[Content]:
    """Quantity, value, quality and forecast of a block with these minutes."""
    ordered = sorted(minutes)
    now_us = ordered[-1].end_us
    rest = (end_us - now_us) / 1e6
    out: list[Content] = []
    for place, quantity in enumerate(POWERS):
        value, quality, seconds, last = _mean(ordered, place, now_us - start_us)
        forecast = None
        if value is not None:
            forecast = (value * seconds + last * rest) / (seconds + rest)
        out.append((quantity, value, quality, forecast))
    return out


def over(minutes: Sequence[DemandMinute], start_us: int, end_us: int) -> list[Content]:
    """The same of a block that is over."""
    means = [_mean(sorted(minutes), place, end_us - start_us) for place in (0, 1)]
    return [
        (quantity, value, quality, None)
        for quantity, (value, quality, _, _) in zip(POWERS, means, strict=True)
    ]


def _mean(
    minutes: Sequence[DemandMinute], place: int, span_us: int
) -> tuple[float | None, int, float, float]:
    """Value, quality, seconds and the last value."""
    known = [
        (m.means[place], m.weights[place], m.codes[place])
        for m in minutes
        if m.weights[place] and m.codes[place] < 100 and not math.isnan(m.means[place])
    ]
    if not known:
        return None, 100, 0.0, 0.0
    seconds = math.fsum(weight for _, weight, _ in known)
    value = math.fsum(mean * weight for mean, weight, _ in known) / seconds
    quality = max(code for _, _, code in known)
    if seconds < span_us / 1e6:
        quality = max(quality, 7)
    return value, quality, seconds, known[-1][0]
