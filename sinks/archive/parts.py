"""Rows by Delta partition, in the order of their file, one row group at a time. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sinks.archive.encoding import PARTITIONS

__all__ = [
    "ROW_GROUP_ROWS",
    "Part",
    "numbers",
    "order_of",
    "parts",
    "ranks",
    "time_name",
]

# Small enough that a reader of one asset or hour passes over most of a file.
ROW_GROUP_ROWS = 131_072
_DAYS = 10**7  # more than there are dates

Longs = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The rows of one Delta partition, without the partition's own columns."""

    site: str | None
    date: date
    rows: int
    schema: pa.Schema
    _table: pa.Table
    _order: Longs | None

    @property
    def values(self) -> dict[str, str | None]:
        """The partition's values, as they stand in the Delta log."""
        return {"site": self.site, "date": self.date.isoformat()}

    def groups(self) -> Iterator[pa.Table]:
        """Its rows sorted by area, asset and time, a row group at a time.

        New memory costs more than copying: a sorted copy of all rows is never made.
        """
        for start in range(0, self.rows, ROW_GROUP_ROWS):
            if self._order is None:
                yield self._table.slice(start, ROW_GROUP_ROWS)
            else:
                places = self._order[start : start + ROW_GROUP_ROWS]
                yield self._table.take(pa.array(places))


def parts(table: pa.Table) -> Iterator[Part]:
    """The partitions of some rows."""
    table = table.unify_dictionaries()
    days = numbers(table["date"], pa.int32()).astype(np.int64)
    groups = ranks(table["site"]) * _DAYS + days
    order = order_of(table, ("area", "asset"), groups)
    starts = np.flatnonzero(np.diff(groups if order is None else groups[order])) + 1
    rows = _required(table.drop_columns(PARTITIONS))
    for start, end in pairwise([0, *starts.tolist(), table.num_rows]):
        one = start if order is None else int(order[start])
        yield Part(
            site=table["site"][one].as_py(),
            date=table["date"][one].as_py(),
            rows=end - start,
            schema=rows.schema,
            _table=rows.slice(start, end - start) if order is None else rows,
            _order=None if order is None else order[start:end],
        )


def _required(table: pa.Table) -> pa.Table:
    """Columns without nulls say so: that they have none is a cost of each value."""
    fields = [
        field.with_nullable(column.null_count > 0)
        for field, column in zip(table.schema, table.columns, strict=True)
    ]
    return pa.Table.from_arrays(table.columns, schema=pa.schema(fields))


def order_of(
    table: pa.Table, texts: Sequence[str], group: Longs | None = None
) -> Longs | None:
    """The order by group, texts and time; None where it is so already."""
    key = np.zeros(table.num_rows, np.int64) if group is None else _compact(group)
    for name in texts:
        own = ranks(table[name])
        key = _compact(key * (int(own.max()) + 1) + own)
    instants = numbers(table[time_name(table.schema)], pa.int64())
    if _rises(key, instants):
        return None
    # Numbers of 16 bits are sorted by counting.
    order = np.argsort(key.astype(np.min_scalar_type(int(key.max()))), kind="stable")
    if not _rises(key[order], instants[order]):
        order = np.lexsort((instants, key))
    return order


def _compact(key: Longs) -> Longs:
    """The same order in smaller numbers, where there are few different ones."""
    if len(key) and int(key.max()) - (least := int(key.min())) < 1 << 40:
        return key - least
    found: Longs = np.unique(key, return_inverse=True)[1]
    return found


def _rises(key: Longs, instants: Longs) -> bool:
    steps = np.diff(key)
    return bool(((steps > 0) | ((steps == 0) & (np.diff(instants) >= 0))).all())


def time_name(schema: pa.Schema) -> str:
    """The column that orders the rows of one asset: frames have slots, events times."""
    return "slot" if "slot" in schema.names else "time"


def numbers(column: pa.ChunkedArray, kind: pa.DataType) -> npt.NDArray[Any]:
    """A column of times or dates as plain numbers."""
    found: npt.NDArray[Any] = column.combine_chunks().view(kind).to_numpy()
    return found


def ranks(column: pa.ChunkedArray) -> Longs:
    """The place of each text among all of the column's; null comes first."""
    encoded = column.combine_chunks()
    if not pa.types.is_dictionary(encoded.type):
        encoded = encoded.dictionary_encode()
    texts = encoded.dictionary.to_pylist()
    places = np.empty(len(texts) + 1, np.int64)
    places[sorted(range(len(texts)), key=texts.__getitem__)] = range(1, len(texts) + 1)
    places[-1] = 0
    found: Longs = places[encoded.indices.fill_null(len(texts)).to_numpy()]
    return found
