"""Log records to the archive's rows, a few thousand at a time.

What waits for a roll is Arrow, not Python objects: about the size of the log's own
bytes. A record that is no record of its topic is set aside and stops nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import pyarrow as pa

from sinks.archive.encoding import event_table, frame_table
from transforms.codec.frame import FrameSchema
from transforms.codec.framing import HEADER_BYTES, CodecError
from transforms.codec.records import Event, decode_record
from transforms.codec.sift import LATEST_US, Sifter

__all__ = ["EventRows", "FrameRows", "LogRecord", "Rejected", "Rows"]

CHUNK_ROWS = 4096

_GROUP = re.compile(r"[a-z][a-z_]*")  # it becomes a folder


class LogRecord(Protocol):
    """A record as the log reads it."""

    @property
    def offset(self) -> int:
        """Its place in the partition."""

    @property
    def key(self) -> str:
        """The asset."""

    @property
    def value(self) -> bytes:
        """The encoded frame or event."""


Rejected = tuple[Any, str]
Has = Callable[[str], int]


class Rows(Protocol):
    """The rows of one topic between two rolls.

    ``add`` takes records in the order of their offsets; ``has(table)`` is the last
    offset that a table has already. ``tables`` may be asked again and gives the same,
    until ``clear``. ``rejected`` holds (record, reason) of what could not be used.
    """

    root: str
    rejected: list[Rejected]

    def add(self, records: Sequence[LogRecord], has: Has) -> None:
        """Take records."""

    def tables(self) -> dict[str, pa.Table]:
        """All rows by the name of their table."""

    def clear(self) -> None:
        """Forget everything."""


class FrameRows:
    """Frames of any number of schemas; one table per group, ``frames/<group>``."""

    root = "frames"

    def __init__(self, schema_of: Callable[[bytes], FrameSchema]) -> None:
        self._schema_of = schema_of
        self._schemas: dict[bytes, FrameSchema] = {}
        self._pending: dict[bytes, list[LogRecord]] = {}
        self._chunks: dict[str, list[pa.Table]] = {}
        self._sifter = Sifter()
        self.rejected: list[Rejected] = []

    def add(self, records: Sequence[LogRecord], has: Has) -> None:
        """Sort records by their schema, and decode where enough have come together."""
        had: dict[bytes, int] = {}
        for record in records:
            header = record.value[:HEADER_BYTES]
            if header not in had:
                try:
                    had[header] = has(self._table_of(record.value))
                except CodecError as error:
                    self.rejected.append((record, str(error)))
                    continue
            if record.offset <= had[header]:
                continue
            waiting = self._pending.setdefault(header, [])
            waiting.append(record)
            if len(waiting) == CHUNK_ROWS:
                self._decode(header)

    def tables(self) -> dict[str, pa.Table]:
        """All rows by table; columns that only some profiles have are null in others."""
        for header in list(self._pending):
            self._decode(header)
        return {
            name: pa.concat_tables(chunks, promote_options="default")
            for name, chunks in self._chunks.items()
        }

    def clear(self) -> None:
        """Forget everything but the schemas."""
        self._pending.clear()
        self._chunks.clear()
        self.rejected.clear()

    def _table_of(self, value: bytes) -> str:
        header = value[:HEADER_BYTES]
        if header not in self._schemas:
            schema = self._schema_of(value)
            if not _GROUP.fullmatch(schema.group):
                raise CodecError(f"{schema.group!r} cannot be the name of a table")
            self._schemas[header] = schema
        return f"{self.root}/{self._schemas[header].group}"

    def _decode(self, header: bytes) -> None:
        schema = self._schemas[header]
        records = self._pending.pop(header)
        sifted = self._sifter.sift(schema, [(r.key, r.value) for r in records])
        self.rejected += [(records[place], why) for place, why in sifted.rejected]
        if sifted.kept:
            keys = [records[place].key for place in sifted.kept]
            table = frame_table(sifted.columns, keys)
            self._chunks.setdefault(f"{self.root}/{schema.group}", []).append(table)


class EventRows:
    """Events; one table, ``events``."""

    root = "events"

    def __init__(self) -> None:
        self._events: list[Event] = []
        self.rejected: list[Rejected] = []

    def add(self, records: Sequence[LogRecord], has: Has) -> None:
        """Decode at once: events are few."""
        had = has(self.root)
        for record in records:
            if record.offset <= had:
                continue
            try:
                self._events.append(_event(record.value))
            except CodecError as error:
                self.rejected.append((record, str(error)))

    def tables(self) -> dict[str, pa.Table]:
        """All rows, under the one table's name."""
        return {self.root: event_table(self._events)} if self._events else {}

    def clear(self) -> None:
        """Forget everything."""
        self._events.clear()
        self.rejected.clear()


def _event(value: bytes) -> Event:
    event = decode_record(value)
    if not isinstance(event, Event):
        raise CodecError(f"a {type(event).__name__} is no event")
    if not 0 <= event.time < LATEST_US:
        raise CodecError(f"its time is {event.time}")
    return event
