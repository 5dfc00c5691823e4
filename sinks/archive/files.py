"""How rows stand in Parquet files: names, encodings, bounds. Pure but for the writing."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from math import exp
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake.transaction import AddAction

from sinks.archive.parts import numbers, time_name

__all__ = [
    "Bounds",
    "added",
    "file_name",
    "parquet_options",
    "parquet_writer",
    "part_path",
    "write_rows",
]

_BOUNDED = ("area", "asset", "seq", "slot", "time", "id", "kind")
_SAMPLE_ROWS = 1024
# Measured: a dictionary is smaller up to 0.15 of the rows, and slower the more it has.
_COARSE = 0.1
_ZSTD_LEVEL = 3
_PIECE_BYTES = 1 << 20


def part_path(values: Mapping[str, str | None]) -> str:
    """The folder of a partition under the table's own."""
    site, day = values["site"], values["date"]
    folder = "__HIVE_DEFAULT_PARTITION__" if site is None else _safe(site)
    return f"site={folder}/date={day}"


def file_name(
    log_id: str, topic: str, partition: int, first: int, last: int, digest: str
) -> str:
    """The name says which records the file is made of, and what is in it.

    A replay of the same records writes the same file again; another content never takes
    the name of a file that a table may name already.
    """
    log = blake2b(log_id.encode(), digest_size=6).hexdigest()
    return f"{topic}-{partition}-{log}-{first:020d}-{last:020d}-{digest}.parquet"


def parquet_options(
    schema: pa.Schema, sample: pa.Table | None = None
) -> dict[str, Any]:
    """Encodings by type: floats by byte stream, integers by delta, texts by dictionary.

    Floats of which ``sample``, some of the file's rows, has few different ones are held
    by dictionary too: that is how meters of a coarse resolution come. Of other floats of
    32 bits lz4 finds what there is to find, runs of equal leading bytes, in half the time.
    """
    texts, encodings = [], {}
    codecs, levels = {}, {}
    coarse = set() if sample is None else _coarse(sample)
    for path, kind in _leaves(schema):
        codecs[path] = "zstd"
        if pa.types.is_string(kind) or path in coarse:
            texts.append(path)
        elif pa.types.is_floating(kind):
            encodings[path] = "BYTE_STREAM_SPLIT"
            codecs[path] = "lz4" if pa.types.is_float32(kind) else "zstd"
        elif not pa.types.is_boolean(kind):
            encodings[path] = "DELTA_BINARY_PACKED"
        if codecs[path] == "zstd":
            levels[path] = _ZSTD_LEVEL
    return {
        "compression": codecs,
        "compression_level": levels,
        "use_dictionary": texts,
        "column_encoding": encodings,
        "store_schema": False,
        # What files are pruned by; bounds of readings help nobody.
        "write_statistics": [name for name in _BOUNDED if name in schema.names],
    }


def _coarse(rows: pa.Table) -> set[str]:
    """Columns of floats with fewer different values than a tenth of the rows."""
    count = rows.num_rows
    if not count:
        return set()
    names = [each.name for each in rows.schema if pa.types.is_floating(each.type)]
    # Values may be periodic, so no regular steps; the same rows give the same file.
    places = np.random.default_rng(0).integers(0, count, min(count, _SAMPLE_ROWS))
    some = rows.select(names).take(pa.array(places))
    # So many different ones a sample has of values that are equally frequent.
    most = _COARSE * count * (1 - exp(-len(places) / (_COARSE * count)))
    return {name for name in names if len(np.unique(some[name])) < most}


def parquet_writer(sink: Any, schema: pa.Schema, sample: pa.Table) -> pq.ParquetWriter:
    """A writer of such a file; it is one only after its ``close``."""
    return pq.ParquetWriter(sink, schema, **parquet_options(schema, sample))


def write_rows(sink: Any, schema: pa.Schema, groups: Iterable[pa.Table]) -> Bounds:
    """Write tables of one schema as row groups of one file; at least one row.

    The file is closed.
    """
    every = iter(groups)
    first = next(every)
    found = Bounds.of(first)
    # A file in Python is written in few pieces: each call of it stops other threads.
    stream = pa.output_stream(sink, buffer_size=_PIECE_BYTES)
    with stream, parquet_writer(stream, schema, first) as writer:
        writer.write_table(first, row_group_size=first.num_rows)
        for group in every:
            writer.write_table(group, row_group_size=group.num_rows)
            found |= Bounds.of(group)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What readers prune files by: rows, and the bounds of area, asset and time."""

    rows: int
    texts: Mapping[str, tuple[str, str]]
    time: str
    instants_us: tuple[int, int]

    @classmethod
    def of(cls, rows: pa.Table) -> Bounds:
        """Of some rows, at least one."""
        name = time_name(rows.schema)
        instants = numbers(rows[name], pa.int64())
        texts = {
            text: sorted(rows[text].unique().to_pylist()) for text in ("area", "asset")
        }
        return cls(
            rows=rows.num_rows,
            texts={name: (found[0], found[-1]) for name, found in texts.items()},
            time=name,
            instants_us=(int(instants.min()), int(instants.max())),
        )

    def __or__(self, other: Bounds) -> Bounds:
        texts = {
            name: (min(low, other.texts[name][0]), max(high, other.texts[name][1]))
            for name, (low, high) in self.texts.items()
        }
        low, high = zip(self.instants_us, other.instants_us, strict=True)
        return Bounds(
            rows=self.rows + other.rows,
            texts=texts,
            time=self.time,
            instants_us=(min(low), max(high)),
        )

    @property
    def stats(self) -> str:
        """As the Delta log holds them, in JSON."""
        first, last = self.instants_us
        # Bounds hold whole milliseconds, so the upper one is rounded up.
        low = {name: pair[0] for name, pair in self.texts.items()}
        high = {name: pair[1] for name, pair in self.texts.items()}
        return json.dumps(
            {
                "numRecords": self.rows,
                "minValues": low | {self.time: _milliseconds(first // 1000)},
                "maxValues": high | {self.time: _milliseconds(-(-last // 1000))},
            }
        )


def added(
    path: str,
    size: int,
    values: Mapping[str, str | None],
    bounds: Bounds,
    *,
    data_change: bool = True,
) -> AddAction:
    """A file as the Delta log names it; ``path`` is under the table's own folder."""
    return AddAction(
        path, size, values, time.time_ns() // 1_000_000, data_change, bounds.stats
    )


def _safe(site: str) -> str:
    """The site as a folder: readers differ in how they unescape paths, so none is.

    It cannot hold another name: some readers take the site from there.
    """
    safe = re.sub(r"[%*]", "_", site)
    if safe == site:
        return site
    return f"{safe}-{blake2b(site.encode(), digest_size=4).hexdigest()}"


def _milliseconds(instant_ms: int) -> str:
    seconds, rest = divmod(instant_ms, 1000)
    whole = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{rest:03d}Z"


def _leaves(schema: pa.Schema) -> Iterator[tuple[str, pa.DataType]]:
    for field in schema:
        yield from _leaves_of(field.name, field.type)


def _leaves_of(path: str, kind: pa.DataType) -> Iterator[tuple[str, pa.DataType]]:
    if pa.types.is_dictionary(kind):
        yield path, kind.value_type
    elif pa.types.is_struct(kind):
        for field in kind:
            yield from _leaves_of(f"{path}.{field.name}", field.type)
    elif pa.types.is_map(kind):
        yield f"{path}.key_value.key", kind.key_type
        yield f"{path}.key_value.value", kind.item_type
    elif pa.types.is_list(kind):
        yield from _leaves_of(f"{path}.list.element", kind.value_type)
    else:
        yield path, kind
