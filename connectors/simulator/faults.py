"""Faults as data: what goes wrong with which meter and when, explicit or seeded; pure.

Times are microseconds since the epoch on the simulator's clock. A *state* fault changes
the meter from its start on (the values in the record follow it); every other fault
spoils connections or answers while it is active (the values in the record stay true).
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import ConfigDict, Field

__all__ = ["ALWAYS_US", "KINDS", "STATE_KINDS", "Fault", "FaultKind", "seeded_faults"]

ALWAYS_US = 2**62

FaultKind = Literal[
    "refuse",  # new connections are reset, open ones too
    "delay",  # the answer comes after delay_seconds; inf: never
    "drip",  # the answer comes byte by byte, delay_seconds between two bytes
    "truncate",  # the first keep_bytes of the answer (default: half), then close
    "wrong_length",  # data longer or shorter by extra_bytes, header consistent
    "cip_error",  # EtherNet/IP: general status cip_status instead of data
    "modbus_exception",  # Modbus: exception_code instead of data
    "garbage",  # random bytes of the answer's length instead of the answer
    "nan",  # gauges read as `reading`: nan, inf or overload
    "swapped_words",  # the 16-bit halves of every 32 bits are exchanged
    "counter_zero",  # counters read zero for a while
    "foreign_identity",  # another product answers at this address
    "suspend",  # a foreign Modbus client is active: EtherNet/IP is silent
    "counter_reset",  # state: counters begin again at counter_kwh
    "counter_rollover",  # state: the counter passes modulus_kwh at start_us
    "meter_swap",  # state: another serial, counters begin at counter_kwh
    "ct_ratio_change",  # state: currents, powers and counting times factor
    "maximum_reset",  # state: maximum values begin again
]
KINDS: tuple[FaultKind, ...] = get_args(FaultKind)
STATE_KINDS = frozenset(
    "counter_reset counter_rollover meter_swap ct_ratio_change maximum_reset".split()
)

_REACHING = frozenset({"refuse", "suspend"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault of one meter (``meter=None``: of all) in ``[start_us, end_us)``.

    ``protocol`` and ``block`` (assembly instance or first register of the request)
    narrow a fault that spoils answers; ``quantity`` narrows ``nan`` and the counter
    faults. State faults ignore ``end_us``. Faults touch data requests only: sessions
    and ListIdentity feel ``refuse``, ``suspend`` and ``foreign_identity`` alone.
    """

    kind: FaultKind
    meter: str | None = None
    start_us: int = 0
    end_us: int = ALWAYS_US
    protocol: Literal["ethernet_ip", "modbus"] | None = None
    block: int | None = None
    quantity: str | None = None
    delay_seconds: Annotated[float, Field(ge=0)] = 1.0
    keep_bytes: Annotated[int, Field(ge=0)] | None = None
    extra_bytes: int = -4
    cip_status: Annotated[int, Field(ge=1, le=255)] = 0x10
    exception_code: Annotated[int, Field(ge=1, le=255)] = 4
    reading: Literal["nan", "inf", "overload"] = "nan"
    counter_kwh: Annotated[float, Field(ge=0)] = 0.0
    modulus_kwh: Annotated[float, Field(gt=0)] = 1e10
    serial: int | None = None
    factor: Annotated[float, Field(gt=0)] = 2.0

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    def active(self, time_us: int) -> bool:
        """Whether ``time_us`` lies in its window."""
        return self.start_us <= time_us < self.end_us

    def hits(self, protocol: str, block: int | None) -> bool:
        """Whether it spoils the answer to a data request of this kind."""
        return (
            self.kind not in _REACHING
            and self.protocol in (None, protocol)
            and self.block in (None, block)
        )

    def shifted(self, by_us: int) -> Fault:
        """The same fault, later by ``by_us``."""
        end = self.end_us if self.end_us == ALWAYS_US else self.end_us + by_us
        return replace(self, start_us=self.start_us + by_us, end_us=end)


def seeded_faults(
    seed: int,
    meters: Sequence[str],
    start_us: int,
    end_us: int,
    *,
    per_meter_hour: float = 1.0,
    kinds: Iterable[FaultKind] = KINDS,
    longest_seconds: float = 20.0,
) -> tuple[Fault, ...]:
    """Faults that look random and are the same for the same arguments.

    Each meter gets them as a Poisson process of ``per_meter_hour``, none overlapping
    another of the same meter; sorted by start.
    """
    choice = tuple(kinds)
    faults: list[Fault] = []
    for meter in meters:
        dice = random.Random(f"{seed}:{meter}")  # noqa: S311 (repeatable)
        at = float(start_us)
        while True:
            at += dice.expovariate(per_meter_hour) * 3_600_000_000
            if at >= end_us:
                break
            lasts = dice.uniform(0.5, longest_seconds) * 1_000_000
            faults.append(_drawn(dice, dice.choice(choice), meter, int(at), int(lasts)))
            at += lasts
    return tuple(sorted(faults, key=lambda fault: (fault.start_us, fault.meter or "")))


def _drawn(
    dice: random.Random, kind: FaultKind, meter: str, at: int, lasts: int
) -> Fault:
    return Fault(
        kind=kind,
        meter=meter,
        start_us=at,
        end_us=at + lasts,
        delay_seconds=0.02
        if kind == "drip"
        else dice.choice((0.05, 0.3, 0.8, 2.0, 6.0)),
        extra_bytes=dice.choice((-8, -4, -1, 1, 4, 24)),
        cip_status=dice.choice((0x02, 0x05, 0x08, 0x10, 0x14, 0x15)),
        exception_code=dice.choice((1, 2, 3, 4, 6, 11)),
        reading=dice.choice(("nan", "inf", "overload")),
        factor=dice.choice((0.5, 2.0, 4.0)),
    )
