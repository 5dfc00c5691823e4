"""Demand of one asset, minute by minute: its blocks, slides and peaks."""

from __future__ import annotations

from typing import Any, NamedTuple

from transforms.codec.records import Demand, Event
from transforms.demand import block, peak, sliding
from transforms.demand.block import Block, Found
from transforms.demand.mean import DemandMinute, known
from transforms.demand.peak import NEVER_US, Peak, Top
from transforms.demand.rules import DemandRules
from transforms.demand.sliding import Slide
from transforms.snapshot import fields_of

__all__ = [
    "START",
    "VERSION",
    "DemandState",
    "change",
    "flush",
    "from_snapshot",
    "step",
    "to_snapshot",
]

VERSION = 2


class DemandState(NamedTuple):
    """What is kept; each in the order of time.

    ``since_us`` is when the settings changed last: no block or slide reaches over it,
    and peaks begin anew.
    """

    blocks: tuple[Block, ...] = ()
    slides: tuple[Slide, ...] = ()
    peaks: tuple[Peak, ...] = ()
    since_us: int | None = None


START = DemandState()
Told = list[Demand | Event]


def step(
    rules: DemandRules, state: DemandState, minute: DemandMinute
) -> tuple[DemandState, Told]:
    """Take a minute; what is told by it, in the order of telling.

    Minutes come in the order of their starts. One that comes late, or again with other
    means, counts as long as what it changes is kept; the same one again tells nothing.
    """
    minute = known(minute)
    blocks, slides, peaks, since_us = state
    blocks, found = block.take(rules, blocks, since_us, minute)
    if rules.method == "sliding":
        slides, more = sliding.take(rules, slides, since_us, minute)
        found += more
    peaks, told = _with_peaks(rules, peaks, found, since_us)
    return DemandState(blocks, slides, peaks, since_us), told


def change(
    rules: DemandRules, state: DemandState, method: str, interval_us: int, at_us: int
) -> tuple[DemandRules, DemandState, Told]:
    """Begin a new series at ``at_us``; the rules to go on with come first.

    To be called when the minutes that end by then have come, and none that ends later:
    a minute that came before stays in the old series, and ``at_us`` moves to its end.
    The running block is told as it stands, cut there. A minute that holds the change
    belongs to neither series. Settings may be the same: another ratio splits as well.
    """
    came = [b.minutes[-1].end_us for b in state.blocks[-1:]]
    before = [] if state.since_us is None else [state.since_us]
    at_us = max([at_us, *came, *before])
    blocks, found = block.cut(rules, state.blocks, at_us)
    peaks, told = _with_peaks(rules, state.peaks, found, state.since_us)
    state = DemandState(blocks, (), peaks, at_us)
    return rules._replace(method=method, interval_us=interval_us), state, told


def flush(rules: DemandRules, state: DemandState) -> tuple[DemandState, Told]:
    """Tell the running block as it stands: no more minutes are expected.

    One that comes all the same gives the next revision.
    """
    blocks, found = block.flush(rules, state.blocks)
    peaks, told = _with_peaks(rules, state.peaks, found, state.since_us)
    return state._replace(blocks=blocks, peaks=peaks), told


def to_snapshot(state: DemandState) -> tuple[Any, ...]:
    """The state as plain tuples, version first; without what follows from the rest."""
    blocks = tuple(b._replace(tallies=()) for b in state.blocks)
    return (VERSION, *_plain(state._replace(blocks=blocks)))


def from_snapshot(snapshot: tuple[Any, ...]) -> DemandState:
    """The state as it was; ValueError for a version that is not known."""
    if snapshot[0] == 1:
        snapshot = _from_version_1(snapshot)
    blocks, slides, peaks, since_us = fields_of(snapshot, VERSION, "a demand snapshot")
    return DemandState(
        blocks=tuple(
            block.resumed(b._replace(minutes=tuple(map(DemandMinute._make, b.minutes))))
            for b in map(Block._make, blocks)
        ),
        slides=tuple(
            Slide(DemandMinute._make(minute), revisions) for minute, revisions in slides
        ),
        peaks=tuple(
            p._replace(tops=tuple(map(Top._make, p.tops)))
            for p in map(Peak._make, peaks)
        ),
        since_us=since_us,
    )


def _from_version_1(snapshot: tuple[Any, ...]) -> tuple[Any, ...]:
    """It had one peak of a period, whatever changed: that of the series that goes on."""
    _, blocks, slides, peaks, since_us = snapshot
    told = tuple(
        (
            quantity, start, end,
            NEVER_US if since_us is None or since_us >= end else since_us,
            False, tops, revision,
        )
        for quantity, start, end, tops, revision in peaks
    )  # fmt: skip
    return (VERSION, blocks, slides, told, since_us)


def _with_peaks(
    rules: DemandRules, peaks: tuple[Peak, ...], found: Found, since_us: int | None
) -> tuple[tuple[Peak, ...], Told]:
    """Let demands that are over make peaks; events come after what they tell of."""
    since = NEVER_US if since_us is None else since_us
    told: Told = []
    for record in found:
        if isinstance(record, Demand):
            told.append(record)
            continue
        if record.is_news:
            told.append(record.demand)
        peaks, event = peak.take(rules, peaks, record, since)
        if event:
            told.append(event)
    return peaks, told


def _plain(value: Any) -> Any:  # a tree of tuples has no type of its own
    return tuple(map(_plain, value)) if isinstance(value, tuple) else value
