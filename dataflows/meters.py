"""The site's meters as plans for the pollers, with their mistakes."""

from __future__ import annotations

from collections.abc import Sequence

from connectors.commissioning.record import CommissioningRecord
from connectors.polling.plan import MeterPlan, PollSettings
from connectors.polling.schedule import stagger_us
from connectors.profiles import load_profile
from dataflows.replica import Replica
from dataflows.site import Meter, Site
from transforms.assemble import PolledGroup, PolledMeter
from transforms.model.outcome import Meaning
from transforms.plan import groups_of

__all__ = ["meter_plans", "own_plans", "poll_settings", "polled_meter"]

# Replicas share whole instants where each gets so many, and their parts are about equal.
_MANY = 20


def polled_meter(site: Site, meter: Meter) -> PolledMeter:
    """What is polled of a meter, by which protocol and how often.

    Modbus comes last in a round: where it silences EtherNet/IP, the silence then falls
    into the pause before the next slots.
    """
    profile = load_profile(meter.profile)
    planned_groups = groups_of(profile, meter.protocol, meter.groups)
    groups = tuple(
        PolledGroup(
            group=planned.group,
            protocol=planned.protocol,
            period_us=round(planned.period_seconds * 1e6),
        )
        for planned in sorted(planned_groups, key=lambda p: p.protocol == "modbus")
    )
    return PolledMeter(asset=site.asset(meter), profile=profile, groups=groups)


def poll_settings(site: Site) -> PollSettings:
    """The site's polling times."""
    return PollSettings(**site.poll.model_dump(exclude={"check_clock"}))


def meter_plans(site: Site, record: CommissioningRecord) -> list[MeterPlan]:
    """One plan per meter, staggered evenly over the shortest period."""
    polled = [polled_meter(site, meter) for meter in site.meter]
    shortest = min(group.period_us for m in polled for group in m.groups)
    return [
        _plan(site.meter[index], index, meter, len(polled), shortest, record)
        for index, meter in enumerate(polled)
    ]


def own_plans(plans: Sequence[MeterPlan], part: Replica) -> list[MeterPlan]:
    """Those that a replica polls; the parts of all replicas are the whole, once each.

    Meters that are asked at the same instant stay together, so that a replica wakes no
    more often for its meters than one process would. Where there are few instants the
    meters are dealt out one by one.
    """
    instants = list(dict.fromkeys(plan.stagger_us for plan in plans))
    if len(instants) < _MANY * part.count:
        return part.own(plans)
    own = set(part.own(instants))
    return [plan for plan in plans if plan.stagger_us in own]


def _plan(
    meter: Meter,
    index: int,
    polled: PolledMeter,
    count: int,
    shortest_us: int,
    record: CommissioningRecord,
) -> MeterPlan:
    def meaning(serial: str) -> Meaning:
        known = record.meaning(polled.asset, polled.profile, serial)
        system = meter.electrical_system or known.system
        return known._replace(system=system)

    unit = polled.profile.modbus.unit if polled.profile.modbus else 1
    return MeterPlan(
        index=index,
        polled=polled,
        host=meter.host,
        ethernet_ip_port=meter.ethernet_ip_port,
        modbus_port=meter.modbus_port,
        modbus_unit=unit if meter.modbus_unit is None else meter.modbus_unit,
        stagger_us=stagger_us(index, count, shortest_us),
        meaning=meaning,
    )
