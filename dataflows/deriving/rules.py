"""The site as rules of derive."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.commissioning.record import CommissioningRecord
from connectors.profiles import load_profile, profile_names
from dataflows.places import enricher_of
from dataflows.site import Derive, Meter, Site
from transforms.calendar import Calendar
from transforms.derivation.rules import DeriveRules, MeterRules
from transforms.energy.counter import CounterRules
from transforms.liveness import watched_group
from transforms.model.profile import Point, Protocol
from transforms.model.quantity import QUANTITIES
from transforms.over_time import OverTimeRules
from transforms.plan import groups_of
from transforms.windows.bay import WindowRules

__all__ = ["derive_rules"]


def derive_rules(site: Site) -> DeriveRules:
    """Everything that derive has to know of the site; a checked site gives no error."""
    settings = site.derive or Derive()
    record = CommissioningRecord(site.commissioning_path)
    return DeriveRules(
        windows=WindowRules(
            calendar=Calendar(site.site.time_zone),
            lengths_us=tuple(each * 1_000_000 for each in settings.windows_seconds),
            lateness_us=_us(settings.lateness_seconds),
            correction_us=_us(settings.correction_seconds),
            over_time=OverTimeRules(
                frozen_us=_us(settings.frozen_seconds),
                wiring_us=_us(settings.wiring_seconds),
            ),
        ),
        meters={
            site.asset(meter): _meter(site, settings, meter, record)
            for meter in site.meter
        },
        unknown=MeterRules(
            demand_method=settings.demand_method,
            demand_interval_us=settings.demand_minutes * 60_000_000,
        ),
        alerts=tuple(alert.rule() for alert in site.alert),
        energy_us=settings.energy_seconds * 1_000_000,
        billing_first_day=settings.billing_day,
        coarse=_coarse(),
        enricher=enricher_of(site),
    )


def _meter(
    site: Site, settings: Derive, meter: Meter, record: CommissioningRecord
) -> MeterRules:
    profile = load_profile(meter.profile)
    planned = groups_of(profile, meter.protocol, meter.groups)
    entry = record.entry(site.asset(meter))
    radix = (entry and entry.energy_high_multiplier) or profile.energy_high_multiplier
    counters = {
        point.quantity: _counter(point, each.protocol, radix, meter.maximum_kw)
        for each in planned
        for point in each.group.points
        if _is_energy(point.quantity) and point.at(each.protocol) is not None
    }
    return MeterRules(
        watched=watched_group({p.group.name: p.period_seconds for p in planned}),
        has_power=any(
            point.quantity == "realPower"
            for each in planned
            for point in each.group.points
        ),
        counters=counters,
        demand_method=settings.demand_method,
        demand_interval_us=settings.demand_minutes * 60_000_000,
    )


def _is_energy(quantity: str) -> bool:
    found = QUANTITIES[quantity]
    return found.kind == "counter" and found.unit in ("kWh", "kvarh")


def _counter(
    point: Point, protocol: Protocol, radix: float, maximum_kw: float
) -> CounterRules:
    at = point.at(protocol)
    assert at is not None
    split = at.type.endswith("_pair")
    return CounterRules(
        quantity=point.quantity,
        # A whole number of Wh at least: that is what energy is counted in.
        resolution_wh=1 if split else max(1, round(1000 / point.scale_by(protocol))),
        float32=split,
        radix_kwh=radix,
        modulus_wh=None if point.modulus is None else point.modulus * 1000,
        maximum_kw=maximum_kw,
    )


def _coarse() -> Mapping[str, frozenset[str]]:
    """Readings that come as short integers: they stand still though their load moves."""
    out = {}
    for name in profile_names():
        out[name] = frozenset(
            point.quantity
            for group in load_profile(name).group
            for point in group.points
            for protocol in ("ethernet_ip", "modbus")
            if (at := point.at(protocol)) is not None and at.type != "real"
        )
    return out


def _us(seconds: float) -> int:
    return round(seconds * 1e6)
