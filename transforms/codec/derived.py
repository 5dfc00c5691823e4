"""Demand and energy of an interval: what an electricity bill is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from transforms.codec.record import AvroRecord, IdsAfter, content_id, record_avro

__all__ = ["Demand", "Energy", "demand_id", "energy_id", "energy_interval_us"]

# What a site may choose: whole minutes that divide the day.
_ENERGY_INTERVALS_US = tuple(n * 60_000_000 for n in range(1, 1441) if 1440 % n == 0)


def demand_id(
    asset: str, quantity: str, method: str, interval_us: int, start_us: int
) -> str:
    """The id of a demand; who tells one many times may keep it."""
    return content_id(*_demand_content(asset, quantity, method, interval_us, start_us))


def _demand_content(
    asset: str, quantity: str, method: str, interval_us: int, start_us: int
) -> tuple[object, ...]:
    return asset, "demand", quantity, method, interval_us, start_us


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand(AvroRecord):
    """Mean of a quantity over ``[start, end)``; times in microseconds, UTC.

    ``method`` is ``block`` or ``sliding``, ``interval`` its length in microseconds.
    ``value`` is in the quantity's unit, NaN where nothing was measured; ``quality`` is
    one ``Quality`` code. ``forecast`` stands in a block that still runs: the value that
    it will come to; None in one that is over.
    """

    AVRO: ClassVar[dict[str, Any]] = record_avro(
        "Demand",
        ("quantity", "string"),
        ("method", "string"),
        ("interval", "long"),
        ("start", "long"),
        ("end", "long"),
        ("value", "double"),
        ("quality", "int"),
        ("forecast", ["null", "double"]),
    )
    asset: str
    quantity: str
    method: str
    interval: int
    start: int
    end: int
    value: float
    quality: int
    forecast: float | None = None
    revision: int = 0
    id: str = ""

    def _content(self) -> tuple[object, ...]:
        return _demand_content(
            self.asset, self.quantity, self.method, self.interval, self.start
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy(AvroRecord):
    """Energy that a counter counted in ``[start, end)``, exact to its resolution.

    In the counter's unit (kWh, kvarh). ``counterStart`` and ``counterEnd`` are the
    readings it lies between, None where there is none; ``substituted`` is the part of
    ``energy`` that was counted over slots without a reading and distributed.
    ``integral`` is that of the power measured meanwhile, None where it is not known;
    ``budget`` is how much the two may differ. ``verdict`` is ``agrees``, ``differs`` or
    ``unknown``; ``reason`` says why, or what was wrong with the counter.
    """

    AVRO: ClassVar[dict[str, Any]] = record_avro(
        "Energy",
        ("quantity", "string"),
        ("start", "long"),
        ("end", "long"),
        ("energy", "double"),
        ("counterStart", ["null", "double"]),
        ("counterEnd", ["null", "double"]),
        ("substituted", "double"),
        ("integral", ["null", "double"]),
        ("budget", ["null", "double"]),
        ("verdict", "string"),
        ("reason", ["null", "string"]),
        ("quality", "int"),
    )
    asset: str
    quantity: str
    start: int
    end: int
    energy: float
    substituted: float
    quality: int
    counterStart: float | None = None  # noqa: N815 - the names of the contract
    counterEnd: float | None = None  # noqa: N815
    integral: float | None = None
    budget: float | None = None
    verdict: str = "unknown"
    reason: str | None = None
    revision: int = 0
    id: str = ""

    def _content(self) -> tuple[object, ...]:
        return self.asset, "energy", self.quantity, self.start


def energy_id(asset: str, quantity: str, interval_us: int, start_us: int) -> str:
    """The id of an energy; ``interval_us`` is the length of the site's intervals."""
    return content_id(asset, "energy", quantity, interval_us, start_us)


def energy_interval_us(energy: Energy) -> int:
    """The length of the site's intervals of which this is one, in microseconds.

    The record itself is shorter where it is the first or was cut, and longer over a long
    hole or where the clock goes back, so the length that makes its id is looked for. Its
    own where none does.
    """
    own_us = energy.end - energy.start
    ids = IdsAfter(energy.asset, "energy", energy.quantity)
    for length_us in (own_us, *_ENERGY_INTERVALS_US):
        if ids.after(f"{length_us}\0{energy.start}") == energy.id:
            return length_us
    return own_us
