"""Demand by blocks: intervals that lie end to end, aligned to the site's wall clock.

The two newest blocks that have minutes are kept. The newest runs: each of its minutes
gives a record with a forecast. It is over with the first minute after its end, and is
then told without one. A minute that comes late, or again, into a block that is over
gives the next revision of what changes by it; one that is older than both blocks
changes nothing, as one that holds a block's bound. A block without any minute is not
told.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from transforms.codec.derived import Demand, demand_id
from transforms.demand.mean import (
    DEMAND_QUANTITIES,
    SECOND_US,
    DemandMinute,
    Mean,
    Tally,
    added,
    mean_from,
    tally_of,
)
from transforms.demand.over import Over
from transforms.demand.rules import DemandRules
from transforms.model.quality import Quality

__all__ = ["Block", "Found", "cut", "flush", "resumed", "take"]

_KEPT_BLOCKS = 2
_POWERS, _CURRENTS, _ALL = range(2), range(2, 5), range(5)
_INCOMPLETE = int(Quality.UNCERTAIN_INCOMPLETE)


class Block(NamedTuple):
    """One interval ``[start, end)`` with the ``known`` minutes of it, in their order.

    ``cut`` says that it is shorter than the calendar has it, by a change of settings;
    ``over`` that no more minutes are expected. By quantity, ``ids`` are those of its
    records and ``revisions`` those of the next ones. ``tallies`` are of the quantities
    told while it runs: they follow from the minutes, and every minute asks for them.
    """

    method: str
    interval_us: int
    start_us: int
    end_us: int
    ids: tuple[str, ...]
    cut: bool = False
    over: bool = False
    minutes: tuple[DemandMinute, ...] = ()
    revisions: tuple[int, ...] = (0,) * len(DEMAND_QUANTITIES)
    tallies: tuple[Tally, ...] = ()


Blocks = tuple[Block, ...]
Found = list[Demand | Over]
"""Demands of a block that runs, and of such as are over."""


def take(
    rules: DemandRules, blocks: Blocks, since_us: int | None, minute: DemandMinute
) -> tuple[Blocks, Found]:
    """Take a ``known`` minute; no block begins before ``since_us``."""
    start_us, end_us = minute.start_us, minute.end_us
    if blocks:
        newest = blocks[-1]
        last_us = newest.minutes[-1].start_us
        if not newest.over and last_us < start_us < end_us <= newest.end_us:
            new, out = _grown(rules, newest, minute)
            return (*blocks[:-1], new), out
    for place, block in enumerate(blocks):
        if block.start_us <= start_us and end_us <= block.end_us:
            if minute in block.minutes:
                return blocks, []
            new, out = _filled(rules, block, minute)
            return (*blocks[:place], new, *blocks[place + 1 :]), out
    return _opened(rules, blocks, since_us, minute)


def cut(rules: DemandRules, blocks: Blocks, at_us: int) -> tuple[Blocks, Found]:
    """End the newest block there, unless it has ended before; no minute is split."""
    if not blocks or at_us >= blocks[-1].end_us:
        return flush(rules, blocks)
    ended = blocks[-1]._replace(end_us=at_us, cut=True, over=True)
    ended, out = _told(rules, ended, None)
    return (*blocks[:-1], ended), out


def flush(rules: DemandRules, blocks: Blocks) -> tuple[Blocks, Found]:
    """Tell the newest block as it stands, as one that is over."""
    if not blocks or blocks[-1].over:
        return blocks, []
    ended, out = _told(rules, blocks[-1]._replace(over=True), None)
    return (*blocks[:-1], ended), out


def resumed(block: Block) -> Block:
    """The block with the tallies that follow from its minutes."""
    return block._replace(tallies=_tallies(block, block.minutes))


def _opened(
    rules: DemandRules, blocks: Blocks, since_us: int | None, minute: DemandMinute
) -> tuple[Blocks, Found]:
    """The first minute of a block."""
    start, end = rules.calendar.window(minute.start_us, rules.interval_us)
    first = start if since_us is None else max(start, since_us)
    if minute.start_us < first or minute.end_us > end:
        return blocks, []
    ids = tuple(
        demand_id(rules.asset, quantity, "block", rules.interval_us, first)
        for quantity in DEMAND_QUANTITIES
    )
    block = Block(rules.method, rules.interval_us, first, end, ids, cut=first > start)
    if not blocks or blocks[-1].start_us < first:
        blocks, out = flush(rules, blocks)
        block, running = _filled(rules, block, minute)
        return (*blocks, block)[-_KEPT_BLOCKS:], out + running
    if len(blocks) == _KEPT_BLOCKS and first < blocks[0].start_us:
        return blocks, []
    block = block._replace(over=True, minutes=(minute,))
    block, out = _told(rules, block, None)
    return (block, blocks[-1]), out


def _grown(
    rules: DemandRules, block: Block, minute: DemandMinute
) -> tuple[Block, Found]:
    """A block that runs, with a minute after all others: the way of nearly every one.

    It comes to the same as ``_filled``.
    """
    tallies = tuple(
        [added(tally, minute, place) for place, tally in enumerate(block.tallies)]
    )
    return _told_running(rules, block, (*block.minutes, minute), tallies)


def _filled(
    rules: DemandRules, block: Block, minute: DemandMinute
) -> tuple[Block, Found]:
    kept = (m for m in block.minutes if m.start_us != minute.start_us)
    minutes = tuple(sorted((*kept, minute)))
    if block.over:
        return _told(rules, block._replace(minutes=minutes), block)
    return _told_running(rules, block, minutes, _tallies(block, minutes))


def _tallies(block: Block, minutes: tuple[DemandMinute, ...]) -> tuple[Tally, ...]:
    """Of power, in a block that runs; currents are told once it is over."""
    if block.over or block.method != "block":
        return ()
    return tuple(tally_of(minutes, place) for place in _POWERS)


def _told(
    rules: DemandRules, block: Block, before: Block | None
) -> tuple[Block, Found]:
    """A block that is over; only what differs from how it was before."""
    out: Found = []
    revisions = list(block.revisions)
    whole_us = block.end_us - block.start_us
    if block.cut:
        start, end = rules.calendar.window(block.start_us, block.interval_us)
        whole_us = end - start
    for place in _ALL if block.method == "block" else _CURRENTS:
        mean = _mean(block, place)
        was = None if before is None else _mean(before, place)
        if mean == was:
            continue
        is_news = was is None or mean.content != was.content
        demand = _demand(rules, block, place, mean, None)
        out.append(Over(demand, mean.seconds, whole_us, is_news))
        revisions[place] += is_news
    return block._replace(revisions=tuple(revisions), tallies=()), out


def _told_running(
    rules: DemandRules,
    block: Block,
    minutes: tuple[DemandMinute, ...],
    tallies: tuple[Tally, ...],
) -> tuple[Block, Found]:
    """A block that runs, as of the last of its new minutes."""
    method, interval_us, start_us, end_us, ids, cut, over, _, revisions, _ = block
    last = minutes[-1]
    out: Found = []
    for place, tally in enumerate(tallies):
        mean = _marked(block, mean_from(tally, last.end_us - start_us))
        forecast = _forecast(minutes, place, mean, end_us)
        out.append(_demand(rules, block, place, mean, forecast))
    told = len(out)
    revisions = (*[n + 1 for n in revisions[:told]], *revisions[told:])
    new = Block(
        method, interval_us, start_us, end_us, ids, cut, over, minutes, revisions,
        tallies,
    )  # fmt: skip
    return new, out


def _forecast(
    minutes: tuple[DemandMinute, ...], place: int, mean: Mean, end_us: int
) -> float | None:
    """What the block comes to if the rest of it is as the last minute that is known.

    Time that was not measured counts no more than it does in the end.
    """
    value, _, seconds = mean
    if value is None:
        return None
    last = next(m for m in reversed(minutes) if m.weights[place])
    rest = (end_us - minutes[-1].end_us) / SECOND_US
    return (value * seconds + last.means[place] * rest) / (seconds + rest)


def _mean(block: Block, place: int) -> Mean:
    """The mean of a block that is over."""
    tallies = block.tallies
    tally = tallies[place] if tallies[place:] else tally_of(block.minutes, place)
    return _marked(block, mean_from(tally, block.end_us - block.start_us))


def _marked(block: Block, mean: Mean) -> Mean:
    """A block that was cut is incomplete, with all its minutes too."""
    if not block.cut or mean.value is None or mean.quality > _INCOMPLETE:
        return mean
    return mean._replace(quality=_INCOMPLETE)


def _demand(
    rules: DemandRules, block: Block, place: int, mean: Mean, forecast: float | None
) -> Demand:
    return Demand(
        asset=rules.asset,
        quantity=DEMAND_QUANTITIES[place],
        method="block",
        interval=block.interval_us,
        start=block.start_us,
        end=block.end_us,
        value=math.nan if mean.value is None else mean.value,
        quality=mean.quality,
        forecast=forecast,
        revision=block.revisions[place],
        id=block.ids[place],
    )
