"""``pm500 check``: the site and its polling budget, before anything runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from connectors.profiles import load_profile
from dataflows.commands.options import SiteOption, use_site
from dataflows.site import Meter, Site, SiteError, load_site
from transforms.budget import Budget, plan

__all__ = ["budgets", "check"]


def check(
    site: SiteOption = Path("site.toml"),
    probe: Annotated[
        bool,
        typer.Option(
            "--probe", help="Ask every meter who it is and record what was found."
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

    Exit code 2 where there are mistakes, all of them listed; 1 where a meter does not
    pass its probe; 3 where acquire runs, which a probe would disturb.
    """
    if with_modbus and not probe:
        raise typer.BadParameter("--with-modbus goes with --probe")
    try:
        checked = load_site(site)
    except SiteError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    for line in _lines(site, checked, budgets(checked)):
        typer.echo(line)
    if probe:
        from dataflows.commands.probe import probe_site

        use_site(site)
        if not probe_site(checked, with_modbus=with_modbus):
            raise typer.Exit(1)


def budgets(site: Site) -> list[tuple[Meter, Budget]]:
    """The polling budget of every meter, in the site's order."""
    return [
        (meter, plan(load_profile(meter.profile), meter.protocol, meter.groups))
        for meter in site.meter
    ]


def _lines(
    path: Path, site: Site, planned: list[tuple[Meter, Budget]]
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
    if site.archive:
        yield f"archive   {site.archive_path}, commits every {_rolls(site)}"
    else:
        yield "archive   none: archive does not run"
    ports = f"ports from {observe.base_port}" if observe.base_port else "free ports"
    yield f"observe   {observe.host}, {ports}"
    for meter, budget in planned:
        yield ""
        yield f"{site.asset(meter)}  {meter.profile} at {meter.host}"
        for group in budget.groups:
            requests = group.group.requests(group.protocol)
            yield (
                f"  {group.group.name:<10} every {group.period_seconds:>6g} s  "
                f"{requests} request(s) by {group.protocol}"
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


def _rolls(site: Site) -> str:
    assert site.archive is not None
    roll = site.archive
    return f"{roll.roll_seconds:g} s, {roll.roll_rows} rows or {roll.roll_bytes} bytes"
