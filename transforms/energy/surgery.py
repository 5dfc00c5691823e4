"""What the counter surgeon keeps of a counter, and what he hands over. Pure."""

from __future__ import annotations

from typing import Any, NamedTuple

from transforms.energy.counter import Accepted, Reading
from transforms.snapshot import fields_of

__all__ = ["NEW", "Finding", "Step", "Surgeon", "from_snapshot", "to_snapshot"]

VERSION = 1


class Step(NamedTuple):
    """Energy between two accepted readings: book ``delta_wh`` over the time between.

    Before that ``undo_wh``, the last that was booked, all of it after ``start_us``,
    becomes void. ``lost``: what flowed meanwhile is not wholly known, ``delta_wh`` is
    the part that is. ``found`` names what the surgeon found on the way.
    """

    start_us: int
    end_us: int
    before_wh: int
    after_wh: int
    delta_wh: int
    undo_wh: int = 0
    lost: bool = False
    found: tuple[str, ...] = ()


class Finding(NamedTuple):
    """A fault of the counter: its first odd slot, and the slot that decided.

    ``before_wh`` is the last reading that counted, None where none did yet;
    ``after_wh`` the first odd one; ``booked_wh`` what is booked from one to the other.
    """

    kind: str
    first_us: int
    decided_us: int
    before_wh: int | None
    after_wh: int
    booked_wh: int = 0


class Surgeon(NamedTuple):
    """What is kept of one counter.

    ``below`` is the accepted reading before the last rise, ``lines`` those that breaks
    left, newest first; ``held`` the odd readings, each following from the one before;
    ``odd`` counts odd readings since the accepted one, ``found`` what they were.
    ``swap_us`` and ``ratio_us``: from when on the serial or the ratio is another one.
    """

    slot_us: int = -1
    accepted: Accepted | None = None
    below: Accepted | None = None
    lines: tuple[Accepted, ...] = ()
    held: tuple[Reading, ...] = ()
    odd: int = 0
    found: tuple[str, ...] = ()
    swap_us: int | None = None
    ratio_us: int | None = None

    @property
    def risen_from(self) -> Accepted | None:
        """The accepted reading before the last one; None where that is no higher."""
        last = self.accepted
        return self.below if last and last.since_us == last.slot_us else None


NEW = Surgeon()


def to_snapshot(state: Surgeon) -> tuple[Any, ...]:
    """The state as plain tuples, version first."""
    plain = state._asdict()
    for name in ("accepted", "below"):
        plain[name] = plain[name] and tuple(plain[name])
    for name in ("lines", "held"):
        plain[name] = tuple(map(tuple, plain[name]))
    return (VERSION, *plain.values())


def from_snapshot(snapshot: tuple[Any, ...]) -> Surgeon:
    """The state as it was."""
    fields = fields_of(snapshot, VERSION, "a counter snapshot")
    state = Surgeon(*fields)
    return state._replace(
        accepted=state.accepted and Accepted(*state.accepted),
        below=state.below and Accepted(*state.below),
        lines=tuple(Accepted(*line) for line in state.lines),
        held=tuple(Reading(*reading) for reading in state.held),
    )
