"""What is known of one counter of one meter, and what it can and cannot do. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["Accepted", "CounterRules", "Reading", "follows", "reach_wh", "step_wh"]

# A poll reads the meter somewhat after its slot, and never equally late.
_LATE_US = 1_000_000
_UNIT_US = 3_600_000  # microseconds in which 1 kW makes 1 Wh, times 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterRules:
    """One counter. Energy in Wh or varh, power in kW or kvar, as the quantity has it.

    ``float32``: a reading is ``high * radix_kwh + low`` of two float32, as EtherNet/IP
    splits it; its step is then the spacing of the low part. ``modulus_wh``: where the
    counter begins again from zero, None where it is not known; it need not be a whole
    number. ``maximum_kw``: more than the meter's circuit can ever carry.
    """

    quantity: str
    resolution_wh: int = 1
    float32: bool = False
    radix_kwh: float = 1e6
    modulus_wh: float | None = None
    maximum_kw: float = 10_000.0


class Reading(NamedTuple):
    """An answered slot of the counter."""

    slot_us: int
    wh: int


class Accepted(NamedTuple):
    """A reading that counts.

    ``total_wh`` is the energy booked from the first accepted reading to this one,
    ``turns`` how often the counter rolled over meanwhile, ``since_us`` the slot since
    which it has stood at this value.
    """

    slot_us: int
    wh: int
    total_wh: int
    turns: int
    since_us: int


def step_wh(rules: CounterRules, wh: int) -> int:
    """The smallest movement that the counter shows at this value.

    >>> step_wh(CounterRules(quantity="energyImport", resolution_wh=100), 53_000_000)
    100
    >>> step_wh(CounterRules(quantity="energyImport", float32=True), 456_789_000)
    32
    """
    if not rules.float32:
        return rules.resolution_wh
    low_kwh = abs(wh) / 1000 % rules.radix_kwh
    # A float32 has 24 bits of mantissa.
    spacing_kwh = math.ldexp(1.0, math.frexp(low_kwh)[1] - 24)
    return max(rules.resolution_wh, math.ceil(spacing_kwh * 1000))


def reach_wh(rules: CounterRules, elapsed_us: int, wh: int) -> int:
    """How far the counter can have come to ``wh`` in this time, at the very most."""
    carried = rules.maximum_kw * (elapsed_us + _LATE_US) / _UNIT_US
    return int(carried) + step_wh(rules, wh)


def follows(rules: CounterRules, before: Reading | Accepted, after: Reading) -> bool:
    """Whether the later reading can be the same line counted on.

    A step back within the counter's own step is no movement and no fault.
    """
    moved = after.wh - before.wh
    elapsed_us = after.slot_us - before.slot_us
    if 0 <= moved <= rules.maximum_kw * (elapsed_us + _LATE_US) / _UNIT_US:
        return True  # the counter's step adds nothing to it
    back = max(step_wh(rules, before.wh), step_wh(rules, after.wh))
    reach = reach_wh(rules, elapsed_us, after.wh)
    return -back <= moved <= reach
