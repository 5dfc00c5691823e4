"""Other orders of arrival, and batches as a source of the log hands them on."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np

from transforms.codec.slots import NO_SLOT, slots_of

__all__ = ["Arrival", "batches", "shuffled_within"]

# The asset and the bytes of one record, as the log has them.
Arrival = tuple[str, bytes]


def batches(
    frames: Iterable[Arrival], size: int, seed: int | None = None
) -> Iterator[tuple[list[str], list[bytes]]]:
    """Keys and values, ``size`` at a time; with a seed anything from 1 to 2 * size."""
    rest = iter(frames)
    dice = random.Random(seed)
    while True:
        count = size if seed is None else dice.randint(1, 2 * size)
        batch = list(islice(rest, count))
        if not batch:
            return
        yield [key for key, _ in batch], [value for _, value in batch]


def shuffled_within(
    frames: Iterable[Arrival], lateness_us: int, seed: int
) -> list[Arrival]:
    """Another order, in which each frame is less than ``lateness_us`` behind.

    That is: behind the newest slot that came of its asset and group. Frames that were
    later than that are put back in time; what is no frame stays behind the record
    before it.
    """
    known = list(frames)
    if not known:
        return []
    slots = slots_of([value for _, value in known])
    frame = slots != NO_SLOT
    delays = np.random.default_rng(seed).integers(0, lateness_us, len(known))
    at = np.where(frame, slots + delays, 0)
    before = np.maximum.accumulate(np.where(frame, np.arange(len(known)), 0))
    return [known[n] for n in np.argsort(at[before], kind="stable").tolist()]
