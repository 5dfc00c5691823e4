"""What really happened: the model's own record of every slot and counter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from connectors.simulator.device import CYCLE_US
from tests.generated.lane import Lane
from tests.generated.load import Longs
from tests.generated.plan import MISSING
from tests.generated.strange import NO_FRAMES
from tests.generated.trouble import HIDES_ENERGY, TroubleKind
from transforms.ledger import HOUR_US, Hour
from transforms.model.quality import Quality, Status

__all__ = ["Readings", "SlotsTruth", "Truth"]

_WRONG: tuple[TroubleKind, ...] = ("counter_zero", "stale", "frozen")
_ARRIVING: tuple[TroubleKind, ...] = (
    "duplicate",
    "late",
    "shuffled",
    "future",
    "no_frame",
)


class SlotsTruth(NamedTuple):
    """Every due slot of a lane with its status, ``MISSING`` where no frame was made."""

    slot_us: Longs
    status: npt.NDArray[np.uint8]


class Readings(NamedTuple):
    """The answered slots of a counter with its readings, as the wire gave them.

    ``true`` is false where the meter did not say what it had counted.
    """

    slot_us: Longs
    wh: Longs
    true: npt.NDArray[np.bool_]


class Truth:
    """Lanes are named by asset and group, counters by asset and quantity."""

    def __init__(self, lanes: Sequence[Lane]) -> None:
        self._lanes = {(lane.plan.asset, lane.plan.group): lane for lane in lanes}
        self._readings: dict[tuple[str, str], Readings] = {}

    @property
    def lanes(self) -> tuple[tuple[str, str], ...]:
        """Asset and group of each."""
        return tuple(self._lanes)

    @property
    def counters(self) -> tuple[tuple[str, str], ...]:
        """Asset and quantity of each."""
        return tuple(
            (asset, name)
            for (asset, group), lane in self._lanes.items()
            if group == "energy"
            for name in lane.schema.names
        )

    # -- slots -------------------------------------------------------------------------

    def slots(self, asset: str, group: str) -> SlotsTruth:
        """Every slot that was due, in order."""
        plan = self._lanes[asset, group].plan
        return SlotsTruth(plan.slot_us(slice(0, len(plan))), plan.status)

    def hours(self, asset: str, group: str) -> dict[int, Hour]:
        """The ledger by the start of the hour, from the first frame to the last."""
        slot, status = self.slots(asset, group)
        told = np.flatnonzero(status != MISSING)
        if not len(told):
            return {}
        between = slice(told[0], told[-1] + 1)
        slot, status = slot[between], status[between]
        out = {}
        for hour in np.unique(slot // HOUR_US).tolist():
            counts = Counter(status[slot // HOUR_US == hour].tolist())
            due = counts.total()
            del counts[MISSING]
            good = counts.pop(Status.OK, 0)
            failed = dict(sorted(counts.items()))
            out[hour * HOUR_US] = Hour(due=due, good=good, failed=failed)
        return out

    @cached_property
    def counts(self) -> Counter[str]:
        """Records by what they are, over all lanes.

        ``slots`` are those due, of which some are ``missing``; ``duplicate``, ``future``
        and ``no_frame`` come on top. ``late`` and ``shuffled`` frames are no others.
        """
        out: Counter[str] = Counter()
        for lane in self._lanes.values():
            plan = lane.plan
            out["slots"] += len(plan)
            out["missing"] += int((plan.status == MISSING).sum())
            for trouble, where in plan.having(*_ARRIVING):
                each = len(NO_FRAMES) if trouble.kind == "no_frame" else 1
                out[trouble.kind] += each * len(plan.told(where))
        return out

    # -- counters ----------------------------------------------------------------------

    def readings(self, asset: str, quantity: str) -> Readings:
        """The readings that have a value, in Wh, varh or thousandths of an hour."""
        if (asset, quantity) not in self._readings:
            self._read(asset)
        return self._readings[asset, quantity]

    def _read(self, asset: str) -> None:
        lane = self._lanes[asset, "energy"]
        plan = lane.plan
        columns = lane.columns(plan.told(slice(0, len(plan))))
        true = np.ones(len(plan), np.bool_)
        for _, where in plan.having(*_WRONG):
            true[where] = False
        true = true[(columns.slot_us // plan.period_us) - plan.first_seq]
        for n, name in enumerate(lane.schema.names):
            known = columns.quality[:, n] < Quality.BAD_NO_VALUE
            kwh = columns.readings[name][known].astype(np.float64)
            wh = np.rint(kwh * 1000).astype(np.int64)
            self._readings[asset, name] = Readings(
                columns.slot_us[known], wh, true[known]
            )

    def energy_between(
        self, asset: str, quantity: str, start_us: int, end_us: int
    ) -> float:
        """What flowed between the polls of two slots, in kWh, kvarh or h.

        It is the load model's own integral between the instants at which the meter was
        read, through its transformers at their ratio; no trouble of a counter hides any.
        """
        lane = self._lanes[asset, "energy"]
        offset_us = lane.plan.offset_us
        return lane.work.flowed_kwh(quantity, start_us + offset_us, end_us + offset_us)

    @cached_property
    def touched(self) -> dict[tuple[str, str], frozenset[TroubleKind]]:
        """The counters that have troubles of their own, with their kinds."""
        out = {}
        for asset, quantity in self.counters:
            kinds = frozenset(kind for kind, _ in self._troubles(asset, quantity))
            if kinds:
                out[asset, quantity] = kinds
        return out

    def hides_energy(self, asset: str, quantity: str) -> bool:
        """Whether some of its energy is in no difference of its readings."""
        return bool(self.touched.get((asset, quantity), frozenset()) & HIDES_ENERGY)

    def pieces(self, asset: str, quantity: str) -> list[tuple[int, int]]:
        """First and last true reading of each stretch in which nothing was hidden.

        A stretch ends where the counter was reset, changed for another meter's, or
        began to count at another ratio. One with fewer than two readings is left out.
        """
        slot, _, true = self.readings(asset, quantity)
        slot = slot[true]
        offset_us = self._lanes[asset, "energy"].plan.offset_us
        breaks = sorted(
            {at for kind, at in self._troubles(asset, quantity) if kind in HIDES_ENERGY}
        )
        read = slot + offset_us
        piece = np.searchsorted(breaks, read - read % CYCLE_US, side="right")
        runs = [slot[piece == number] for number in range(len(breaks) + 1)]
        return [(int(run[0]), int(run[-1])) for run in runs if len(run) > 1]

    def _troubles(self, asset: str, quantity: str) -> list[tuple[TroubleKind, int]]:
        """Kind and start of those that touch this counter."""
        plan = self._lanes[asset, "energy"].plan
        out: list[tuple[TroubleKind, int]] = []
        for trouble in plan.troubles:
            if trouble.asset not in (None, asset):
                continue
            named, ours = trouble.quantity, trouble.concerns(asset, "energy")
            match trouble.kind:
                case "meter_swap":
                    touches = True
                case "counter_rollover":
                    touches = quantity == (named or "energyImport")
                case "counter_reset":
                    hours = quantity == "operatingHours"
                    touches = quantity == named or (named is None and not hours)
                case "ct_ratio_change":
                    touches = quantity != "operatingHours"
                case "counter_zero":
                    touches = ours and named in (None, quantity)
                case "stale" | "frozen":
                    touches = ours
                case _:
                    touches = False
            if touches:
                out.append((trouble.kind, trouble.start_us))
        return out
