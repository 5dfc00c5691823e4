"""Gaps as events tell them, and as a subscriber of MQTT sees them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from tests.integration.frames import LoggedFrame
from tests.integration.readers import ANSWERED, STALE
from tests.sinks.sparkplug.wire import Metric
from transforms.codec.records import Event

__all__ = ["slots_not_told", "slots_of"]

# Asset, group and slot in microseconds.
Slot = tuple[str, str, int]


def slots_of(gaps: Iterable[Event], frames: Iterable[LoggedFrame]) -> set[Slot]:
    """Every slot that an event has in its gap; the frames know the periods."""
    periods = {(f.asset, f.group): f.record.period_us for f in frames}
    found = set()
    for gap in gaps:
        assert gap.group is not None
        assert gap.until is not None
        period_us = periods[gap.asset, gap.group]
        found |= {
            (gap.asset, gap.group, slot_us)
            for slot_us in range(gap.time, gap.until, period_us)
        }
    return found


def slots_not_told(
    frames: Iterable[LoggedFrame], metrics: Mapping[tuple[str, str, int], Metric]
) -> set[Slot]:
    """The slots of which a subscriber was not told all readings as such that came.

    They lie between a group's first slot and the last that was told as a whole: a gap
    ends with a frame that came.
    """
    slots: dict[tuple[str, str], set[int]] = defaultdict(set)
    whole: dict[tuple[str, str], set[int]] = defaultdict(set)
    periods = {}
    for frame in frames:
        lane, record = (frame.asset, frame.group), frame.record
        periods[lane] = record.period_us
        slots[lane].add(record.slot_us)
        if frame.status not in ANSWERED:
            continue  # the slots of a pause end in the same ms as the next answer comes
        time_ms = record.received_us // 1000
        told = [metrics.get((frame.asset, name, time_ms)) for name in frame.names]
        if all(each and each.properties.get("Quality") != STALE for each in told):
            whole[lane].add(record.slot_us)
    return {
        (*lane, slot_us)
        for lane, period_us in periods.items()
        for slot_us in range(min(slots[lane]), max(whole[lane], default=0), period_us)
        if slot_us not in whole[lane]
    }
