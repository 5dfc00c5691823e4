"""Asks one meter, once, what its profile only infers; the poller must not run.

Identity, assembly sizes, the order of members by plausibility, and the radix of the
split energy counters against the exact ones of Modbus.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from connectors.commissioning.record import Entry
from connectors.ethernet_ip.link import EthernetIpLink
from connectors.link import Link, LinkError
from connectors.polling.describe import read_description
from connectors.polling.links import METERS
from connectors.polling.plan import MeterPlan, PollSettings
from transforms.description import system_of
from transforms.model import wire
from transforms.model.metrics import NO_METRICS
from transforms.model.outcome import Meaning
from transforms.model.profile import Group, Profile, Protocol
from transforms.model.quality import Quality
from transforms.plan import counters_only
from transforms.plausibility import energy_radix, implausible, loaded
from transforms.readings import GroupReader

__all__ = ["Check", "probe"]


@dataclass(slots=True, kw_only=True)
class Check:
    """What a probe found: ``facts`` that hold and ``findings`` that must be mended."""

    asset: str
    facts: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    serials: list[str] = field(default_factory=list)
    description: dict[str, str] = field(default_factory=dict)
    reached: bool = False
    split: bool = False
    radix: float | None = None

    @property
    def passed(self) -> bool:
        """Whether nothing was found wrong."""
        return not self.findings

    def entry(self, profile: Profile, now: datetime) -> Entry:
        """The check as it is recorded."""
        return Entry(
            passed=self.passed,
            checked_at=now.astimezone(UTC).isoformat(timespec="seconds"),
            profile=profile.name,
            profile_version=profile.version,
            serials=tuple(s for s in self.serials if s),
            firmware=self.description.get("firmwareBase", ""),
            system=system_of(self.description),
            energy_high_multiplier=self.radix,
            findings=tuple(self.findings),
        )


async def probe(
    plan: MeterPlan, settings: PollSettings, protocols: Sequence[Protocol]
) -> Check:
    """Check one meter by these protocols, one after the other."""
    check = Check(asset=plan.polled.asset)
    pairs: dict[str, tuple[float, float]] = {}
    exact: dict[str, float] = {}
    for protocol in protocols:
        link = METERS[protocol](plan, settings, NO_METRICS)
        try:
            identity = await link.connect()
            check.serials.append(identity.serial)
            check.reached = True
            named = f"{identity.product} code {identity.code}".strip()
            told = f"{named} revision {identity.revision} serial {identity.serial}"
            check.facts.append(f"{protocol}: {told}")
            await _describe(link, plan, protocol, check)
            if isinstance(link, EthernetIpLink):
                await _sizes(link, plan.polled.profile, check)
                pairs |= await _pairs(link, plan.polled.profile)
            else:
                exact |= await _counters(link, plan.polled.profile)
            await _plausible(link, plan.polled.profile, protocol, check)
        except LinkError as error:
            check.findings.append(f"{protocol}: {error}")
        finally:
            link.close()
    check.split = bool(pairs)
    if pairs:
        _radix(pairs, exact, check)
    return check


async def _describe(
    link: Link, plan: MeterPlan, protocol: Protocol, check: Check
) -> None:
    found = await read_description(link, plan.polled, protocol)
    check.description |= found
    if serial := found.get("serialText"):
        check.serials.append(serial)
    if found:
        told = ", ".join(f"{name} {value}" for name, value in found.items())
        check.facts.append(f"{protocol}: {told}")


async def _sizes(link: EthernetIpLink, profile: Profile, check: Check) -> None:
    blocks = [block for group in profile.group for block in group.ethernet_ip]
    blocks += profile.description.ethernet_ip
    for block in sorted(blocks, key=lambda b: b.instance):
        size = await link.assembly_size(block.instance)
        if size != block.size:
            check.findings.append(
                f"assembly {block.instance} has {size} bytes, not {block.size}"
            )
    sizes = ", ".join(str(block.instance) for block in blocks)
    check.facts.append(f"ethernet_ip: sizes of assemblies {sizes} read")


async def _read(link: Link, group: Group, protocol: Protocol) -> list[bytes]:
    blocks = group.ethernet_ip if protocol == "ethernet_ip" else group.modbus
    return [await link.read(block) for block in blocks]


async def _plausible(
    link: Link, profile: Profile, protocol: Protocol, check: Check
) -> None:
    """Hold one set of live readings to physics: a wrong member order shows."""
    group = _live_group(profile)
    if group is None:
        return
    blocks = await _read(link, group, protocol)
    system = system_of(check.description)
    reader = GroupReader(profile, group, protocol, Meaning(True, system))
    quality, values = reader.read(blocks)
    named = zip(reader.names, values, quality, strict=True)
    readings = {n: float(v) for n, v, q in named if q < Quality.BAD_NO_VALUE}
    wrong = implausible(readings, system)
    check.findings += [f"{protocol}: {finding}" for finding in wrong]
    lost = [
        f"{protocol}: {name} is {Quality(q).label}"
        for name, q in zip(reader.names, quality, strict=True)
        if q >= Quality.BAD_NO_VALUE and q != Quality.BAD_NOT_IN_SYSTEM
    ]
    check.findings += lost
    if not wrong and not lost and not loaded(readings):
        check.findings.append(
            f"{protocol}: no load, so the order of the powers is not shown: check again"
        )
    elif not wrong and not lost:
        check.facts.append(f"{protocol}: {len(readings)} live readings are plausible")


def _live_group(profile: Profile) -> Group | None:
    """The group that has the powers of the moment."""
    for group in profile.group:
        if any(point.quantity == "realPower" for point in group.points):
            return group
    return None


async def _pairs(link: Link, profile: Profile) -> dict[str, tuple[float, float]]:
    """The split counters as they stand: high and low part."""
    out: dict[str, tuple[float, float]] = {}
    for group in profile.group:
        split = [
            (point.quantity, point.ethernet_ip)
            for point in group.points
            if point.ethernet_ip and point.ethernet_ip.type == "real_pair"
        ]
        if not split:
            continue
        blocks = await _read(link, group, "ethernet_ip")
        by_instance = {
            b.instance: data for b, data in zip(group.ethernet_ip, blocks, strict=True)
        }
        for quantity, at in split:
            data = by_instance[at.instance]
            high = wire.unpack("real", data, at.offset, "<")
            low = wire.unpack("real", data, at.offset + 4, "<")
            out[quantity] = float(high), float(low)
    return out


async def _counters(link: Link, profile: Profile) -> dict[str, float]:
    """The counters by Modbus, in kWh and kvarh."""
    group = next((g for g in profile.group if g.modbus and counters_only(g)), None)
    if group is None:
        return {}
    blocks = await _read(link, group, "modbus")
    reader = GroupReader(profile, group, "modbus", Meaning(commissioned=True))
    _, values = reader.read(blocks)
    return dict(zip(reader.names, map(float, values), strict=True))


def _radix(
    pairs: dict[str, tuple[float, float]], exact: dict[str, float], check: Check
) -> None:
    if not exact:
        check.facts.append("energy radix: not checked, Modbus was not asked")
        return
    if not any(high for high, _ in pairs.values()):
        check.facts.append("energy radix: not shown yet, all high parts are zero")
        return
    check.radix = energy_radix(pairs, exact)
    if check.radix is None:
        check.findings.append("energy radix: no power of ten fits the exact counters")
    else:
        check.facts.append(f"energy radix: {check.radix:g} kWh per high unit")
