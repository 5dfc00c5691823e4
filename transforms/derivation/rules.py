"""What derive is told by the site: settings of windows, meters and alerts, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from transforms.alerts.rule import AlertRule
from transforms.codec.frame import FrameSchema
from transforms.energy.counter import CounterRules
from transforms.enrich import Enricher
from transforms.over_time import live_quantities
from transforms.windows.bay import WindowRules

__all__ = ["DeriveRules", "MeterRules"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterRules:
    """One meter: whose slots tell its life, its counters, its demand unless it says.

    ``has_power``: its power is polled too, so that energy is held against it.
    """

    watched: str = "realtime"
    has_power: bool = True
    counters: Mapping[str, CounterRules] = field(default_factory=dict)
    demand_method: str = "block"
    demand_interval_us: int = 900_000_000


@dataclass(frozen=True, kw_only=True)
class DeriveRules:
    """``meters`` by asset; ``unknown`` counts for one that the site does not have.

    ``energy_us`` is the length of an energy interval. A frame whose slot lies
    ``future_us`` behind its own answer is left out. ``coarse`` are quantities by
    profile that stand still for long, because the meter gives few digits of them.
    """

    windows: WindowRules
    meters: Mapping[str, MeterRules] = field(default_factory=dict)
    unknown: MeterRules = field(default_factory=MeterRules)
    alerts: tuple[AlertRule, ...] = ()
    energy_us: int = 900_000_000
    billing_first_day: int = 1
    future_us: int = 60_000_000
    coarse: Mapping[str, frozenset[str]] = field(default_factory=dict)
    enricher: Enricher = field(default_factory=lambda: Enricher({}))

    def meter(self, asset: str) -> MeterRules:
        """The rules of an asset."""
        return self.meters.get(asset, self.unknown)

    @property
    def failing_us(self) -> int | None:
        """How long slots fail before the first alert asks for it; None if none does."""
        gaps = (rule.longer_than_us for rule in self.alerts if rule.kind == "gap")
        return min(gaps, default=None)

    def may_freeze(self, schema: FrameSchema) -> npt.NDArray[np.bool_]:
        """Which readings of a frame always move, the shape (readings,)."""
        coarse = self.coarse.get(schema.profile, frozenset())
        fine = np.array([name not in coarse for name in schema.names], np.bool_)
        return live_quantities(schema.names) & fine
