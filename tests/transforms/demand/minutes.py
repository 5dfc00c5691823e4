"""Minutes of one asset, and what the machine tells of them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime

from transforms.calendar import Calendar
from transforms.codec.records import Demand, Event
from transforms.demand.machine import START, DemandState, Told, step
from transforms.demand.mean import DemandMinute
from transforms.demand.rules import DemandRules

MINUTE = 60_000_000
NAN = math.nan
BERLIN = Calendar("Europe/Berlin")


def us(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp()) * 1_000_000


# A block of every length begins here.
T0 = us("2026-05-04T10:00+02:00")


def rules(method: str = "block", minutes: int = 5) -> DemandRules:
    return DemandRules("press", BERLIN, method, minutes * MINUTE)


def minute(
    number: int,
    kw: float,
    *,
    seconds: float = 60.0,
    code: int = 0,
    amperes: float = 1.0,
    t0: int = T0,
) -> DemandMinute:
    """The minute of that number after ``t0``; apparent power is 10 kVA above real."""
    start = t0 + number * MINUTE
    means = (kw, kw + 10, amperes, amperes, NAN)
    return DemandMinute(
        start, start + MINUTE, means, (seconds,) * 5, (code,) * 4 + (104,)
    )


def steady(first: int, kws: Iterable[float], t0: int = T0) -> list[DemandMinute]:
    """Whole minutes one after the other."""
    return [minute(number, kw, t0=t0) for number, kw in enumerate(kws, first)]


def run(
    demand_rules: DemandRules,
    minutes: Iterable[DemandMinute],
    state: DemandState = START,
) -> tuple[DemandState, Told]:
    """Everything that is told of these minutes."""
    out: Told = []
    for one in minutes:
        state, told = step(demand_rules, state, one)
        out += told
    return state, out


def demands(told: Told, quantity: str = "realPower") -> list[Demand]:
    """The demands of one quantity."""
    return [r for r in told if isinstance(r, Demand) and r.quantity == quantity]


def over(told: Told, quantity: str = "realPower") -> list[tuple[int, float, int]]:
    """Start in minutes after ``T0``, value and quality of each that is over."""
    return [
        ((d.start - T0) // MINUTE, d.value, d.quality)
        for d in demands(told, quantity)
        if d.forecast is None
    ]


def told_powers(told: Told) -> list[tuple[str, float | None, int, float | None]]:
    """Quantity, value, quality and forecast of power; NaN reads as None."""
    return [
        (d.quantity, None if math.isnan(d.value) else d.value, d.quality, d.forecast)
        for d in told
        if isinstance(d, Demand) and d.quantity.endswith("Power")
    ]


def events(told: Told, quantity: str = "realPower") -> list[Event]:
    """The peaks of one quantity."""
    return [r for r in told if isinstance(r, Event) and r.data["quantity"] == quantity]


def contents(told: Told) -> dict[str, tuple[object, ...]]:
    """By id the content of the highest revision; NaN reads as None."""
    out: dict[str, tuple[object, ...]] = {}
    for record in sorted(told, key=lambda r: r.revision):
        match record:
            case Demand():
                value = None if math.isnan(record.value) else record.value
                out[record.id] = (
                    record.start,
                    record.end,
                    value,
                    record.quality,
                    record.forecast,
                )
            case Event():
                out[record.id] = (
                    record.time,
                    record.until,
                    *sorted(record.data.items()),
                )
    return out
