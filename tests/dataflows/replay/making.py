"""Logs and archives with a history in them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from connectors.log.contract import EVENTS, FRAMES, Batch, Log
from connectors.log.embedded import EmbeddedLog
from connectors.log.schemas import Schemas, publish_schemas
from connectors.profiles import load_profile
from dataflows.replay.blocks import Block, History
from sinks.archive.commit import Archive
from sinks.archive.rows import EventRows, FrameRows
from sinks.archive.writer import ArchiveWriter
from sinks.rolls.contract import roll_now
from transforms.codec.frame import FrameSchema, frame_schema

NOON_US = 1_772_366_400_000_000  # 2026-03-01 12:00:00 UTC
SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US

_PM500 = load_profile("pm500")
REALTIME = frame_schema(_PM500, _PM500.group_named("realtime"))
ENERGY = frame_schema(_PM500, _PM500.group_named("energy"))


def frame(schema: FrameSchema, second: float, status: int = 0) -> bytes:
    slot_us = NOON_US + round(second * SECOND_US)
    head = slot_us // SECOND_US, SECOND_US, slot_us, slot_us + 100, slot_us + 900
    if status > 1:
        return schema.encode_failed(*head, status)
    values = [second + place for place in range(len(schema.columns))]
    return schema.encode(*head, status, bytes(len(schema.columns)), values)


def edge_log(
    path: Path, records: Sequence[tuple[str, bytes]], topic: str = FRAMES
) -> EmbeddedLog:
    """A log whose records were appended a second after noon."""
    log = EmbeddedLog(path, clock_us=lambda: NOON_US + SECOND_US)
    publish_schemas(log, [REALTIME, ENERGY])
    log.append(topic, records)
    return log


def archive(log: Log, topic: str, folder: Path, root: str = "frames") -> None:
    """All that a topic holds now as rows in a folder, a roll for each partition."""
    for number in log.partitions(topic):
        rows = EventRows() if root == "events" else FrameRows(Schemas(log).frame_schema)
        own = Archive(
            folder,
            rows.root,
            log_id=log.identity(topic),
            topic=topic,
            partition=number,
        )
        writer = ArchiveWriter(
            own, rows, settle=log.sync, bury=_refuse, stored=lambda _: None
        )
        at, end = log.bounds(topic, number)
        while at < end and (records := log.read(topic, number, at, 5000)):
            offsets, _, keys, values = zip(*records, strict=True)
            writer.add(Batch(topic, number, offsets, keys, values))
            at = offsets[-1] + 1
        roll_now(writer)


def archive_events(log: Log, topic: str, folder: Path) -> None:
    """All events that a topic holds now."""
    archive(log, topic, folder, root=EVENTS.removeprefix("pm500."))


def _refuse(rejected: object) -> None:
    raise AssertionError(f"not archived: {rejected}")


def records_of(history: History) -> list[tuple[int, str, bytes]]:
    """Times in seconds after noon, keys and values."""
    return [
        ((time_us - NOON_US) // SECOND_US, key, value)
        for block in history.blocks()
        for time_us, key, value in zip(*_columns(block), strict=True)
    ]


def _columns(block: Block) -> tuple[list[int], Sequence[str], Sequence[bytes]]:
    return block.times_us.tolist(), block.keys, block.values
