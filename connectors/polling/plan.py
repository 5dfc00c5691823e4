"""What a poller needs to know of a meter; made from the site, plain values only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from transforms.assemble import PolledMeter
from transforms.model.outcome import Meaning

__all__ = ["MeterPlan", "PollSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PollSettings:
    """Times of all meters of a partition, in seconds."""

    timeout_seconds: float = 0.5
    backoff_seconds: float = 1.0
    backoff_maximum_seconds: float = 30.0
    suspension_grace_seconds: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterPlan:
    """One meter: where it is, what to ask, and what is known of it.

    ``meaning`` is asked with the serial at every connect, since a commissioning check
    can be recorded while the poller runs.
    """

    index: int
    polled: PolledMeter
    host: str
    ethernet_ip_port: int | None
    modbus_port: int | None
    modbus_unit: int
    stagger_us: int
    meaning: Callable[[str], Meaning]
