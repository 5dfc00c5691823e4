"""The archive's tables read by Arrow: in pieces, in the columns that a caller knows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from sinks.archive.encoding import TEXTS
from sinks.archive.store import Store, store_errors

__all__ = ["conform", "dataset", "file_tables", "held"]

_BATCH_ROWS = 65_536

Pruning = Sequence[tuple[str, str, str]]


def dataset(store: Store, table: str, pruning: Pruning | None = None) -> ds.Dataset:
    """A table as an Arrow dataset; OSError where there is none.

    ``pruning`` are (partition column, operator, value) of the files that matter.
    """
    with store_errors():
        delta = store.open(table)
        found: ds.Dataset = delta.to_pyarrow_dataset(
            filesystem=store.files_of(table),
            file_pruning_predicate=list(pruning) if pruning else None,
        )
        return found


def file_tables(store: Store, path: str, schema: pa.Schema) -> Iterator[pa.Table]:
    """The rows of one file in the columns of ``schema``, in pieces.

    ``path`` is as the Delta log names it, with its table before it.
    """
    with store.files.open_input_file(unquote(path)) as source:
        # Of a bucket all of a file at once, which is less than half the target.
        file = pq.ParquetFile(source, pre_buffer=store.folder is None)
        for batch in file.iter_batches(_BATCH_ROWS):
            yield conform(pa.Table.from_batches([batch]), schema)


def held(schema: pa.Schema) -> pa.Schema:
    """The schema as rows are held in memory: texts that repeat by dictionary."""
    texts = pa.dictionary(pa.int32(), pa.string())
    return pa.schema(
        each.with_type(texts) if each.name in TEXTS else each for each in schema
    )


def conform(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """The rows in the columns of ``schema``; what they lack is null."""
    columns: list[Any] = [
        rows[each.name].cast(each.type)
        if each.name in rows.column_names
        else pa.nulls(rows.num_rows, each.type)
        for each in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)
