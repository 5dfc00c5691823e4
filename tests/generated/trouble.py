"""Everything that goes wrong with generated meters and their frames, as data.

Times are microseconds since the epoch. A *state* trouble changes the meter from its
start on; every other one concerns the slots in ``[start_us, end_us)``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from connectors.simulator.faults import STATE_KINDS, Fault
from transforms.model.quality import Status

__all__ = ["HIDES_ENERGY", "KINDS", "Trouble", "TroubleKind", "state_faults"]

TroubleKind = Literal[
    "partial",  # only the first block is answered; nothing where there is but one
    "failed",  # polls that fail with `status`
    "missing",  # no frames at all: the host was down, or one was lost
    "duplicate",  # the same bytes once more, `delay_us` later
    "late",  # frames arrive `delay_us` later
    "shuffled",  # frames arrive later by anything below `delay_us`
    "future",  # one more frame each, whose slot lies `delay_us` ahead
    "no_frame",  # records that are no frames, `NO_FRAMES` beside each slot
    "frozen",  # all readings stay as they were at the first slot
    "stale",  # the answer is that of `delay_us` before
    "nan",  # gauges (or `quantity`) read as `reading`: nan, inf or overload
    "counter_zero",  # counters (or `quantity`) read zero
    "counter_reset",  # state: counters (or `quantity`) begin again at `counter_kwh`
    "counter_rollover",  # state: `quantity` passes `modulus_kwh` at the start
    "meter_swap",  # state: another serial; counters begin at `counter_kwh`
    "ct_ratio_change",  # state: currents, powers and counting times `factor`
    "maximum_reset",  # state: maximum values begin again
]
KINDS: tuple[TroubleKind, ...] = get_args(TroubleKind)
# Some energy is in no difference of readings, or the counter counts another way.
HIDES_ENERGY = frozenset({"counter_reset", "meter_swap", "ct_ratio_change"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """One trouble of one asset and group; None means all of them.

    A meter tells of a swap or a changed ratio ``delay_us`` after the round in which it
    happened. Where slots have several troubles, missing goes over failed, failed over
    partial; the others add up.
    """

    kind: TroubleKind
    start_us: int
    end_us: int
    asset: str | None = None
    group: str | None = None
    status: Status = Status.TIMEOUT
    delay_us: int = 0
    quantity: str | None = None
    reading: Literal["nan", "inf", "overload"] = "nan"
    counter_kwh: float = 0.0
    modulus_kwh: float = 1e10
    factor: float = 2.0

    def concerns(self, asset: str, group: str) -> bool:
        """Whether it is a trouble of this lane."""
        return self.asset in (None, asset) and self.group in (None, group)

    def fault(self) -> Fault:
        """The same as the simulator has it, where it is one of its kinds too."""
        return Fault(
            kind=self.kind,  # type: ignore[arg-type] # the caller's business
            start_us=self.start_us,
            quantity=self.quantity,
            reading=self.reading,
            counter_kwh=self.counter_kwh,
            modulus_kwh=self.modulus_kwh,
            factor=self.factor,
        )


def state_faults(asset: str, troubles: Iterable[Trouble]) -> tuple[Fault, ...]:
    """The state troubles of an asset as the simulator has them, in order of time."""
    return tuple(
        trouble.fault()
        for trouble in sorted(troubles, key=lambda trouble: trouble.start_us)
        if trouble.kind in STATE_KINDS and trouble.asset in (None, asset)
    )
