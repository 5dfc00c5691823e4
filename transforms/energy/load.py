"""What measured power says of the load in a stretch of time. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

__all__ = ["PowerMinute", "mean_kw", "measured"]

_HOUR_US = 3_600_000_000


class PowerMinute(NamedTuple):
    """Integral of the power that a counter counts, over the measured time of a minute.

    ``energy_wh`` was measured over ``covered_us``; ``peak_kw`` is the highest power.
    """

    start_us: int
    end_us: int
    energy_wh: float
    covered_us: int
    peak_kw: float


def measured(
    minutes: Iterable[PowerMinute], start_us: int, end_us: int
) -> tuple[float, int]:
    """Energy in Wh and measured time of minutes inside a stretch, in proportion."""
    energy_wh, covered_us = 0.0, 0
    for minute in minutes:
        inside = min(end_us, minute.end_us) - max(start_us, minute.start_us)
        length = minute.end_us - minute.start_us
        if inside <= 0 or not math.isfinite(minute.energy_wh):
            continue
        if inside == length:
            energy_wh += minute.energy_wh
            covered_us += minute.covered_us
        else:
            energy_wh += minute.energy_wh * inside / length
            covered_us += minute.covered_us * inside // length
    return energy_wh, covered_us


def mean_kw(minutes: Iterable[PowerMinute], start_us: int, end_us: int) -> float | None:
    """Mean power in a stretch over the time that was measured; None for none."""
    energy_wh, covered_us = measured(minutes, start_us, end_us)
    if covered_us <= 0:
        return None
    return energy_wh / 1000 / (covered_us / _HOUR_US)
