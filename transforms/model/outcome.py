"""What a poller hands on: the raw outcome of one slot, not yet a frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from transforms.model.quality import Status

__all__ = ["UNCHECKED", "Meaning", "Outcome"]


class Meaning(NamedTuple):
    """What is known of a meter beyond its profile; decides how its bytes are read.

    ``commissioned``: a commissioning check is recorded for this device.
    ``system``: the electrical system (``3P.n`` …), None where nobody said it.
    ``energy_high_multiplier``: the radix of split counters, None for the profile's.
    """

    commissioned: bool = False
    system: str | None = None
    energy_high_multiplier: float | None = None


UNCHECKED = Meaning()


class Outcome(NamedTuple):
    """One slot of one group of one meter, as polled.

    ``meter`` and ``group`` are the indexes of the plan. Times are microseconds since
    the epoch, UTC; ``sent_us`` and ``received_us`` are equal where nothing was sent.
    ``blocks`` follow the group's blocks; None for one that was not answered.
    """

    meter: int
    group: int
    seq: int
    slot_us: int
    sent_us: int
    received_us: int
    status: Status
    blocks: Sequence[bytes | None]
    meaning: Meaning
