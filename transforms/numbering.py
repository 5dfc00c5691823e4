"""The numbers of a device that counts its own messages: gap, duplicate, wrap, restart.

``seq`` is 0 at power-on and grows by 1 with each message; 0 comes after 2^32 - 1. A
device sends to several brokers at once, so that each message may come more than once,
late and out of order. Each number is new once in each run from power-on to power-off.

``time_us`` is the device's own time of the message, the same in every copy, never that
of arrival. It decides where numbers cannot: a copy is not newer than all that came
before, a message after a restart is. Where the device's clock goes back at power-on,
the times of a run's first numbers tell a copy of them from a new beginning.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from transforms.snapshot import fields_of

__all__ = [
    "NEW",
    "UNKNOWN",
    "WINDOW",
    "Arrival",
    "Kind",
    "Numbering",
    "Run",
    "from_snapshot",
    "step",
    "to_snapshot",
]

Kind = Literal[
    "first", "next", "gap", "wrap", "restart", "reorder", "duplicate", "late",
    "unnumbered",
]  # fmt: skip

NEW: frozenset[Kind] = frozenset(
    {"first", "next", "gap", "wrap", "restart", "reorder", "unnumbered"}
)
# A broker keeps a session for an hour: that of a message each second lies in it.
WINDOW = 4096
_VERSION = 1
_MODULUS = 1 << 32
_MASK = (1 << WINDOW) - 1
_BEGINNING = 16


class Run(NamedTuple):
    """Numbers since one power-on. Bit ``n`` of ``seen`` is that of ``last - n``.

    ``first_us`` and ``newest_us`` are the time of its first message that came and the
    newest time; ``beginning`` has (number, time) of those of its first 16 that came.
    """

    last: int
    seen: int
    first_us: int
    newest_us: int
    beginning: tuple[tuple[int, int], ...]


class Numbering(NamedTuple):
    """The present run of a device, and the one before, of which copies may follow."""

    run: Run | None = None
    before: Run | None = None


UNKNOWN = Numbering()


class Arrival(NamedTuple):
    """What a message is. ``missing`` numbers from ``first_missing`` on did not come.

    ``late`` is behind the window: whether it came before is not known, and it does not
    count as new.
    """

    kind: Kind
    first_missing: int | None = None
    last_missing: int | None = None
    missing: int = 0

    @property
    def is_new(self) -> bool:
        """Whether the message is to be used: no copy of it was."""
        return self.kind in NEW


def step(state: Numbering, seq: int, time_us: int) -> tuple[Numbering, Arrival]:
    """Take the number of one message; ``Arrival`` says what it is.

    A number that is none, such as the -1 of messages without one, is ``unnumbered``
    and changes nothing. Missing numbers that come later are each a ``reorder``.
    """
    if not 0 <= seq < _MODULUS:
        return state, Arrival("unnumbered")
    run = state.run
    if run is None:
        return Numbering(_begin(seq, time_us)), Arrival("first")
    if state.before is not None and _is_of_before(state.before, run, seq, time_us):
        before, arrival = _behind(state.before, seq, time_us)
        return state._replace(before=before), arrival
    ahead = (seq - run.last) % _MODULUS
    if _is_ahead(run, seq):
        kind: Kind = "wrap" if seq < run.last else "next" if ahead == 1 else "gap"
        seen = (run.seen << ahead | 1) & _MASK if ahead < WINDOW else 1
        beginning = () if kind == "wrap" else run.beginning
        run = run._replace(last=seq, seen=seen, beginning=beginning)
        run = _noted(run, seq, time_us)
        return state._replace(run=run), _missing(kind, seq - ahead + 1, ahead - 1)
    if _is_restart(run, seq, time_us):
        return Numbering(_begin(seq, time_us), run), _missing("restart", 0, seq)
    run, arrival = _behind(run, seq, time_us)
    return state._replace(run=run), arrival


def to_snapshot(state: Numbering) -> tuple[Any, ...]:
    """The state as plain tuples, version first."""
    return (_VERSION, *(run and tuple(run) for run in state))


def from_snapshot(snapshot: tuple[Any, ...]) -> Numbering:
    """The state as it was."""
    runs = fields_of(snapshot, _VERSION, "a numbering snapshot")
    return Numbering(*(run and Run(*run) for run in runs))


def _begin(seq: int, time_us: int) -> Run:
    return _noted(Run(seq, 1, time_us, time_us, ()), seq, time_us)


def _noted(run: Run, seq: int, time_us: int) -> Run:
    """The run with the time of a number that is new in it."""
    beginning = run.beginning
    if seq < _BEGINNING and len(beginning) < _BEGINNING:
        beginning = (*beginning, (seq, time_us))
    return run._replace(newest_us=max(run.newest_us, time_us), beginning=beginning)


def _is_ahead(run: Run, seq: int) -> bool:
    """Whether a number goes on; one behind the wrap must be near, or it begins anew."""
    ahead = (seq - run.last) % _MODULUS
    return 0 < ahead < _MODULUS // 2 and (seq > run.last or ahead <= WINDOW)


def _is_of_before(before: Run, run: Run, seq: int, time_us: int) -> bool:
    """Whether a message is of the run before: by its time, or by its number alone."""
    if (before.last - seq) % _MODULUS >= WINDOW or time_us > before.newest_us:
        return False
    is_far = _is_ahead(run, seq) and (seq - run.last) % _MODULUS > WINDOW
    return time_us < run.first_us or is_far


def _is_restart(run: Run, seq: int, time_us: int) -> bool:
    """Whether a number that does not go on begins a new run."""
    is_far = (run.last - seq) % _MODULUS >= WINDOW
    if time_us > run.newest_us and (is_far or seq < WINDOW):
        return True
    if seq >= _BEGINNING:
        return False
    known_us = dict(run.beginning).get(seq)
    return is_far if known_us is None else known_us != time_us


def _behind(run: Run, seq: int, time_us: int) -> tuple[Run, Arrival]:
    """A number of this run that is not ahead of it."""
    behind = (run.last - seq) % _MODULUS
    if behind >= WINDOW:
        return run, Arrival("late")
    if run.seen >> behind & 1:
        return run, Arrival("duplicate")
    seen = run.seen | 1 << behind
    return _noted(run._replace(seen=seen), seq, time_us), Arrival("reorder")


def _missing(kind: Kind, first: int, count: int) -> Arrival:
    if not count:
        return Arrival(kind)
    last = (first + count - 1) % _MODULUS
    return Arrival(kind, first % _MODULUS, last, count)
