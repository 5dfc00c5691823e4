"""Rules and state of the machine that makes intervals of a counter. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from transforms.energy import surgeon
from transforms.energy.counter import CounterRules
from transforms.energy.interval import Interval
from transforms.energy.load import PowerMinute
from transforms.energy.reconcile import BudgetRules
from transforms.snapshot import fields_of

__all__ = [
    "MINUTES",
    "NEW",
    "Counting",
    "IntervalRules",
    "Span",
    "from_snapshot",
    "to_snapshot",
]

VERSION = 1
MINUTES = 120  # of power; in a hole there are more


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalRules:
    """One counter of one asset, and the intervals it is told in.

    ``interval_of`` gives the bounds of the interval that holds a time. ``wait_us``: how
    late power may come. ``shape_us``: around a hole, power that long shows the load.
    ``kept``: told intervals that are kept at most while a broken line may come back.
    ``nominal_us``: the length of the intervals, which their ids tell.
    """

    asset: str
    counter: CounterRules
    interval_of: Callable[[int], tuple[int, int]]
    budget: BudgetRules = field(default_factory=BudgetRules)
    wait_us: int = 300_000_000
    shape_us: int = 300_000_000
    kept: int = 96
    nominal_us: int = 0


class Span(NamedTuple):
    """Energy between two readings that waits to be cut at bounds until power came.

    ``hole``: a slot between the two has no reading that counts.
    """

    start_us: int
    end_us: int
    delta_wh: int
    hole: bool


class Counting(NamedTuple):
    """What is kept of one counter.

    ``slot_us`` and ``period_us`` are the last slot's, answered or not. Before
    ``floor_us`` nothing can be booked any more. ``minutes`` of power are kept for the
    load shape, up to ``power_us``, the end of the last one. ``cuts`` are the times at
    which the transformer ratio changed.
    """

    counter: surgeon.Surgeon = surgeon.NEW
    slot_us: int = -1
    period_us: int = 0
    floor_us: int = 0
    intervals: tuple[Interval, ...] = ()
    spans: tuple[Span, ...] = ()
    minutes: tuple[PowerMinute, ...] = ()
    power_us: int | None = None
    cuts: tuple[int, ...] = ()


NEW = Counting()


def to_snapshot(state: Counting) -> tuple[Any, ...]:
    """The state as plain tuples, version first."""
    plain = state._asdict()
    plain["counter"] = surgeon.to_snapshot(state.counter)
    for name in ("intervals", "spans", "minutes"):
        plain[name] = tuple(map(tuple, plain[name]))
    return (VERSION, *plain.values())


def from_snapshot(snapshot: tuple[Any, ...]) -> Counting:
    """The state as it was."""
    fields = fields_of(snapshot, VERSION, "an energy snapshot")
    state = Counting(*fields)
    return state._replace(
        counter=surgeon.from_snapshot(state.counter),
        intervals=tuple(Interval(*interval) for interval in state.intervals),
        spans=tuple(Span(*span) for span in state.spans),
        minutes=tuple(PowerMinute(*minute) for minute in state.minutes),
    )
