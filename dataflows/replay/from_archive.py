"""History from the archive: frames and events made again from its rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from functools import partial, reduce
from operator import and_, or_
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.dataset as ds

from connectors.log.contract import EVENTS, FRAMES
from dataflows.replay.blocks import Block
from dataflows.replay.span import Assets, Span
from dataflows.replay.spill import Spill
from sinks.archive.decoding import Decoded, FrameDecoder, decode_events, keys_of
from sinks.archive.read import dataset
from sinks.archive.rows import EventRows, FrameRows
from sinks.archive.store import Store
from transforms.codec.frame import FrameSchema

__all__ = ["ROOTS", "ArchiveHistory"]

ROOTS: Mapping[str, str] = {FRAMES: FrameRows.root, EVENTS: EventRows.root}

_TIME = pa.timestamp("us", "UTC")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE_US = 60_000_000
_FOR_EVER_US = 1 << 62
# What is in memory at once: as rows, as frames, and on its way.
_SLICE_ROWS = 200_000
# What is on the disk at once, of each table: about 2 GB.
_SLICES = 32
_PIECE_ROWS = 16_384
_BLOCK = 5000
# Arrow reads far ahead by itself, a row group of 131,072 rows each.
_AHEAD = {"batch_readahead": 2, "fragment_readahead": 1}

Longs = npt.NDArray[np.int64]
Decode = Callable[[pa.Table], Decoded]


class _Slice(NamedTuple):
    start_us: int
    end_us: int
    rows: int


class ArchiveHistory:
    """The rows under the root of one topic as records, by time and then by asset.

    Only files of the wanted days are opened. In memory are about 200,000 rows at once,
    a minute of the whole plant at least; in the folder for temporary files some
    million. ``needs`` is given the schemas of frames before the
    first of their frames. OSError where the archive cannot be read.
    """

    def __init__(
        self,
        store: Store,
        topic: str,
        span: Span,
        assets: Assets,
        *,
        known: Iterable[FrameSchema],
        needs: Callable[[Iterable[FrameSchema]], None],
        stopping: Callable[[], bool],
    ) -> None:
        self._span = span
        self._assets = assets
        self._needs = needs
        self._told: set[FrameSchema] = set()
        self._stopping = stopping
        self._time = "slot" if topic == FRAMES else "time"
        self._tables: list[tuple[ds.Dataset, Decode]] = [
            (dataset(store, name), _decoder(name, known))
            for name in store.table_names(ROOTS[topic])
        ]
        self._minutes = self._count()
        self.total = sum(self._minutes.values())
        self.looked = 0

    def blocks(self) -> Iterator[Block]:
        """All wanted records; OSError, CodecError."""
        slices = self._slices()
        for start in range(0, len(slices), _SLICES):
            yield from self._pass(slices[start : start + _SLICES])

    def _pass(self, slices: Sequence[_Slice]) -> Iterator[Block]:
        """The records of some slices, for which the tables are read once."""
        with ExitStack() as stack:
            spills = [
                stack.enter_context(Spill([each.start_us for each in slices]))
                for _ in self._tables
            ]
            wanted = self._filter(slices[0].start_us, slices[-1].end_us)
            for (table, _), spill in zip(self._tables, spills, strict=True):
                for batch in table.to_batches(filter=wanted, **_AHEAD):
                    if self._stopping():
                        return
                    if batch.num_rows:
                        spill.put(batch, _numbers(batch[self._time]))
            for number, each in enumerate(slices):
                rows = [
                    spill.take(number, table.schema)
                    for (table, _), spill in zip(self._tables, spills, strict=True)
                ]
                until = self.looked + each.rows
                for block in self._records(rows):
                    yield block
                    self.looked += len(block.keys)
                self.looked = until

    def _slices(self) -> list[_Slice]:
        """Whole minutes that are in memory at once, without those outside the span."""
        found: list[_Slice] = []
        for minute in sorted(self._minutes):
            own = _Slice(
                max(minute * _MINUTE_US, self._span.start_us or 0),
                min((minute + 1) * _MINUTE_US, self._span.end_us or _FOR_EVER_US),
                self._minutes[minute],
            )
            if found and found[-1].rows + own.rows <= _SLICE_ROWS:
                start_us, _, rows = found.pop()
                own = _Slice(start_us, own.end_us, rows + own.rows)
            found.append(own)
        return found

    def _count(self) -> Counter[int]:
        """How many rows each minute has, of the tables together."""
        found: Counter[int] = Counter()
        wanted = self._filter(self._span.start_us, self._span.end_us)
        for table, _ in self._tables:
            for batch in table.to_batches(columns=[self._time], filter=wanted):
                if self._stopping():
                    return Counter()
                minutes = _numbers(batch.column(0)) // _MINUTE_US
                numbers, counts = np.unique(minutes, return_counts=True)
                found.update(dict(zip(numbers.tolist(), counts.tolist(), strict=True)))
        return found

    def _records(self, tables: Sequence[pa.Table]) -> Iterator[Block]:
        """The records of a slice, in their order."""
        times_us: list[Longs] = [np.empty(0, np.int64)]
        keys: list[str] = []
        values: list[bytes] = []
        for (_, decode), table in zip(self._tables, tables, strict=True):
            rows = self._wanted(table)
            for start in range(0, rows.num_rows, _PIECE_ROWS):
                decoded = decode(rows.slice(start, _PIECE_ROWS))
                if new := decoded.schemas - self._told:
                    self._needs(new)
                    self._told |= new
                times_us.append(decoded.times_us)
                keys += decoded.keys
                values += decoded.values
        times = np.concatenate(times_us)
        ranks = {key: place for place, key in enumerate(sorted(set(keys)))}
        ranked = np.fromiter(map(ranks.__getitem__, keys), np.int64, len(keys))
        order = np.lexsort((ranked, times))
        for start in range(0, len(order), _BLOCK):
            own = order[start : start + _BLOCK]
            places = own.tolist()
            yield Block(
                times[own],
                [keys[place] for place in places],
                [values[place] for place in places],
            )

    def _wanted(self, rows: pa.Table) -> pa.Table:
        if self._assets.all or self._assets.names is not None:
            return rows
        texts, codes = keys_of(rows)
        wanted = np.fromiter(map(self._assets.want, texts), np.bool_, len(texts))
        return rows.filter(pa.array(wanted[codes]))

    def _filter(self, start_us: int | None, end_us: int | None) -> Any:
        """What of a table is read: whole days by their partition, then by the columns."""
        terms = []
        if start_us is not None:
            terms.append(ds.field("date") >= _day(start_us))
            terms.append(ds.field(self._time) >= pa.scalar(start_us, _TIME))
        if end_us is not None:
            terms.append(ds.field("date") <= _day(end_us - 1))
            terms.append(ds.field(self._time) < pa.scalar(end_us, _TIME))
        if (names := self._assets.names) is not None:
            terms.append(reduce(or_, map(_is_asset, names)))
        return reduce(and_, terms) if terms else None


def _decoder(table: str, known: Iterable[FrameSchema]) -> Decode:
    root, _, group = table.partition("/")
    if root != FrameRows.root:
        return decode_events
    return partial(FrameDecoder.decode, FrameDecoder(group, known))


def _is_asset(name: tuple[str, str, str]) -> Any:
    parts = zip(("site", "area", "asset"), name, strict=True)
    return reduce(and_, (ds.field(column) == part for column, part in parts))


def _day(instant_us: int) -> date:
    return (_EPOCH + timedelta(microseconds=instant_us)).date()


def _numbers(array: pa.Array) -> Longs:
    found: Longs = array.cast(pa.int64()).to_numpy()
    return found
