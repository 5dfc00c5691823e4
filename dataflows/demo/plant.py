"""The plant of the demo as two TOML files: what is simulated, and what is polled."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from random import Random
from typing import Literal, NamedTuple

from connectors.simulator.faults import ALWAYS_US, Fault
from dataflows.demo.servers import MqttAddress, Servers

__all__ = [
    "SITE",
    "DemoMeter",
    "SimulatorPorts",
    "fleet_toml",
    "plant_of",
    "site_toml",
]

SITE = "demo"

Protocol = Literal["ethernet_ip", "modbus", "both"]

# Twelve: seven by EtherNet/IP, two by Modbus, one by both, two of another model.
_KINDS: tuple[tuple[str, str, Protocol], ...] = (
    ("press/line1", "pm500", "ethernet_ip"),
    ("press/line2", "pm500", "modbus"),
    ("press/oven", "em24", "modbus"),
    ("press/robot", "pm500", "ethernet_ip"),
    ("utilities/air", "pm500", "both"),
    ("utilities/fan", "pm500", "ethernet_ip"),
    ("utilities/lab", "pm500", "ethernet_ip"),
    ("utilities/ups", "em24", "modbus"),
    ("packing/wrap", "pm500", "ethernet_ip"),
    ("packing/belt", "pm500", "modbus"),
    ("packing/label", "pm500", "ethernet_ip"),
    ("packing/dock", "pm500", "ethernet_ip"),
)
_AMPS = (250.0, 100.0, 63.0, 400.0)
_ENERGY_SECONDS = 5
# A Modbus session silences EtherNet/IP for a moment, so here it comes less often.
_ENERGY_SECONDS_BOTH = 10
_ROLL_SECONDS = 10
# Each has a process of derive.
_PARTITIONS = 2
# Short, so that a meter whose fault is over comes back while one is looking.
_LONGEST_BACKOFF_SECONDS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoMeter:
    """A meter that is simulated and polled; ``asset`` is ``area/asset``."""

    asset: str
    profile: str
    protocol: Protocol
    address: str
    seed: int
    rated_amps: float
    serial: int

    @property
    def name(self) -> str:
        """The full name of the asset."""
        return f"{SITE}/{self.asset}"


class SimulatorPorts(NamedTuple):
    """Where the simulator listens, on each meter's address."""

    ethernet_ip: int
    modbus: int


def plant_of(count: int, seed: int) -> tuple[DemoMeter, ...]:
    """``count`` meters, the same for the same seed; from two on in both protocols."""
    dice = Random(seed)  # noqa: S311 - repeatable by design
    return tuple(
        DemoMeter(
            asset=asset if index < len(_KINDS) else f"{asset}{index + 1}",
            profile=profile,
            protocol=protocol,
            address=f"127.1.{index // 250}.{index % 250 + 1}",
            seed=dice.randrange(2**31),
            rated_amps=_AMPS[index % len(_AMPS)],
            serial=940_000_000 + index,
        )
        for index, (asset, profile, protocol) in enumerate(islice(cycle(_KINDS), count))
    )


def fleet_toml(meters: Iterable[DemoMeter], faults: Iterable[Fault]) -> str:
    """The simulator's file; the faults' times count from its start."""
    return "\n".join((*map(_simulated, meters), *map(_fault, faults)))


def site_toml(
    meters: Sequence[DemoMeter],
    ports: SimulatorPorts,
    mqtt: MqttAddress,
    servers: Servers = Servers(),  # noqa: B008 - frozen
) -> str:
    """The site of these meters; its data stands beside the file."""
    head = [
        f'[site]\nname = "{SITE}"\ndata = "data"\n',
        f"[poll]\nbackoff_maximum_seconds = {_LONGEST_BACKOFF_SECONDS}\n"
        "check_clock = false\n",
        f"[mqtt]\nhost = {json.dumps(mqtt.host)}\nport = {mqtt.port}\n",
        f"[archive]\nroll_seconds = {_ROLL_SECONDS}\n",
        "[observe]\nbase_port = 0\n",
    ]
    if servers.kafka is not None:
        head.append(
            f"[kafka]\nbootstrap_servers = {json.dumps(servers.kafka)}\n"
            f"topic_prefix = {json.dumps(servers.topic_prefix)}\n"
            f"partitions = {_PARTITIONS}\n"
        )
    if servers.influx is not None:
        head.append(
            f"[influx]\nurl = {json.dumps(servers.influx.url)}\nversion = 1\n"
            f"database = {json.dumps(servers.influx.database)}\n"
        )
    return "\n".join((*head, *(_polled(meter, ports) for meter in meters)))


def _simulated(meter: DemoMeter) -> str:
    return "\n".join(
        (
            "[[meter]]",
            f'name = "{meter.asset}"',
            f'address = "{meter.address}"',
            f'profile = "{meter.profile}"',
            f"seed = {meter.seed}",
            f"rated_amps = {meter.rated_amps}",
            f"serial = {meter.serial}",
            "",
        )
    )


def _fault(fault: Fault) -> str:
    return "\n".join(("[[fault]]", *_fault_lines(fault), ""))


def _fault_lines(fault: Fault) -> Iterator[str]:
    yield f'kind = "{fault.kind}"'
    yield f'meter = "{fault.meter}"'
    yield f"start_seconds = {fault.start_us / 1e6}"
    if fault.end_us != ALWAYS_US:
        yield f"end_seconds = {fault.end_us / 1e6}"
    if fault.block is not None:
        yield f"block = {fault.block}"
    if fault.kind == "delay":
        yield f"delay_seconds = {fault.delay_seconds}"
    if fault.kind == "nan":
        yield f'reading = "{fault.reading}"'


def _polled(meter: DemoMeter, ports: SimulatorPorts) -> str:
    energy = _ENERGY_SECONDS_BOTH if meter.protocol == "both" else _ENERGY_SECONDS
    groups = {"realtime": 1, "energy": energy}
    if meter.profile == "pm500":
        groups["status"] = 1
        if meter.protocol != "modbus":
            groups |= {"demand": 60, "maximum": 60}
    periods = ", ".join(f"{name} = {seconds}" for name, seconds in groups.items())
    lines = [
        "[[meter]]",
        f'asset = "{meter.asset}"',
        f'profile = "{meter.profile}"',
        f'host = "{meter.address}"',
        f'protocol = "{meter.protocol}"',
        f"groups = {{ {periods} }}",
    ]
    if meter.protocol != "modbus":
        lines.append(f"ethernet_ip_port = {ports.ethernet_ip}")
    if meter.profile == "pm500" or meter.protocol != "ethernet_ip":
        # The commissioning check asks by Modbus too.
        lines.append(f"modbus_port = {ports.modbus}")
    return "\n".join((*lines, ""))
