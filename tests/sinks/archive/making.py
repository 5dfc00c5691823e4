"""Frames and logs for the archive's tests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from connectors.log.contract import EVENTS, FRAMES, Batch
from connectors.log.embedded import EmbeddedLog
from connectors.log.schemas import Schemas, publish_schemas
from connectors.profiles import load_profile
from sinks.archive.commit import Archive
from sinks.archive.rows import EventRows, FrameRows
from sinks.archive.store import Store
from sinks.archive.writer import ArchiveWriter
from sinks.contract import Rejected
from sinks.rolls.contract import roll_now
from transforms.codec.frame import FrameSchema, frame_schema

# 2026-03-01 12:00:00 UTC
NOON_US = 1_772_366_400_000_000
SECOND_US = 1_000_000


def schema_of(profile: str, group: str) -> FrameSchema:
    loaded = load_profile(profile)
    return frame_schema(loaded, loaded.group_named(group))


REALTIME = schema_of("pm500", "realtime")
ENERGY = schema_of("pm500", "energy")
EM24 = schema_of("em24", "realtime")


def frame(
    schema: FrameSchema,
    seconds: int,
    *,
    status: int = 0,
    quality: bytes | None = None,
    start_us: int = NOON_US,
    period_us: int = SECOND_US,
) -> bytes:
    slot_us = start_us + seconds * SECOND_US
    seq = slot_us // period_us
    if status > 1:
        return schema.encode_failed(
            seq, period_us, slot_us, slot_us + 10, slot_us + 500, status
        )
    values = [
        bool(seconds % 2) if column.type == "boolean" else seconds + place / 8
        for place, column in enumerate(schema.columns)
    ]
    return schema.encode(
        seq,
        period_us,
        slot_us,
        slot_us + 10,
        slot_us + 900,
        status,
        quality or bytes(len(schema.columns)),
        values,
    )


def make_log(path: Path, schemas: Iterable[FrameSchema] = (REALTIME,)) -> EmbeddedLog:
    log = EmbeddedLog(path)
    publish_schemas(log, schemas)
    return log


def batch_of(log: EmbeddedLog, topic: str, offsets: Sequence[int]) -> Batch:
    """Records of the log's only partition."""
    records = log.read(topic, 0, offsets[0], len(offsets))
    found, _, keys, values = zip(*records, strict=True)
    return Batch(topic, 0, found, keys, values)


class Writer:
    """An ArchiveWriter fed by hand from a log, and what it said."""

    def __init__(
        self, place: Store | Path, log: EmbeddedLog, topic: str = FRAMES
    ) -> None:
        self.buried: list[Rejected] = []
        self.stored: list[int] = []
        self._log = log
        self._topic = topic
        rows = EventRows() if topic == EVENTS else FrameRows(Schemas(log).frame_schema)
        self.rows = rows
        self.archive = Archive(
            place, rows.root, log_id=log.identity(topic), topic=topic, partition=0
        )
        self.writer = ArchiveWriter(
            self.archive,
            rows,
            settle=log.sync,
            bury=self.buried.append,
            stored=self.stored.append,
        )

    def add(self, offsets: Sequence[int]) -> None:
        self.writer.add(batch_of(self._log, self._topic, offsets))

    def roll(self, offsets: Sequence[int]) -> None:
        self.add(offsets)
        roll_now(self.writer)
