"""Means of minutes, and over many of them the mean of what was measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from transforms.model.quality import Quality
from transforms.rules import OVERLOAD

__all__ = [
    "DEMAND_QUANTITIES",
    "FORECAST_QUANTITIES",
    "SECOND_US",
    "SLACK_SECONDS",
    "DemandMinute",
    "Mean",
    "Tally",
    "added",
    "known",
    "mean_from",
    "mean_of",
    "tally_of",
]

DEMAND_QUANTITIES = (
    "realPower",
    "apparentPower",
    "currentA",
    "currentB",
    "currentC",
)

# Known each minute, before the interval is over; currents are told once it is.
FORECAST_QUANTITIES = DEMAND_QUANTITIES[:2]

SECOND_US = 1_000_000
# Seconds are sums of floats.
SLACK_SECONDS = 1e-6
# Members of an enumeration are slow to come by, and this is done for every minute.
_NO_VALUE = int(Quality.BAD_NO_VALUE)
_INCOMPLETE = int(Quality.UNCERTAIN_INCOMPLETE)
_NOTHING = (0.0, 0.0, _NO_VALUE)


class DemandMinute(NamedTuple):
    """One minute ``[start, end)`` of an asset, in the order of ``DEMAND_QUANTITIES``.

    ``means`` are in the quantities' units, NaN for none; ``weights`` are the seconds
    that each covers; ``codes`` are ``Quality``. Times are microseconds, UTC.
    """

    start_us: int
    end_us: int
    means: tuple[float, ...]
    weights: tuple[float, ...]
    codes: tuple[int, ...]


class Tally(NamedTuple):
    """What the mean of one quantity is made of, a number per ``known`` minute.

    ``areas`` are means times ``weights``; ``code`` is the worst of the minutes that
    have a weight. Sums are made of all numbers each time: so they are exact, and the
    same in any order.
    """

    areas: tuple[float, ...]
    weights: tuple[float, ...]
    code: int


class Mean(NamedTuple):
    """A mean over ``seconds`` of measured time; ``value`` is None where that is 0.

    ``quality`` is ``UNCERTAIN_INCOMPLETE`` where some time was not measured.
    """

    value: float | None
    quality: int
    seconds: float

    @property
    def content(self) -> tuple[float | None, int]:
        """What a record says of it."""
        return self.value, self.quality


def known(minute: DemandMinute) -> DemandMinute:
    """The minute with plain zeros where nothing is known, so that equal means equal.

    Nothing is known where the code has no value, the mean is none or beyond what a
    meter can show, or no second is covered. No weight is longer than the minute. One
    that is plain already is given back itself.
    """
    start_us, end_us, means, weights, codes = minute
    longest = (end_us - start_us) / SECOND_US
    for mean, weight, code in zip(means, weights, codes, strict=True):
        if not (
            -OVERLOAD <= mean <= OVERLOAD
            and 0 < weight <= longest
            and code < _NO_VALUE
            and type(code) is int
        ):
            return _plain(minute, longest)
    return minute


def _plain(minute: DemandMinute, longest: float) -> DemandMinute:
    kept = []
    for mean, weight, code in zip(
        minute.means, minute.weights, minute.codes, strict=True
    ):
        seconds = min(weight, longest)
        has_value = code < _NO_VALUE and abs(mean) <= OVERLOAD
        kept.append(
            (mean, seconds, int(code)) if has_value and seconds > 0 else _NOTHING
        )
    means, weights, codes = zip(*kept, strict=True)
    return DemandMinute(minute.start_us, minute.end_us, means, weights, codes)


def tally_of(minutes: Sequence[DemandMinute], place: int) -> Tally:
    """The tally of one quantity over ``known`` minutes."""
    weights = [minute.weights[place] for minute in minutes]
    areas = [m.means[place] * w for m, w in zip(minutes, weights, strict=True)]
    codes = [m.codes[place] for m, w in zip(minutes, weights, strict=True) if w]
    return Tally(tuple(areas), tuple(weights), max(codes, default=0))


def added(tally: Tally, minute: DemandMinute, place: int) -> Tally:
    """The tally with one ``known`` minute more."""
    areas, weights, code = tally
    weight = minute.weights[place]
    if weight and minute.codes[place] > code:
        code = minute.codes[place]
    return Tally((*areas, minute.means[place] * weight), (*weights, weight), code)


def mean_from(tally: Tally, span_us: int) -> Mean:
    """The mean over minutes that lie in ``span_us``."""
    areas, weights, quality = tally
    seconds = math.fsum(weights)
    if not seconds:
        return Mean(None, _NO_VALUE, 0.0)
    if quality < _INCOMPLETE and seconds + SLACK_SECONDS < span_us / SECOND_US:
        quality = _INCOMPLETE
    return Mean(math.fsum(areas) / seconds, quality, seconds)


def mean_of(minutes: Sequence[DemandMinute], place: int, span_us: int) -> Mean:
    """The mean of one quantity over ``known`` minutes that lie in ``span_us``."""
    return mean_from(tally_of(minutes, place), span_us)
