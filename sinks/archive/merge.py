"""More rows than memory holds, in any order, to sorted tables: an external merge sort.

Rows are sorted as many as fit and written to a scratch file each; then the files are
merged, a small batch of each at a time. Whatever comes, memory holds about
``CHUNK_ROWS`` rows three times, or a batch of each of ``_FILES`` files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.ipc as ipc

from sinks.archive.parts import ROW_GROUP_ROWS, numbers, order_of, ranks, time_name

__all__ = ["CHUNK_ROWS", "Sorter"]

CHUNK_ROWS = 262_144
_BATCH_ROWS = 8_192
_FILES = 64

Longs = npt.NDArray[np.int64]


class Sorter:
    """Takes tables of one schema, gives them back by ``texts`` and time.

    Rows that are equal in these come in any order. ``scratch`` is an empty folder;
    OSError where it refuses.
    """

    def __init__(
        self, texts: Sequence[str], scratch: Path, chunk_rows: int = CHUNK_ROWS
    ) -> None:
        self._texts = texts
        self._scratch = scratch
        self._chunk_rows = chunk_rows
        self._waiting: list[pa.Table] = []
        self._count = 0
        self._files: list[Path] = []
        self._made = 0
        self._seen: set[tuple[str, ...]] = set()
        self.rows = 0

    def add(self, rows: pa.Table) -> None:
        """Take rows."""
        for start in range(0, rows.num_rows, self._chunk_rows):
            piece = rows.slice(start, self._chunk_rows)
            if self._count and self._count + piece.num_rows > self._chunk_rows:
                self._spill()
            self._waiting.append(piece)
            self._count += piece.num_rows
        self.rows += rows.num_rows

    def groups(self) -> Iterator[pa.Table]:
        """All rows in order, a row group at a time; once, after the last ``add``."""
        if not self._files:
            if self._count:
                yield from _cut(iter([self._sorted()]))
            return
        if self._count:
            self._spill()
        while len(self._files) > _FILES:
            some, self._files = self._files[:_FILES], self._files[_FILES:]
            self._files.append(self._write(self._merged(some)))
            for path in some:
                path.unlink()
        yield from _cut(self._merged(self._files))

    def _sorted(self) -> pa.Table:
        table = pa.concat_tables(self._waiting).unify_dictionaries()
        self._waiting, self._count = [], 0
        order = order_of(table, self._texts)
        return table if order is None else table.take(pa.array(order))

    def _spill(self) -> None:
        table = self._sorted()
        different = table.select(self._texts).group_by(self._texts).aggregate([])
        self._seen.update(_texts(different, self._texts))
        self._files.append(self._write(iter([table])))

    def _write(self, tables: Iterator[pa.Table]) -> Path:
        path = self._scratch / f"{self._made}.arrow"
        self._made += 1
        options = ipc.IpcWriteOptions(compression="lz4")
        first = next(tables)
        with ipc.new_stream(path, first.schema, options=options) as writer:
            writer.write_table(first, max_chunksize=_BATCH_ROWS)
            for table in tables:
                writer.write_table(table, max_chunksize=_BATCH_ROWS)
        return path

    def _merged(self, files: Sequence[Path]) -> Iterator[pa.Table]:
        """The rows of sorted files in order, as tables of some thousand rows."""
        places = {texts: n for n, texts in enumerate(sorted(self._seen))}
        heads = [_Head(path, self._texts, places) for path in files]
        while heads:
            # What is not beyond any head's last row can have no row before it unread.
            bound = min(head.last for head in heads)
            pieces = [head.until(bound) for head in heads]
            ranks = np.concatenate([piece.ranks for piece in pieces])
            instants = np.concatenate([piece.instants for piece in pieces])
            table = pa.concat_tables([piece.rows for piece in pieces])
            order = np.lexsort((instants, ranks))
            yield table.unify_dictionaries().take(pa.array(order))
            heads = [head for head in heads if head.more()]


class _Piece(NamedTuple):
    """Some rows, and the numbers that they are ordered by."""

    ranks: Longs
    instants: Longs
    rows: pa.Table


class _Head:
    """A sorted file, read batch by batch."""

    def __init__(
        self, path: Path, texts: Sequence[str], places: Mapping[tuple[str, ...], int]
    ) -> None:
        self._batches = ipc.open_stream(pa.OSFile(str(path)))
        self._texts = texts
        self._places = places
        self._left = self._next()

    @property
    def last(self) -> tuple[int, int]:
        """What the last row that is in memory is ordered by."""
        return int(self._left.ranks[-1]), int(self._left.instants[-1])

    def until(self, bound: tuple[int, int]) -> _Piece:
        """Take the rows up to the bound, those at it too."""
        ranks, instants, rows = self._left
        rank, instant = bound
        start, end = (
            int(np.searchsorted(ranks, rank, side=side)) for side in _BOTH_SIDES
        )
        count = start + int(np.searchsorted(instants[start:end], instant, side="right"))
        self._left = _Piece(ranks[count:], instants[count:], rows.slice(count))
        return _Piece(ranks[:count], instants[:count], rows.slice(0, count))

    def more(self) -> bool:
        """Whether there are rows left; reads on where memory holds none."""
        if not len(self._left.ranks):
            try:
                self._left = self._next()
            except StopIteration:
                return False
        return True

    def _next(self) -> _Piece:
        rows = pa.Table.from_batches([self._batches.read_next_batch()])
        instants = numbers(rows[time_name(rows.schema)], pa.int64())
        return _Piece(self._ranks(rows), instants, rows)

    def _ranks(self, rows: pa.Table) -> Longs:
        key = np.zeros(rows.num_rows, np.int64)
        for name in self._texts:
            own = ranks(rows[name])
            key = key * (int(own.max()) + 1) + own
        _, firsts, inverse = np.unique(key, return_index=True, return_inverse=True)
        found = [
            self._places[texts] for texts in _texts(rows.take(firsts), self._texts)
        ]
        ordered: Longs = np.array(found, np.int64)[inverse]
        return ordered


_BOTH_SIDES: tuple[Literal["left"], Literal["right"]] = ("left", "right")


def _texts(rows: pa.Table, names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    columns = [rows[name].to_pylist() for name in names]
    for texts in zip(*columns, strict=True):
        yield tuple(text or "" for text in texts)


def _cut(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """The same rows, a row group at a time."""
    waiting: list[pa.Table] = []
    count = 0
    for table in tables:
        waiting.append(table)
        count += table.num_rows
        while count >= ROW_GROUP_ROWS:
            whole = pa.concat_tables(waiting).unify_dictionaries()
            yield whole.slice(0, ROW_GROUP_ROWS)
            waiting = [whole.slice(ROW_GROUP_ROWS)]
            count -= ROW_GROUP_ROWS
    if count:
        yield pa.concat_tables(waiting).unify_dictionaries()
