"""``pm500 check``: the site and its polling budget, before anything runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from connectors.commissioning.record import CommissioningRecord
from connectors.profiles import load_profile
from dataflows.commands.options import SiteOption, use_site
from dataflows.meters import meter_plans, own_plans
from dataflows.replica import Replica, ReplicaError, replica
from dataflows.site import Meter, Site, SiteError, load_site
from transforms.budget import Budget, plan
from transforms.plan import PlannedGroup, makes_minutes

__all__ = ["budgets", "check"]


def check(
    site: SiteOption = Path("site.toml"),
    probe: Annotated[
        bool,
        typer.Option(
            "--probe",
            help="Ask every meter who it is and record what was found; ask the InfluxDB "
            "server whether it takes points.",
        ),
    ] = False,
    with_modbus: Annotated[
        bool,
        typer.Option(
            "--with-modbus",
            help="Probe by Modbus too where a meter has it; it silences EtherNet/IP "
            "for all clients meanwhile.",
        ),
    ] = False,
) -> None:
    """Check the site file and print what it makes pm500 do.

    Exit code 2 where there are mistakes, all of them listed; 1 where a meter or the
    InfluxDB server does not pass its probe; 3 where acquire runs, which a probe would disturb.
    """
    if with_modbus and not probe:
        raise typer.BadParameter("--with-modbus goes with --probe")
    try:
        checked = load_site(site)
        part = replica()
        _try_kafka(site, checked)
    except (SiteError, ReplicaError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    for line in _lines(site, checked, part, budgets(checked)):
        typer.echo(line)
    if probe:
        from dataflows.commands.probe import probe_server, probe_site

        use_site(site)
        passed = [
            probe_server(checked),
            probe_site(checked, with_modbus=with_modbus),
        ]
        if not all(passed):
            raise typer.Exit(1)


def budgets(site: Site) -> list[tuple[Meter, Budget]]:
    """The polling budget of every meter, in the site's order."""
    return [
        (meter, plan(load_profile(meter.profile), meter.protocol, meter.groups))
        for meter in site.meter
    ]


def _lines(
    path: Path, site: Site, part: Replica, planned: list[tuple[Meter, Budget]]
) -> Iterator[str]:
    log, observe = site.log, site.observe
    survives = {"normal": "kill -9", "full": "kill -9 and power cuts"}[log.synchronous]
    yield f"site      {site.site.name}, time zone {site.site.time_zone} ({path})"
    yield (
        f"log       {site.log_path}, {log.synchronous} (survives {survives}), "
        f"kept {log.retention_hours:g} h or {log.retention_bytes / 1e9:g} GB"
    )
    if site.mqtt:
        mqtt = site.mqtt
        yield f"mqtt      {mqtt.host}:{mqtt.port}, Sparkplug group {mqtt.group}"
    else:
        yield "mqtt      none: publish does not run"
    yield f"kafka     {_kafka(site)}"
    if site.archive:
        yield f"archive   {_place(site)}, commits every {_rolls(site)}"
    else:
        yield "archive   none: archive does not run"
    yield f"influx    {_influx(site)}"
    ports = f"ports from {observe.base_port}" if observe.base_port else "free ports"
    yield f"observe   {observe.host}, {ports}"
    if not part.alone:
        record = CommissioningRecord(site.commissioning_path)
        own = len(own_plans(meter_plans(site, record), part))
        yield f"replica   {part}: polls {own} of {len(site.meter)} meter(s)"
    for meter, budget in planned:
        yield ""
        yield f"{site.asset(meter)}  {meter.profile} at {meter.host}"
        for group in budget.groups:
            requests = group.group.requests(group.protocol)
            yield (
                f"  {group.group.name:<10} every {group.period_seconds:>6g} s  "
                f"{requests} request(s) by {group.protocol}"
            )
            if site.derive and _lacks_minutes(group):
                yield (
                    f"  {'':<10} the period does not divide 60 s: no demand, no peaks, "
                    "and no power that energy is held against"
                )
        yield (
            f"  {'budget':<10} {budget.requests_per_second:.2f} of "
            f"{budget.limit_per_second:g} requests/s, one connection at a time"
        )
    frames = sum(1 / g.period_seconds for _, b in planned for g in b.groups)
    requests_all = sum(budget.requests_per_second for _, budget in planned)
    yield ""
    yield (
        f"total     {len(planned)} meter(s), {frames:.2f} frames/s, "
        f"{requests_all:.2f} requests/s"
    )


def _lacks_minutes(planned: PlannedGroup) -> bool:
    """Whether it has the power, but not by the minute."""
    has_power = any(point.quantity == "realPower" for point in planned.group.points)
    return has_power and not makes_minutes(planned.period_seconds)


def _try_kafka(path: Path, site: Site) -> None:
    """SiteError where ``[kafka]`` holds what no client takes; nothing is connected."""
    if site.kafka is None:
        return
    from dataflows.kafka import KafkaSettingsError, kafka_client

    try:
        kafka_client(site)
    except KafkaSettingsError as error:
        raise SiteError(path, [str(error)]) from error


def _kafka(site: Site) -> str:
    kafka = site.kafka
    if kafka is None:
        return "none: forward does not run"
    return (
        f"{kafka.bootstrap_servers}, topics {kafka.topic_prefix}pm500.*, frames in "
        f"{kafka.partitions} partition(s), {kafka.replication} replica(s), "
        f"kept {kafka.retention_hours:g} h"
    )


def _influx(site: Site) -> str:
    influx = site.influx
    if influx is None:
        return "none: historian does not run"
    where = f"bucket {influx.bucket} of {influx.org}"
    if influx.version == 1:
        where = f"database {influx.database}"
    return (
        f"{influx.url}, {where}, batches of {influx.batch_records} records or "
        f"{influx.batch_seconds:g} s"
    )


def _place(site: Site) -> str:
    if not site.archive_place.startswith("s3://") or site.s3.endpoint is None:
        return site.archive_place
    return f"{site.archive_place} at {site.s3.endpoint}"


def _rolls(site: Site) -> str:
    assert site.archive is not None
    roll = site.archive
    return f"{roll.roll_seconds:g} s, {roll.roll_rows} rows or {roll.roll_bytes} bytes"
