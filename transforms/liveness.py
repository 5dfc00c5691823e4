"""When communication with a meter is lost, and when it is back: one rule for all.

Communication is lost after three failed slots of the watched group, and back with its
next answered slot. The publisher makes a DDEATH of it, derive an event.

Beside that, a live view must not show old values as new when acquisition itself is
silent: ``silent`` is for who has a clock, and not for who replays the log.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from transforms.model.quality import Status

__all__ = [
    "FAILED_SLOTS",
    "UNKNOWN",
    "Change",
    "Liveness",
    "silent",
    "watch",
    "watched_group",
]

FAILED_SLOTS = 3
_SILENCE_US = 10_000_000  # a restart of acquisition costs less than 5 s of slots
_ANSWERED = frozenset({Status.OK, Status.PARTIAL})
Change = Literal["back", "lost"]


class Liveness(NamedTuple):
    """What is known of one asset; a plain tuple, fit for a snapshot.

    ``alive`` is None until the watched group has answered or failed three times.
    ``failed`` counts failed slots since the last answer, up to ``FAILED_SLOTS``;
    ``since_us`` is the slot of the first of them, or None; ``slot_us`` the last slot
    that was taken, -1 before the first.
    """

    alive: bool | None = None
    failed: int = 0
    since_us: int | None = None
    slot_us: int = -1


UNKNOWN = Liveness()


def watched_group(periods: Mapping[str, float]) -> str:
    """The group whose slots count: ``realtime``, else the fastest that is polled.

    >>> watched_group({"energy": 10.0, "realtime": 1.0})
    'realtime'
    >>> watched_group({"energy": 10.0, "demand": 60.0})
    'energy'
    """
    if "realtime" in periods:
        return "realtime"
    return min(periods, key=lambda group: (periods[group], group))


def watch(state: Liveness, slot_us: int, status: int) -> tuple[Liveness, Change | None]:
    """Take one frame of the watched group; say what changed by it, if anything did.

    A partial answer is an answer. ``suspended`` counts neither way: the poller gives it
    only for its grace period, in which the meter serves Modbus. A hole between slots is
    acquisition's silence, not the meter's, and counts neither way; a slot that is not
    later than the last one is a replay and changes nothing. Slots are compared, and not
    their numbers, which begin anew with another period or group. The first answer ever
    is ``back`` too.
    """
    if slot_us <= state.slot_us:
        return state, None
    if status in _ANSWERED:
        back: Change | None = None if state.alive else "back"
        return Liveness(alive=True, slot_us=slot_us), back
    if status == Status.SUSPENDED:
        return state._replace(slot_us=slot_us), None
    failed = min(state.failed + 1, FAILED_SLOTS)
    since_us = slot_us if state.since_us is None else state.since_us
    lost = failed == FAILED_SLOTS and state.alive is not False
    alive = False if lost else state.alive
    return Liveness(alive, failed, since_us, slot_us), "lost" if lost else None


def silent(
    state: Liveness, period_us: int, now_us: int
) -> tuple[Liveness, Change | None]:
    """Lose an asset of which not even failed slots come, after three periods or 10 s.

    The longer of the two counts; ``period_us`` is the watched group's.
    """
    patience_us = max(FAILED_SLOTS * period_us, _SILENCE_US)
    if not state.alive or now_us - state.slot_us <= patience_us:
        return state, None
    return state._replace(alive=False), "lost"
