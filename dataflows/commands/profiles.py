"""``pm500 profiles``: the shipped meter models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer

from connectors.profiles import load_profile, profile_names
from transforms.model.profile import (
    AssemblyLocation,
    Group,
    Location,
    Point,
    Profile,
    RegisterLocation,
)
from transforms.model.profile_check import ProfileError
from transforms.model.quantity import QUANTITIES

__all__ = ["profiles"]


def profiles(
    name: Annotated[
        str | None, typer.Argument(help="The profile to show; all names where absent.")
    ] = None,
) -> None:
    """List the shipped meter models, or show one with its points and their markings."""
    if name is None:
        for each in profile_names():
            typer.echo(f"{each:<12} {load_profile(each).title}")
        return
    try:
        profile = load_profile(name)
    except ProfileError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    for line in _profile(profile):
        typer.echo(line)


def _profile(profile: Profile) -> Iterator[str]:
    limits = profile.limits
    yield f"{profile.name} version {profile.version}: {profile.title}"
    spoken = [
        f"{label} (port {section.port})"
        for label, section in (
            ("EtherNet/IP", profile.ethernet_ip),
            ("Modbus TCP", profile.modbus),
        )
        if section
    ]
    yield f"speaks    {', '.join(spoken)}"
    yield (
        f"limits    {limits.requests_per_second:g} requests/s, "
        f"{limits.connections} connection(s), "
        f"periods from {limits.minimum_period_seconds:g} s"
    )
    for group in profile.group:
        yield ""
        yield f"group {group.name}, every {group.period_seconds:g} s"
        yield from _group(group)


def _group(group: Group) -> Iterator[str]:
    for point in group.point:
        unit = QUANTITIES[point.quantity].unit or "-"
        places = "; ".join(_places(point))
        disabled = "" if point.enabled else " (disabled)"
        yield f"  {point.quantity:<26} {unit:<6} {places}{disabled}"


def _places(point: Point) -> Iterator[str]:
    for at in (point.ethernet_ip, point.modbus):
        match at:
            case AssemblyLocation():
                yield f"assembly {at.instance} byte {at.offset} {_marking(at)}"
            case RegisterLocation():
                yield f"register {at.address:#06x} {_marking(at)}"


def _marking(at: Location) -> str:
    level = f", {at.level}" if at.level else ""
    return f"{at.type} [{at.status}{level}, {at.source}]"
