"""The links of one meter: one protocol at a time, never two connections at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from connectors.ethernet_ip.link import EthernetIpLink
from connectors.link import Identity, Link
from connectors.modbus.link import ModbusLink
from connectors.polling.plan import MeterPlan, PollSettings
from transforms.model.metrics import Metrics
from transforms.model.profile import Protocol

__all__ = ["METERS", "Links"]

LinkMaker = Callable[[MeterPlan, PollSettings, Metrics], Link]


def _ethernet_ip(plan: MeterPlan, settings: PollSettings, metrics: Metrics) -> Link:
    device = plan.polled.profile.ethernet_ip
    assert device is not None
    return EthernetIpLink(
        plan.host,
        plan.ethernet_ip_port or device.port,
        device,
        timeout_seconds=settings.timeout_seconds,
        metrics=metrics,
    )


def _modbus(plan: MeterPlan, settings: PollSettings, metrics: Metrics) -> Link:
    device = plan.polled.profile.modbus
    assert device is not None
    return ModbusLink(
        plan.host,
        plan.modbus_port or device.port,
        plan.modbus_unit,
        device,
        timeout_seconds=settings.timeout_seconds,
        metrics=metrics,
    )


METERS: dict[Protocol, LinkMaker] = {"ethernet_ip": _ethernet_ip, "modbus": _modbus}


class Links:
    """At most one open link to a meter; asking by another protocol closes the first."""

    def __init__(
        self, plan: MeterPlan, settings: PollSettings, metrics: Metrics
    ) -> None:
        used = {group.protocol for group in plan.polled.groups}
        self._links = {p: METERS[p](plan, settings, metrics) for p in used}
        self._open: Protocol | None = None

    @property
    def open_protocol(self) -> Protocol | None:
        """Which protocol's link is up."""
        return self._open

    def link(self, protocol: Protocol) -> Link:
        """The link of a protocol, open or not."""
        return self._links[protocol]

    async def open(self, protocol: Protocol) -> Identity | None:
        """Have this protocol's link up; its identity where it was opened just now."""
        if self._open == protocol:
            return None
        if self._open is not None:
            self.close()
            # The loop closes the socket in its next turn, and only then is it free.
            await asyncio.sleep(0)
        identity = await self._links[protocol].connect()
        self._open = protocol
        return identity

    def close(self) -> None:
        """Close whatever is open."""
        if self._open is not None:
            self._links[self._open].close()
            self._open = None
