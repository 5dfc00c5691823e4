"""Reads a meter's description at connect and hourly; an event when it changes."""

from __future__ import annotations

from connectors.link import Link
from transforms.assemble import PolledMeter
from transforms.codec.records import Event
from transforms.description import describe
from transforms.model.profile import Protocol

__all__ = ["Describer", "read_description"]

_HOUR_US = 3_600_000_000
_RETRY_US = 60_000_000


async def read_description(
    link: Link, meter: PolledMeter, protocol: Protocol
) -> dict[str, str]:
    """Ask an open link for the description; LinkError where it gives none."""
    description = meter.profile.description
    if protocol == "ethernet_ip":
        blocks = {b.instance: await link.read(b) for b in description.ethernet_ip}
    else:
        blocks = {b.address: await link.read(b) for b in description.modbus}
    return describe(meter.profile, protocol, blocks)


class Describer:
    """Knows what one meter said last."""

    def __init__(self, meter: PolledMeter) -> None:
        self._meter = meter
        self._next_us: dict[Protocol, int] = {}
        self._told_us = -1
        self.known: dict[str, str] = {}

    def forget(self, protocol: Protocol) -> None:
        """A new connection: the device may be another, so it is asked again."""
        self._next_us.pop(protocol, None)

    async def read(
        self, link: Link, protocol: Protocol, now_us: int, at_us: int | None = None
    ) -> Event | None:
        """The event of a first or changed description; None where nothing is new.

        ``at_us``: from when on it holds, if that is not now. No two events have one time.
        """
        if now_us < self._next_us.get(protocol, 0):
            return None
        # Set before asking: a meter that gives none is not asked in every round.
        self._next_us[protocol] = now_us + _RETRY_US
        found = await read_description(link, self._meter, protocol)
        self._next_us[protocol] = now_us + _HOUR_US
        changed = {k: v for k, v in found.items() if self.known.get(k, v) != v}
        first = any(name not in self.known for name in found)
        before = {f"{k}.before": self.known[k] for k in changed}
        self.known |= found
        time_us = max(now_us if at_us is None else at_us, self._told_us + 1)
        if changed or (first and found):
            self._told_us = time_us
        if changed:
            names = ", ".join(sorted(changed))
            return Event(
                asset=self._meter.asset,
                kind="configuration_changed",
                time=time_us,
                severity="warning",
                text=f"the meter's settings changed: {names}",
                data=found | before,
            )
        if first and found:
            return Event(
                asset=self._meter.asset,
                kind="meter_described",
                time=time_us,
                text="what the meter says of itself",
                data=found,
            )
        return None
