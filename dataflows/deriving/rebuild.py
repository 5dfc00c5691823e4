"""The state made again: what the log has no more is read from the archive."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import structlog

from connectors.log.contract import EVENTS, FRAMES, Batch, Log, LogError
from connectors.log.schemas import Schemas
from connectors.stop import STOP
from dataflows.deriving.loop import Loop
from dataflows.deriving.operator import Told
from dataflows.deriving.seed import States
from dataflows.deriving.writer import LogWriter
from dataflows.replay.opening import Source, Wanted, archive_history
from dataflows.replay.span import Assets, Span
from dataflows.site import Site
from transforms.codec.slots import NO_SLOT, slots_of
from transforms.derivation.rules import DeriveRules

__all__ = ["rebuilt"]

_HEAD = 10_000
# Frames of the log's beginning stand in the archive too, and are taken from the log.
_APPEND_US = 5_000_000
_RETRY_SECONDS = 0.5


def rebuilt(
    site: Site,
    log: Log,
    partition: int,
    rules: DeriveRules,
    writer: LogWriter,
    alive: Callable[[str | None], None],
) -> States:
    """States of the shards as they were when the log begins, from the archive's frames.

    What is derived on the way is told again, in the same words. ``alive(trouble)`` is
    called meanwhile. None where the site has no archive, or it has nothing older.
    LogError, OSError.
    """
    if site.archive is None:
        return {}
    head, until_us = _head(log, partition)
    known = {(key, value) for _, key, value in head}
    own = None if site.kafka is None else _keys(log, partition)
    loop = Loop(rules, Schemas(log).frame_schema)
    offset = frames = 0
    for topic in (EVENTS, FRAMES):
        for keys, values in _blocks(site, log, topic, until_us):
            wanted = [
                place
                for place, key in enumerate(keys)
                if (own is None or key in own or not key)
                and (key, values[place]) not in known
            ]
            if not wanted:
                continue
            batch = Batch(
                topic,
                partition,
                range(offset, offset + len(wanted)),
                [keys[place] for place in wanted],
                [values[place] for place in wanted],
            )
            offset += len(wanted)
            frames += len(wanted) if topic == FRAMES else 0
            # What is no frame was told when it came; its offset is not known here.
            told: list[Told] = [(derived, []) for derived, _ in loop.take(batch)]
            _written(writer, told, alive)
    structlog.get_logger().info("state_rebuilt", partition=partition, frames=frames)
    return loop.states()


def _blocks(
    site: Site, log: Log, topic: str, until_us: int | None
) -> Iterator[tuple[list[str], list[bytes]]]:
    end_us = None if until_us is None else until_us + 1
    wanted = Wanted(Source.archive, topic, Span(end_us=end_us), Assets())
    history = archive_history(site, log, wanted, stopping=lambda: STOP.requested)
    for block in history.blocks():
        if STOP.requested:
            raise SystemExit(0)
        yield list(block.keys), list(block.values)


def _head(log: Log, partition: int) -> tuple[list[tuple[int, str, bytes]], int | None]:
    """Slot, key and bytes of the log's first frames, and up to where the archive counts.

    The archive's frames are those that were there when the log's first one was appended.
    """
    offset, _ = log.bounds(FRAMES, partition)
    records = log.read(FRAMES, partition, offset, _HEAD)
    slots = slots_of([record.value for record in records]).tolist()
    found = [
        (slot, record.key, record.value)
        for slot, record in zip(slots, records, strict=True)
        if slot != NO_SLOT
    ]
    if not found:
        return [], None
    newest = max(slot for slot, _, _ in found)
    return found, min(newest, records[0].time_us + _APPEND_US)


def _written(
    writer: LogWriter, told: list[Told], alive: Callable[[str | None], None]
) -> None:
    """Write, however long the log refuses."""
    while True:
        try:
            writer.write(told)
        except OSError as refused:
            alive(str(refused))
            if STOP.requested:
                raise SystemExit(0) from refused
            time.sleep(_RETRY_SECONDS)
        else:
            alive(None)
            return


def _keys(log: Log, partition: int) -> set[str]:
    """The assets of a partition: those that it has a record of."""
    offset, _ = log.bounds(FRAMES, partition)
    found: set[str] = set()
    with suppress(LogError):
        while records := log.read(FRAMES, partition, offset, _HEAD):
            found |= {record.key for record in records}
            offset = records[-1].offset + 1
    return found
