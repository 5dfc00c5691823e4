"""Log records to the archive's rows, a few thousand at a time.

What waits for a roll is Arrow, not Python objects: about the size of the log's own
bytes. A record that is no record of its topic is set aside and stops nothing.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, NamedTuple, Protocol

import pyarrow as pa

from sinks.archive.encoding import event_table, frame_table
from sinks.contract import LogBatch, Rejected
from transforms.codec.frame import FrameSchema
from transforms.codec.framing import HEADER_BYTES, CodecError
from transforms.codec.keys import Keys
from transforms.codec.records import Event, decode_record
from transforms.codec.sift import LATEST_US, Sifter

__all__ = ["EventRows", "FrameRows", "Rows"]

# A table has its own cost, however few its rows; what waits undecoded is Python objects.
CHUNK_ROWS = 16_384
# A batch of so many, mostly of one schema, is decoded before it is asked whether it is.
WHOLE_ROWS = 4096

_HEADER = itemgetter(slice(HEADER_BYTES))
_GROUP = re.compile(r"[a-z][a-z_]*")  # it becomes a folder


Has = Callable[[str], int]


class Rows(Protocol):
    """The rows of one topic between two rolls.

    ``add`` takes records in the order of their offsets; ``has(table)`` is the last
    offset that a table has already. ``tables`` may be asked again and gives the same,
    until ``clear``. ``rejected`` holds what could not be used.
    """

    root: str
    rejected: list[Rejected]

    def add(self, batch: LogBatch, has: Has) -> None:
        """Take records."""

    def tables(self) -> dict[str, pa.Table]:
        """All rows by the name of their table."""

    def clear(self) -> None:
        """Forget everything."""


class _Pending(NamedTuple):
    """Records of one schema that wait for others to be decoded with."""

    offsets: list[int]
    keys: list[str]
    values: list[bytes]


class FrameRows:
    """Frames of any number of schemas; one table per group, ``frames/<group>``."""

    root = "frames"

    def __init__(self, schema_of: Callable[[bytes], FrameSchema]) -> None:
        self._schema_of = schema_of
        self._schemas: dict[bytes, FrameSchema] = {}
        self._pending: dict[bytes, _Pending] = {}
        self._chunks: dict[str, list[pa.Table]] = {}
        self._sifter = Sifter()
        self.rejected: list[Rejected] = []

    def add(self, batch: LogBatch, has: Has) -> None:
        """Sort records by their schema, and decode where enough have come together."""
        if len(batch.values) >= WHOLE_ROWS and self._add_whole(batch, has):
            return
        different = set(map(_HEADER, batch.values))
        if len(different) == 1:
            (header,) = different
            self._take(header, batch.offsets, batch.keys, batch.values, has)
            return
        places: dict[bytes, list[int]] = {header: [] for header in different}
        for place, header in enumerate(map(_HEADER, batch.values)):
            places[header].append(place)
        for header, own in places.items():
            pick = itemgetter(*own) if len(own) > 1 else _only(own[0])
            self._take(
                header,
                pick(batch.offsets),
                pick(batch.keys),
                pick(batch.values),
                has,
            )

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

    def _add_whole(self, batch: LogBatch, has: Has) -> bool:
        """Take a batch at once; False where its frames are not all of one layout."""
        try:
            table = self._table_of(batch.values[0])
        except CodecError:
            return False
        header = _HEADER(batch.values[0])
        if batch.offsets[0] <= has(table):
            return False
        keys = Keys.of(batch.keys)
        columns = self._sifter.whole(self._schemas[header], keys, batch.values)
        if columns is None:
            return False
        if header in self._pending:
            self._decode(header)
        rows = frame_table(columns, keys)
        self._chunks.setdefault(table, []).append(rows)
        return True

    def _take(
        self,
        header: bytes,
        offsets: Sequence[int],
        keys: Sequence[str],
        values: Sequence[bytes],
        has: Has,
    ) -> None:
        """Records of one header, without those that their table has already."""
        try:
            had = has(self._table_of(values[0]))
        except CodecError as error:
            self.rejected += [
                Rejected(*record, str(error))
                for record in zip(offsets, keys, values, strict=True)
            ]
            return
        start = bisect_right(offsets, had)
        waiting = self._pending.setdefault(header, _Pending([], [], []))
        waiting.offsets.extend(offsets[start:])
        waiting.keys.extend(keys[start:])
        waiting.values.extend(values[start:])
        if len(waiting.values) >= CHUNK_ROWS:
            self._decode(header)

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
        offsets, texts, values = self._pending.pop(header)
        keys = Keys.of(texts)
        sifted = self._sifter.sift(schema, keys, values)
        self.rejected += [
            Rejected(offsets[place], texts[place], values[place], why)
            for place, why in sifted.rejected
        ]
        if sifted.kept:
            kept = keys if not sifted.rejected else [texts[n] for n in sifted.kept]
            table = frame_table(sifted.columns, kept)
            self._chunks.setdefault(f"{self.root}/{schema.group}", []).append(table)


def _only(place: int) -> Callable[[Sequence[Any]], tuple[Any]]:
    """As ``itemgetter`` of several places, of one."""
    return lambda column: (column[place],)


class EventRows:
    """Events; one table, ``events``."""

    root = "events"

    def __init__(self) -> None:
        self._events: list[Event] = []
        self.rejected: list[Rejected] = []

    def add(self, batch: LogBatch, has: Has) -> None:
        """Decode at once: events are few."""
        had = has(self.root)
        for record in zip(batch.offsets, batch.keys, batch.values, strict=True):
            if record[0] <= had:
                continue
            try:
                self._events.append(_event(record[2]))
            except CodecError as error:
                self.rejected.append(Rejected(*record, str(error)))

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
