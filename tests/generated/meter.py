"""Meters that exist by their load alone: no address, no socket, no clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from connectors.polling.schedule import stagger_us
from connectors.profiles import load_profile
from connectors.simulator.device import Device
from connectors.simulator.fleet import SimulatedMeter
from transforms.assemble import PolledGroup, PolledMeter
from transforms.model.outcome import Meaning
from transforms.plan import groups_of

__all__ = ["GeneratedMeter", "meters_of"]

_RADIX_KWH = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedMeter:
    """One pm500, commissioned. The same settings give the same meter.

    ``exact``: counters come by Modbus, in whole Wh; else by EtherNet/IP as pairs of
    float32. ``periods``: seconds by group, None for the day's own.
    """

    asset: str
    seed: int = 0
    exact: bool = True
    rated_amps: float = 100.0
    electrical_system: Literal["1P", "2P", "3P", "3P.2", "3P.1", "3P.n"] = "3P.n"
    feeds_back: bool = False
    serial: int = 940_000_000
    stagger_us: int = 0
    periods: Mapping[str, float] | None = None

    def polled(self, periods: Mapping[str, float]) -> PolledMeter:
        """What acquire would poll of it, in the order of a round."""
        profile = load_profile("pm500")
        wanted = groups_of(
            profile,
            "both" if self.exact else "ethernet_ip",
            self.periods or periods,
        )
        groups = tuple(
            PolledGroup(
                group=planned.group,
                protocol=planned.protocol,
                period_us=round(planned.period_seconds * 1e6),
            )
            for planned in sorted(wanted, key=lambda p: p.protocol == "modbus")
        )
        return PolledMeter(asset=self.asset, profile=profile, groups=groups)

    def device(self) -> Device:
        """The simulated meter, which has all it says as a function of time."""
        simulated = SimulatedMeter(
            name=self.asset,
            address="127.1.0.1",
            seed=self.seed,
            rated_amps=self.rated_amps,
            electrical_system=self.electrical_system,
            feeds_back=self.feeds_back,
            serial=self.serial,
            energy_high_multiplier=_RADIX_KWH,
        )
        return Device(simulated)

    def meaning(self, *, swapped: bool) -> Meaning:
        """What acquire knows of it; a meter put in later is not commissioned."""
        system = self.electrical_system
        return Meaning(system=system) if swapped else Meaning(True, system, _RADIX_KWH)


def meters_of(
    count: int, *, seed: int = 0, periods: Mapping[str, float] | None = None
) -> tuple[GeneratedMeter, ...]:
    """``plant/hall/m000`` ...: every other one exact, every fifth feeds back.

    They are staggered as acquire does it, and differ in seed, serial and current.
    """
    return tuple(
        GeneratedMeter(
            asset=f"plant/hall/m{n:03d}",
            seed=seed * 1_000_003 + n,
            exact=n % 2 == 0,
            rated_amps=(63.0, 100.0, 250.0, 400.0)[n % 4],
            feeds_back=n % 5 == 4,
            serial=940_000_000 + n,
            stagger_us=stagger_us(n, count, 1_000_000),
            periods=periods,
        )
        for n in range(count)
    )
