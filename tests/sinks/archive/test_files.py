"""How files are written: by what is in them."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sinks.archive.draft import Draft
from sinks.archive.files import Bounds, parquet_options, write_rows
from sinks.archive.parts import parts
from tests.sinks.archive.rows import frames

ROWS = 5000


def _rows(values: np.ndarray) -> pa.Table:
    table = frames([0]).take(pa.array(np.zeros(ROWS, np.int64)))
    return table.append_column("x", pa.array(values.astype(np.float32)))


def _encodings(table: pa.Table) -> set[str]:
    (part,) = parts(table)
    content = io.BytesIO()
    write_rows(Draft(content, None), part.schema, part.groups())
    group = pq.ParquetFile(content).metadata.row_group(0)
    columns = {c["path_in_schema"]: c for c in group.to_dict()["columns"]}
    return set(columns["x"]["encodings"])


def test_floats_with_few_different_values_are_held_by_dictionary() -> None:
    values = np.arange(ROWS) % 400 / 10
    assert _encodings(_rows(values)) == {"PLAIN", "RLE", "RLE_DICTIONARY"}


def test_floats_with_many_different_values_are_split_by_byte() -> None:
    values = np.arange(ROWS) % 1500 / 10
    assert _encodings(_rows(values)) == {"RLE", "BYTE_STREAM_SPLIT"}


def test_rows_of_no_sample_are_split_by_byte() -> None:
    schema = pa.schema([("x", pa.float32())])
    options = parquet_options(schema, schema.empty_table())
    assert options["column_encoding"] == {"x": "BYTE_STREAM_SPLIT"}


def test_bounds_of_two_tables_are_those_of_both() -> None:
    one = Bounds.of(frames([3, 4], key="p/a/m9"))
    two = Bounds.of(frames([1], key="p/b/m1"))
    both = one | two
    assert both.stats == (
        '{"numRecords": 3, '
        '"minValues": {"area": "a", "asset": "m1", "slot": "2026-03-01T12:00:01.000Z"}, '
        '"maxValues": {"area": "b", "asset": "m9", "slot": "2026-03-01T12:00:04.000Z"}}'
    )


def test_rows_that_are_in_order_are_not_moved() -> None:
    (part,) = parts(frames(range(5)))
    (group,) = part.groups()
    assert group["seq"].to_pylist() == sorted(group["seq"].to_pylist())
    assert part.rows == 5
