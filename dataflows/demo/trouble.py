"""The faults of the demo: seeded, each kind coming again and again at other meters."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from random import Random
from typing import Any, NamedTuple

from connectors.simulator.faults import Fault, FaultKind
from dataflows.demo.plant import DemoMeter

__all__ = ["troubles"]

# Two hours: the simulator looks through a meter's whole list at every answer.
_LASTS_SECONDS = 7200.0
_RESET_SECONDS = 25.0


class _Kind(NamedTuple):
    """One kind of fault: when first, how often, how long, and at whose meters."""

    kind: FaultKind
    first_seconds: float
    every_seconds: float
    lasts_seconds: float
    protocols: tuple[str, ...]
    more: dict[str, Any]


# Together some 5 % of all slots of twelve meters. Any twelve seconds see an error, an
# exception and a timeout. Nothing happens while the meters are commissioned.
_QUIET_SECONDS = 6.0
_KINDS = (
    _Kind("cip_error", 0.0, 10.0, 1.2, ("ethernet_ip",), {"cip_status": 0x10}),
    _Kind("modbus_exception", 2.0, 11.0, 1.2, ("modbus",), {"exception_code": 4}),
    _Kind("delay", 4.0, 12.0, 1.5, ("ethernet_ip", "modbus"), {"delay_seconds": 2.0}),
    _Kind("refuse", 3.0, 60.0, 10.0, ("ethernet_ip",), {}),
    _Kind("nan", 8.0, 30.0, 4.0, ("ethernet_ip",), {"reading": "overload"}),
    # The second of the two requests of `realtime`: its frame is partial.
    _Kind("cip_error", 9.0, 15.0, 1.2, ("ethernet_ip",), {"block": 102}),
)


def troubles(meters: Sequence[DemoMeter], seed: int) -> list[Fault]:
    """Faults for two hours, as microseconds from the simulator's start."""
    dice = Random(seed)  # noqa: S311 - repeatable by design
    faults = [fault for kind in _KINDS for fault in _again(kind, meters, dice)]
    reset = dice.choice(meters)
    faults.append(
        Fault(kind="counter_reset", meter=reset.asset, start_us=_us(_RESET_SECONDS))
    )
    return sorted(faults, key=lambda fault: fault.start_us)


def _again(kind: _Kind, meters: Sequence[DemoMeter], dice: Random) -> list[Fault]:
    hit = [meter.asset for meter in meters if meter.protocol in kind.protocols]
    if not hit:
        return []
    dice.shuffle(hit)
    turns = cycle(hit)
    count = int(_LASTS_SECONDS / kind.every_seconds)
    first = _QUIET_SECONDS + kind.first_seconds
    starts = (first + index * kind.every_seconds for index in range(count))
    return [
        Fault(
            kind=kind.kind,
            meter=next(turns),
            start_us=_us(start),
            end_us=_us(start + kind.lasts_seconds),
            **kind.more,
        )
        for start in starts
    ]


def _us(seconds: float) -> int:
    return round(seconds * 1e6)
