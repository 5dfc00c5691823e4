"""``pm500 check --probe``: ask meters and server, print what was found, record it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import typer

from connectors.commissioning.probe import Check, probe
from connectors.commissioning.record import CommissioningRecord
from connectors.log.contract import EVENTS, LogError
from connectors.log.embedded import EmbeddedLog
from connectors.log.schemas import publish_schemas
from connectors.polling.plan import MeterPlan
from dataflows.logs import warnings_only
from dataflows.meters import meter_plans, own_plans, poll_settings
from dataflows.runtime import hold_name, replica_or_exit
from dataflows.site import Meter, Site
from transforms.codec.records import Event
from transforms.model.profile import Protocol

__all__ = ["probe_server", "probe_site"]


def probe_site(site: Site, *, with_modbus: bool) -> bool:
    """Check the replica's meters, one after the other; whether all passed.

    Polling must not run meanwhile: a meter has one client at a time, and Modbus
    silences its EtherNet/IP.
    """
    warnings_only()
    hold_name(site, "acquire")
    record = CommissioningRecord(site.commissioning_path)
    part = replica_or_exit()
    plans = own_plans(meter_plans(site, record), part)
    meters = [site.meter[plan.index] for plan in plans]
    checks = asyncio.run(_all(site, meters, plans, with_modbus=with_modbus))
    now = datetime.now(UTC)
    for plan, check in zip(plans, checks, strict=True):
        entry = check.entry(plan.polled.profile, now)
        if check.reached:
            record.store(check.asset, record.completed(check.asset, entry))
        typer.echo(f"\n{check.asset}  {_verdict(check)}")
        for fact in check.facts:
            typer.echo(f"  {fact}")
        for finding in check.findings:
            typer.echo(f"  WRONG: {finding}")
    _tell(site, checks, now)
    typer.echo(f"\nrecorded in {site.commissioning_path}")
    return all(check.passed for check in checks)


def probe_server(site: Site) -> bool:
    """Ask the InfluxDB server, if the site has one; whether it takes points."""
    if site.influx is None:
        return True
    from dataflows.influx import target_of
    from sinks.influx.probe import probe_influx

    target = target_of(site, site.influx)
    found = probe_influx(target)
    said = "passed" if found.wrong is None else "FAILED"
    typer.echo(f"\nInfluxDB at {target}  {said}")
    typer.echo(f"  version {found.version}")
    if found.wrong is not None:
        typer.echo(f"  WRONG: {found.wrong}")
    return found.wrong is None


def _verdict(check: Check) -> str:
    if not check.reached:
        return "NOT REACHED: nothing is recorded, an earlier check stays"
    if not check.passed:
        return "FAILED"
    if check.split and check.radix is None:
        return "passed, but its energy stays uncertain: the radix was not shown"
    return "passed"


async def _all(
    site: Site,
    meters: Sequence[Meter],
    plans: Sequence[MeterPlan],
    *,
    with_modbus: bool,
) -> list[Check]:
    settings = poll_settings(site)
    return [
        await probe(plan, settings, _protocols(meter, plan, with_modbus=with_modbus))
        for meter, plan in zip(meters, plans, strict=True)
    ]


def _protocols(
    meter: Meter, plan: MeterPlan, *, with_modbus: bool
) -> tuple[Protocol, ...]:
    if meter.protocol == "both":
        return ("ethernet_ip", "modbus")
    if meter.protocol == "ethernet_ip" and with_modbus and plan.polled.profile.modbus:
        return ("ethernet_ip", "modbus")
    return (meter.protocol,)


def _tell(site: Site, checks: Sequence[Check], now: datetime) -> None:
    """Say it in the events, too; the record alone decides."""
    events = [
        Event(
            asset=check.asset,
            kind="commissioned" if check.passed else "commissioning_failed",
            time=round(now.timestamp() * 1e6),
            severity="info" if check.passed else "error",
            text="; ".join(check.findings) or "the meter is what its profile says",
            data=check.description,
        )
        for check in checks
    ]
    try:
        log = EmbeddedLog(site.log_path, synchronous=site.log.synchronous)
        publish_schemas(log, ())
        log.append(EVENTS, [(event.asset, event.encode()) for event in events])
        log.close()
    except LogError as error:
        typer.echo(f"the events could not be written: {error}", err=True)
