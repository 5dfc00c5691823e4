"""``pm500 simulate``: meters on the loopback net, until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from connectors.profiles import profile_names
from connectors.simulator.faults import Fault, seeded_faults
from connectors.simulator.fleet import (
    Fleet,
    FleetError,
    SimulatedMeter,
    fleet_of,
    read_fleet,
)
from connectors.simulator.record import Record
from connectors.simulator.server import Simulator, allow_many_connections, now_us

__all__ = ["simulate"]

_DAY_US = 86_400_000_000


def simulate(
    meters: Annotated[
        int, typer.Option(min=1, max=60_000, help="How many meters, from 127.1.0.1 on.")
    ] = 10,
    fleet: Annotated[
        Path | None,
        typer.Option(help="TOML with [[meter]] and [[fault]] instead of --meters."),
    ] = None,
    ethernet_ip_port: Annotated[
        int,
        typer.Option(min=0, max=65535, help="TCP and UDP port; 0 takes a free one."),
    ] = 44818,
    modbus_port: Annotated[
        int, typer.Option(min=0, max=65535, help="TCP port; 0 takes a free one.")
    ] = 5020,
    seed: Annotated[int, typer.Option(help="Decides loads and faults.")] = 0,
    faults: Annotated[
        bool, typer.Option(help="Inject seeded faults, about one a meter and hour.")
    ] = False,
    record: Annotated[
        Path | None,
        typer.Option(help="Write every request, answer and fault as JSON lines."),
    ] = None,
    profile: Annotated[str, typer.Option(help="Meter model of --meters.")] = "pm500",
    output_json: Annotated[
        bool, typer.Option("--json", help="Print the ports as one JSON line.")
    ] = False,
) -> None:
    """Simulate meters: EtherNet/IP and Modbus TCP, the meter by its loopback address."""
    try:
        wanted = read_fleet(fleet) if fleet else _plain_fleet(meters, profile, seed)
    except FleetError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    start_us = now_us()
    planned = [fault.shifted(start_us) for fault in wanted.faults]
    if faults:
        names = [meter.name for meter in wanted.meters]
        planned += seeded_faults(seed, names, start_us, start_us + 7 * _DAY_US)
    allow_many_connections()
    log = Record(keep=False, path=record)
    try:
        asyncio.run(
            _serve(
                wanted.meters,
                planned,
                log,
                (ethernet_ip_port, modbus_port),
                as_json=output_json,
            )
        )
    except OSError as error:
        typer.echo(f"cannot listen: {error}", err=True)
        raise typer.Exit(1) from None


def _plain_fleet(count: int, profile: str, seed: int) -> Fleet:
    if profile not in profile_names():
        known = ", ".join(profile_names())
        raise FleetError(
            "simulate", [f"profile: {profile!r} is not shipped; there are: {known}"]
        )
    return Fleet(meters=fleet_of(count, profile=profile, seed=seed))


async def _serve(
    meters: Sequence[SimulatedMeter],
    faults: Sequence[Fault],
    record: Record,
    ports: tuple[int, int],
    *,
    as_json: bool,
) -> None:
    """Serve until a signal asks to stop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    simulator = Simulator(meters, faults, record=record)
    await simulator.start(*ports)
    first, last = meters[0].address, meters[-1].address
    if as_json:
        ready = {
            "ready": True,
            "meters": len(meters),
            "first": first,
            "last": last,
            "ethernet_ip_port": simulator.ethernet_ip_port,
            "modbus_port": simulator.modbus_port,
        }
        typer.echo(json.dumps(ready))
    else:
        typer.echo(f"EtherNet/IP: port {simulator.ethernet_ip_port}")
        typer.echo(f"Modbus TCP: port {simulator.modbus_port}")
        typer.echo(f"ready: {len(meters)} meter(s), {first} to {last}")
    try:
        await stop.wait()
    finally:
        await simulator.close()
