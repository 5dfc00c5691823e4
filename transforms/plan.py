"""Which groups of a meter are polled, by which protocol and how often."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from transforms.model.profile import Group, Profile, Protocol
from transforms.model.quantity import QUANTITIES

__all__ = [
    "MeterProtocol",
    "PlannedGroup",
    "counters_only",
    "groups_of",
    "makes_minutes",
    "protocol_of",
]

MeterProtocol = Literal["ethernet_ip", "modbus", "both"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedGroup:
    """One group to poll: its slots are ``period_seconds`` apart."""

    group: Group
    protocol: Protocol
    period_seconds: float

    @property
    def requests_per_second(self) -> float:
        """What polling it asks of the meter, on average."""
        return self.group.requests(self.protocol) / self.period_seconds


def protocol_of(group: Group, meter_protocol: MeterProtocol) -> Protocol:
    """The protocol that carries a group of a meter.

    ``both``: counters go by Modbus, where they are exact integers, all others by
    EtherNet/IP; a group that only one protocol can carry goes by that one.
    """
    if meter_protocol != "both":
        return meter_protocol
    if not group.ethernet_ip or (group.modbus and counters_only(group)):
        return "modbus"
    return "ethernet_ip"


def groups_of(
    profile: Profile,
    meter_protocol: MeterProtocol,
    configured: Mapping[str, float] | None,
) -> tuple[PlannedGroup, ...]:
    """The groups to poll, in the profile's order.

    ``configured`` names them with their periods in seconds. None takes all groups that
    the protocol can carry, at the profile's own periods. ValueError where a configured
    group does not exist or cannot be carried: a checked site never gets there.
    """
    names = {group.name for group in profile.group}
    if unknown := sorted(set(configured or ()) - names):
        raise ValueError(f"profile {profile.name} has no group {', '.join(unknown)}")
    planned = []
    for group in profile.group:
        if configured is not None and group.name not in configured:
            continue
        protocol = protocol_of(group, meter_protocol)
        if not group.requests(protocol):
            if configured is not None:
                raise ValueError(f"{protocol} cannot carry group {group.name}")
            continue
        period = group.period_seconds if configured is None else configured[group.name]
        planned.append(
            PlannedGroup(group=group, protocol=protocol, period_seconds=period)
        )
    return tuple(planned)


def counters_only(group: Group) -> bool:
    """Whether every reading of a group is a counter."""
    return all(QUANTITIES[point.quantity].kind == "counter" for point in group.points)


def makes_minutes(period_seconds: float) -> bool:
    """Whether slots of this period fill whole minutes, which demand is made of.

    >>> makes_minutes(7.5), makes_minutes(8.0), makes_minutes(300.0)
    (True, False, False)
    """
    return 60_000_000 % max(1, round(period_seconds * 1_000_000)) == 0
