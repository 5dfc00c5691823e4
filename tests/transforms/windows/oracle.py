"""Windows as their docstrings say, slot by slot in plain Python: slow, and easy to read.

It looks at what came in the end, whatever order it came in.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

from transforms.calendar import Calendar

__all__ = ["Fact", "Window", "oracle"]

_NAN = float("nan")


class Fact(NamedTuple):
    """A frame of one lane, with a quality and a value for each reading."""

    lane: int
    slot: int
    period: int
    status: int
    quality: tuple[int, ...]
    values: tuple[float, ...]


class Window(NamedTuple):
    """What a window record must say; the last six have an entry for each reading."""

    end: int
    due: int
    good: int
    quality: list[int]
    mean: list[float]
    low: list[float]
    high: list[float]
    last: list[float]
    percent: list[float]


def oracle(facts: Iterable[Fact], length: int, calendar: Calendar) -> dict[int, Window]:
    """The windows of one lane by their start, of the first frame of each slot."""
    known: dict[int, Fact] = {}
    for fact in facts:
        known.setdefault(fact.slot, fact)
    order = [known[slot] for slot in sorted(known)]
    # Windows are made of what fits in them.
    due = [(s, period) for s, period in _due(order) if not length % period]
    fitting = [fact for fact in order if not length % fact.period]
    inside: dict[tuple[int, int], list[Fact]] = {}
    for fact in fitting:
        inside.setdefault(calendar.window(fact.slot, length), []).append(fact)
    return {
        start: _window(end, [p for slot, p in due if start <= slot < end], found)
        for (start, end), found in inside.items()
    }


def _due(order: list[Fact]) -> list[tuple[int, int]]:
    """Slots from the first frame to the last, on the grid of the frame before each."""
    slots = [
        (slot, fact.period)
        for fact, following in pairwise(order)
        for slot in range(fact.slot, following.slot, fact.period)
    ]
    return slots + [(fact.slot, fact.period) for fact in order[-1:]]


def _window(end: int, periods: list[int], facts: list[Fact]) -> Window:
    """Its due slots by their periods; in a mixed one uncertain values are holes."""
    due, is_mixed = len(periods), len(set(periods)) > 1
    readings = [
        _reading(due, is_mixed, [(f.quality[n], f.values[n], f.period) for f in facts])
        for n in range(len(facts[0].values))
    ]
    return Window(
        end,
        due,
        sum(fact.status == 0 for fact in facts),
        *([reading[n] for reading in readings] for n in range(6)),  # type: ignore[arg-type]
    )


def _reading(
    due: int, is_mixed: bool, slots: list[tuple[int, float, int]]
) -> tuple[int, float, float, float, float, float]:
    """Quality, mean, least, greatest and last value, percent of good ones."""
    valued = [(value, period) for code, value, period in slots if code < 100]
    goods = sum(code in (0, 1) for code, _, _ in slots)
    percent = 100 * goods / due
    if not valued:
        worst = max(code for code, _, _ in slots)
        return worst, _NAN, _NAN, _NAN, _NAN, percent
    code = max(code for code, _, _ in slots if code < 100)
    if (goods if is_mixed else len(valued)) < due:
        code = max(code, 7)
    values = [value for value, _ in valued]
    area = sum(value * period for value, period in valued)
    mean = area / sum(period for _, period in valued)
    return code, mean, min(values), max(values), values[-1], percent
