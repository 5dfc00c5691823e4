"""The archive's files against pyarrow's default Parquet of the same rows.

Ten assets, each with the simulator's load model at one second, the realtime group. At
meter resolution every value is rounded as the simulator's meters do (0.1 V, 10 mA, 1 W,
0.001 of a power factor, 0.01 Hz); with noise each has 0.2 % of Gaussian noise and all
the digits of a float. One reading is one sample; the columns beside the readings (names,
times, status, flags) count into its bytes.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from connectors.profiles import load_profile
from connectors.simulator.load import LoadModel
from sinks.archive.draft import Draft
from sinks.archive.encoding import PARTITIONS, frame_table, frame_table_schema
from sinks.archive.files import parquet_options, write_rows
from sinks.archive.parts import parts
from tests.benchmarks.result import Result
from transforms.codec.batch import FrameColumns
from transforms.codec.frame import FrameSchema, frame_schema
from transforms.model.quantity import QUANTITIES

_ASSETS = 10
# 2026-03-02 06:00 UTC, a Monday: loads begin.
_START_S = 1_772_431_200
_STEPS = {"V": 10, "A": 100, "Hz": 100}
_PER_SAMPLE = "B/sample"

Doubles = npt.NDArray[np.float64]


def run(fast: bool) -> Iterator[Result]:
    """At meter resolution, then with noise; every encoding of floats that was tried."""
    profile = load_profile("pm500")
    schema = frame_schema(profile, profile.group_named("realtime"))
    exact = _exact(schema, 1800 if fast else 3 * 3600)
    dice = np.random.default_rng(1)
    noisy = {
        name: values * (1 + 0.002 * dice.normal(size=len(values)))
        for name, values in exact.items()
    }
    shown = {
        name: np.round(values * steps) / steps
        for name, values in exact.items()
        for steps in [_STEPS.get(QUANTITIES[name].unit, 1000)]
    }
    for what, values, bar in (
        ("at meter resolution", shown, 0.75),
        ("with noise", noisy, 0.5),
    ):
        yield from _compared(what, schema, values, bar)


def _compared(
    what: str, schema: FrameSchema, values: Mapping[str, Doubles], bar: float
) -> Iterator[Result]:
    rows = _rows(schema, values)
    samples = rows.num_rows * len(schema.columns)
    plain = _plain(rows, schema)
    default, default_s = _written(plain, {})
    own, own_s = _own(rows)
    yield Result(
        what=f"archive size {what}",
        against="pyarrow's default Parquet of the same rows",
        value=own / default,
        unit="x",
        bar=bar,
        at_most=True,
        detail=f"{own / samples:.3f} against {default / samples:.3f} {_PER_SAMPLE}, "
        f"{samples / own_s / 1e6:.0f} against {samples / default_s / 1e6:.0f} "
        "million samples/s",
    )
    for name, options in _tried(plain):
        size, taken = _written(plain, options)
        yield Result(
            what=f"encoding tried {what}: {name}",
            against="",
            value=size / samples,
            unit=_PER_SAMPLE,
            bar=None,
            at_most=True,
            detail=f"{samples / taken / 1e6:.0f} million samples/s",
        )


def _tried(rows: pa.Table) -> Iterator[tuple[str, dict[str, Any]]]:
    """Other ways to write the floats; everything else stays as the archive has it."""
    schema = rows.schema
    own = parquet_options(schema)
    floats = [field.name for field in schema if pa.types.is_floating(field.type)]
    others = {k: v for k, v in own["column_encoding"].items() if k not in floats}
    yield "by the data (the archive's)", parquet_options(schema, rows)
    yield "BYTE_STREAM_SPLIT, lz4", own
    for level in (1, 3, 9):
        yield f"BYTE_STREAM_SPLIT, zstd {level}", own | _zstd(level)
    plain = dict.fromkeys(floats, "PLAIN")
    yield "PLAIN, zstd 3", own | _zstd(3) | {"column_encoding": others | plain}
    by_dictionary = {
        "column_encoding": others,
        "use_dictionary": own["use_dictionary"] + floats,
    }
    yield "dictionary, zstd 3", own | _zstd(3) | by_dictionary


def _zstd(level: int) -> dict[str, Any]:
    return {"compression": "zstd", "compression_level": level}


def _exact(schema: FrameSchema, seconds: int) -> dict[str, Doubles]:
    """Each asset's load, asset after asset."""
    found = {name: np.empty(_ASSETS * seconds) for name in schema.names}
    for asset in range(_ASSETS):
        model = LoadModel(asset)
        for n in range(seconds):
            electricity = model.realtime((_START_S + n) * 1_000_000)
            for name, values in found.items():
                values[asset * seconds + n] = electricity[name]
    return found


def _rows(schema: FrameSchema, values: Mapping[str, Doubles]) -> pa.Table:
    """Frames in the order of the log: second by second."""
    count = len(next(iter(values.values())))
    order = np.arange(count).reshape(_ASSETS, -1).T.ravel()
    slot_us = (_START_S + np.arange(count) // _ASSETS) * 1_000_000
    dice = np.random.default_rng(2)
    sent_us = slot_us + dice.integers(0, 1000, count)
    columns = FrameColumns(
        schema=schema,
        seq=slot_us // 1_000_000,
        period_us=np.full(count, 1_000_000),
        slot_us=slot_us,
        sent_us=sent_us,
        received_us=sent_us + dice.integers(3000, 6000, count),
        status=np.zeros(count, np.uint8),
        quality=np.zeros((count, len(schema.columns)), np.uint8),
        readings={n: v[order].astype(np.float32) for n, v in values.items()},
    )
    return frame_table(columns, [f"plant/hall/m{n % _ASSETS}" for n in range(count)])


def _plain(rows: pa.Table, schema: FrameSchema) -> pa.Table:
    """The rows of the file as anyone has them, in the archive's order."""
    (part,) = parts(rows)
    ordered = pa.concat_tables(part.groups())
    kinds = pa.schema(
        field for field in frame_table_schema(schema) if field.name not in PARTITIONS
    )
    return ordered.cast(kinds)


def _own(rows: pa.Table) -> tuple[int, float]:
    """As the archive writes them: sort and all."""
    start = time.process_time()
    (part,) = parts(rows)
    draft = Draft(io.BytesIO(), None)
    write_rows(draft, part.schema, part.groups())
    return draft.size, time.process_time() - start


def _written(rows: pa.Table, options: dict[str, Any]) -> tuple[int, float]:
    start = time.process_time()
    sink = io.BytesIO()
    pq.write_table(rows, sink, **options)
    return sink.tell(), time.process_time() - start
