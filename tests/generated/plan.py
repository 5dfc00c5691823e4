"""What becomes of every slot of one lane, before a byte of it is made.

A lane is one group of one asset; its slots stand on the grid of its period.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from connectors.simulator.device import CYCLE_US
from tests.generated.load import Longs
from tests.generated.trouble import Trouble, TroubleKind
from transforms.assemble import PolledGroup
from transforms.model.quality import Status

__all__ = ["MISSING", "TURN_US", "LanePlan", "among", "noise"]

MISSING = 255  # beside the numbers of Status: no frame at all
# A group is asked this long after the one before it in a round.
TURN_US = 15_000
_UNSENT = (Status.OVERRUN, Status.BACKING_OFF)
_TIMED_OUT = (Status.TIMEOUT, Status.SUSPENDED)
_TIMEOUT_US = 500_000


def noise(numbers: Longs, salt: int, below: int) -> Longs:
    """A number in ``[0, below)`` for each number, which looks random."""
    mixed = numbers.astype(np.uint64) + np.uint64(salt * 0x9E3779B97F4A7C15 % 2**64)
    mixed ^= mixed >> np.uint64(31)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(29)
    return (mixed % np.uint64(below)).astype(np.int64)


@dataclass(frozen=True, kw_only=True)
class LanePlan:
    """The slots in ``[start_us, end_us)``, numbered from 0.

    ``turn`` is the group's place in a round of its meter, which begins ``stagger_us``
    after the slot. ``salt`` makes lanes differ.
    """

    asset: str
    polled: PolledGroup
    start_us: int
    end_us: int
    stagger_us: int
    turn: int
    salt: int
    troubles: tuple[Trouble, ...]

    @property
    def group(self) -> str:
        """The group's name."""
        return self.polled.group.name

    @property
    def period_us(self) -> int:
        """From slot to slot."""
        return self.polled.period_us

    @property
    def offset_us(self) -> int:
        """From a slot to its poll."""
        return self.stagger_us + self.turn * TURN_US

    @property
    def first_seq(self) -> int:
        """The number that acquire gives the first slot."""
        return -(-self.start_us // self.period_us)

    def __len__(self) -> int:
        return -(-self.end_us // self.period_us) - self.first_seq

    @cached_property
    def status(self) -> npt.NDArray[np.uint8]:
        """The status of every slot, ``MISSING`` where no frame is."""
        out = np.zeros(len(self), np.uint8)
        several = self.polled.group.requests(self.polled.protocol) > 1
        for _, where in self.having("partial"):
            out[where] = Status.PARTIAL if several else Status.OK
        for trouble, where in self.having("failed"):
            out[where] = trouble.status
        for _, where in self.having("missing"):
            out[where] = MISSING
        out.flags.writeable = False
        return out

    def having(self, *kinds: TroubleKind) -> Iterator[tuple[Trouble, slice]]:
        """The troubles of these kinds, each with the slots that it concerns."""
        for trouble in self.troubles:
            if trouble.kind in kinds and trouble.concerns(self.asset, self.group):
                where = slice(self.place(trouble.start_us), self.place(trouble.end_us))
                if where.stop > where.start:
                    yield trouble, where

    def place(self, time_us: int) -> int:
        """The first slot at or after this time; the length where there is none."""
        seq = -(-time_us // self.period_us)
        return min(max(seq - self.first_seq, 0), len(self))

    def told(self, where: slice) -> Longs:
        """Which of these slots have a frame."""
        told: Longs = where.start + np.flatnonzero(self.status[where] != MISSING)
        return told

    def slot_us(self, places: Longs | slice) -> Longs:
        """Slots by their numbers."""
        if isinstance(places, slice):
            places = np.arange(places.start, places.stop)
        return (self.first_seq + places) * self.period_us

    def read_us(self, places: Longs) -> Longs:
        """When the meter had the values that it answered with."""
        slots = self.slot_us(places)
        at = slots + self.offset_us
        for trouble, where in self.having("stale"):
            at[among(places, where)] -= trouble.delay_us
        for _, where in self.having("frozen"):
            first = int(self.slot_us(np.array([where.start]))[0])
            at[among(places, where)] = first + self.offset_us
        return at - at % CYCLE_US

    def taken_us(self, places: Longs) -> Longs:
        """From the question to the end of the answer, or of the wait for it."""
        status = self.status[places]
        taken = 3000 + noise(self.first_seq + places, self.salt, 9000)
        taken[np.isin(status, _TIMED_OUT)] = _TIMEOUT_US
        taken[np.isin(status, _UNSENT)] = 0
        return taken

    def arrival_us(self, places: Longs) -> Longs:
        """When each frame comes to the log, as far as its order goes."""
        at = self.slot_us(places) + self.offset_us
        for trouble, where in self.having("late", "shuffled"):
            own = among(places, where)
            if trouble.kind == "late":
                at[own] += trouble.delay_us
            else:
                seqs = self.first_seq + places[own]
                at[own] += noise(seqs, self.salt + 1, trouble.delay_us)
        return at


def among(places: Longs, where: slice) -> npt.NDArray[np.bool_]:
    """Which of these slots are in the stretch."""
    inside: npt.NDArray[np.bool_] = (places >= where.start) & (places < where.stop)
    return inside
