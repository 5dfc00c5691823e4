"""A part of the archive as one plain file: Parquet, or CSV that any program reads."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from functools import reduce
from itertools import chain
from operator import and_, or_
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.dataset as ds

from sinks.archive.encoding import plain
from sinks.archive.files import parquet_writer
from sinks.archive.merge import Sorter
from sinks.archive.parts import time_name
from sinks.archive.read import conform, dataset, held
from sinks.archive.store import Store

__all__ = ["Wanted", "export"]

_KEY = ("site", "area", "asset")
_BATCH_ROWS = 65_536
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ISO = "%Y-%m-%dT%H:%M:%SZ"
_WILD = frozenset("*?[")

# Told after each piece: the rows read and the rows written until now.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which rows: of a table, from an instant (UTC, µs) to before another, by asset.

    ``assets`` are patterns such as ``plant/*/press-?``; none means all.
    """

    table: str
    start_us: int | None = None
    end_us: int | None = None
    assets: tuple[str, ...] = ()


def export(
    store: Store,
    wanted: Wanted,
    output: Path,
    *,
    as_csv: bool = False,
    told: Progress | None = None,
) -> int:
    """Write the rows by asset and time; how many. OSError, and then no file.

    The file appears when it is whole. Memory holds a few hundred thousand rows; the rest
    waits in scratch files beside the output.
    """
    rows = dataset(store, wanted.table, _pruning(wanted))
    schema = held(rows.schema)
    with (
        tempfile.TemporaryDirectory(prefix=f".{output.name}-", dir=output.parent) as at,
        _appearing(output, Path(at)) as file,
    ):
        sorter = Sorter(_KEY, Path(at))
        for piece in _pieces(store, rows, schema, wanted):
            sorter.add(piece)
            if told:
                told(sorter.rows, 0)
        written = 0
        groups = sorter.groups()
        first = next(groups, schema.empty_table())
        with _writer(file, first, as_csv=as_csv) as writer:
            for group in chain([first], groups):
                writer.write_table(group)
                written += group.num_rows
                if told:
                    told(sorter.rows, written)
    return written


def _writer(file: IO[bytes], first: pa.Table, *, as_csv: bool) -> Any:
    return (
        _Csv(file, first.schema)
        if as_csv
        else parquet_writer(file, first.schema, first)
    )


def _pieces(
    store: Store, rows: ds.Dataset, schema: pa.Schema, wanted: Wanted
) -> Iterator[pa.Table]:
    scanner = rows.scanner(
        filter=_filter(rows.schema, wanted),
        batch_size=_BATCH_ROWS,
        batch_readahead=2,
        fragment_readahead=1,
        # Else a file's wanted parts would be in memory before its first rows come.
        fragment_scan_options=ds.ParquetFragmentScanOptions(
            pre_buffer=store.folder is None
        ),
    )
    for batch in scanner.to_batches():
        piece = pa.Table.from_batches([batch])
        if wanted.assets:
            piece = piece.filter(_matches(piece, wanted.assets))
        if piece.num_rows:
            yield conform(piece, schema)


def _matches(rows: pa.Table, patterns: Sequence[str]) -> pa.Array:
    texts = [pc.fill_null(rows[name].combine_chunks(), "") for name in _KEY]
    encoded = pc.binary_join_element_wise(*texts, "/").dictionary_encode()
    fits = [
        any(fnmatchcase(name, pattern) for pattern in patterns)
        for name in encoded.dictionary.to_pylist()
    ]
    return pa.array(fits, pa.bool_()).take(encoded.indices)


def _pruning(wanted: Wanted) -> list[tuple[str, str, str]]:
    """The files that can hold such rows, by their dates."""
    found = []
    if wanted.start_us is not None:
        found.append(("date", ">=", _instant(wanted.start_us).date().isoformat()))
    if wanted.end_us is not None:
        found.append(("date", "<=", _instant(wanted.end_us).date().isoformat()))
    return found


def _filter(schema: pa.Schema, wanted: Wanted) -> ds.Expression | None:
    """What Arrow can decide by itself, and skip files and row groups for."""
    time = ds.field(time_name(schema))
    parts = []
    if wanted.start_us is not None:
        parts.append(time >= _scalar(wanted.start_us))
    if wanted.end_us is not None:
        parts.append(time < _scalar(wanted.end_us))
    places = [_place(pattern) for pattern in wanted.assets]
    if places and all(place is not None for place in places):
        parts.append(reduce(or_, places))
    return reduce(and_, parts) if parts else None


def _place(pattern: str) -> ds.Expression | None:
    """A pattern's parts without wildcards; None where there is none."""
    # An asset has two slashes: with two in the pattern, no wildcard can match one.
    parts = pattern.split("/")
    if len(parts) != len(_KEY):
        return None
    known = [
        ds.field(name) == part
        for name, part in zip(_KEY, parts, strict=True)
        if part and not _WILD & set(part)
    ]
    return reduce(and_, known) if known else None


def _instant(time_us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=time_us)


def _scalar(time_us: int) -> pa.Scalar:
    return pa.scalar(time_us, pa.timestamp("us", "UTC"))


class _Csv:
    """Rows as CSV: times in ISO 8601 UTC, lists and maps as text, null as nothing."""

    def __init__(self, file: IO[bytes], schema: pa.Schema) -> None:
        self._schema = pa.schema(
            pa.field(each.name, _text_or(each.type)) for each in plain(schema)
        )
        options = pacsv.WriteOptions(quoting_header="none")
        self._writer = pacsv.CSVWriter(file, self._schema, write_options=options)

    def __enter__(self) -> _Csv:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def write_table(self, rows: pa.Table) -> None:
        """Append."""
        columns = [_as_text(rows[each.name]) for each in self._schema]
        self._writer.write_table(pa.Table.from_arrays(columns, schema=self._schema))


def _text_or(kind: pa.DataType) -> pa.DataType:
    return pa.string() if pa.types.is_nested(kind) or _is_time(kind) else kind


def _is_time(kind: pa.DataType) -> bool:
    found: bool = pa.types.is_timestamp(kind)
    return found


def _as_text(column: pa.ChunkedArray) -> Any:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return column.cast(kind.value_type)
    if _is_time(kind):
        return pc.strftime(column, format=_ISO)
    if pa.types.is_list(kind):
        return _flags(column.combine_chunks())
    if pa.types.is_map(kind):
        values = (value and json.dumps(dict(value)) for value in column.to_pylist())
        return pa.array(values, pa.string())
    return column


def _flags(flags: pa.ListArray) -> pa.Array:
    """``currentA:103;frequency:101``; null where there is none."""
    each = flags.flatten()
    texts = pc.binary_join_element_wise(
        each.field("quantity"), each.field("code").cast(pa.string()), ":"
    )
    counts = pc.fill_null(pc.list_value_length(flags), 0)
    ends = pc.cumulative_sum(counts).cast(pa.int32())
    starts = pa.concat_arrays([pa.array([0], pa.int32()), ends])
    lists = pa.ListArray.from_arrays(starts, texts, mask=flags.is_null())
    return pc.binary_join(lists, ";")


@contextmanager
def _appearing(output: Path, folder: Path) -> Iterator[IO[bytes]]:
    """A file that has its name only after the block, and only if nothing was raised."""
    draft = folder / "output"
    with draft.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    draft.replace(output)
