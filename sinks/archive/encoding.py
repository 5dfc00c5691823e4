"""How the archive's rows look: schema, columns, order, encodings and places. Pure.

Tables of frames hold ``site`` and ``date`` (partitions; ``date`` is the UTC date of the
slot), ``area`` and ``asset`` (the last part of ``site/area/asset``, so the three
together are the log's key), ``profile``, ``seq``, ``period`` (microseconds), ``slot``,
``sent``, ``received`` (UTC), ``status`` (the number of ``transforms.model.quality``),
``quality`` (the row's worst reading: 192, 64 or 0), ``flags``, then the readings by
name. A reading without a value is null. ``flags`` lists ``{quantity, code}`` of every
reading that is not good; it is null where there is none, and where the poll failed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from hashlib import blake2b
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.codec.batch import FrameColumns
from transforms.codec.frame import FrameSchema
from transforms.codec.records import Event
from transforms.model.quality import Quality, Status

__all__ = [
    "EVENT_SCHEMA",
    "PARTITIONS",
    "Part",
    "event_table",
    "file_name",
    "frame_table",
    "frame_table_schema",
    "parquet_options",
    "parts",
    "stats_json",
]

PARTITIONS = ["site", "date"]

_TIME = pa.timestamp("us", "UTC")
_DAY_US = 86_400_000_000
_FLAG = pa.struct([("quantity", pa.string()), ("code", pa.int16())])
_KEY = [
    ("site", pa.string()),
    ("date", pa.date32()),
    ("area", pa.string()),
    ("asset", pa.string()),
]
_FRAME = pa.schema(
    [
        *_KEY,
        ("profile", pa.string()),
        ("seq", pa.int64()),
        ("period", pa.int64()),
        ("slot", _TIME),
        ("sent", _TIME),
        ("received", _TIME),
        ("status", pa.int16()),
        ("quality", pa.int16()),
        ("flags", pa.list_(_FLAG)),
    ]
)
EVENT_SCHEMA = pa.schema(
    [
        *_KEY,
        ("id", pa.string()),
        ("revision", pa.int32()),
        ("kind", pa.string()),
        ("time", _TIME),
        ("until", _TIME),
        ("group", pa.string()),
        ("severity", pa.string()),
        ("text", pa.string()),
        ("data", pa.map_(pa.string(), pa.string())),
    ]
)
_READING = {"float": pa.float32(), "double": pa.float64(), "boolean": pa.bool_()}


def frame_table_schema(schema: FrameSchema) -> pa.Schema:
    """The table of a group as far as this profile knows it."""
    readings = [pa.field(c.name, _READING[c.type]) for c in schema.columns]
    return pa.schema([*_FRAME, *readings])


def frame_table(columns: FrameColumns, keys: Sequence[str]) -> pa.Table:
    """Frames as rows; ``keys`` are their assets, ``site/area/asset`` each."""
    quality = columns.quality
    answered = columns.status <= Status.PARTIAL
    arrays = [
        *_places(keys),
        pa.repeat(columns.schema.profile, len(columns)),
        columns.seq,
        columns.period_us,
        columns.slot_us,
        columns.sent_us,
        columns.received_us,
        columns.status.astype(np.int16),
        _worst(quality),
        _flags(columns.schema, np.where(answered[:, None], quality, Quality.GOOD)),
    ]
    arrays.insert(1, _dates(columns.slot_us))
    no_value = quality >= Quality.BAD_NO_VALUE
    for place, name in enumerate(columns.schema.names):
        mask = np.ascontiguousarray(no_value[:, place])
        arrays.append(pa.array(columns.readings[name], mask=mask))
    return _table(arrays, frame_table_schema(columns.schema))


def event_table(events: Sequence[Event]) -> pa.Table:
    """Events as rows; ``date`` is the UTC date of their beginning."""
    times = np.fromiter((event.time for event in events), np.int64, len(events))
    arrays: list[Any] = _places([event.asset for event in events])
    arrays.insert(1, _dates(times))
    for field in list(EVENT_SCHEMA)[len(_KEY) :]:
        values = [getattr(event, field.name) for event in events]
        if pa.types.is_map(field.type):
            values = [sorted(value.items()) for value in values]
        arrays.append(pa.array(values, field.type))
    return _table(arrays, EVENT_SCHEMA)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The rows of one Delta partition, sorted, without the partition's own columns."""

    site: str | None
    date: date
    rows: pa.Table

    @property
    def path(self) -> str:
        """The folder under the table's own."""
        site = "__HIVE_DEFAULT_PARTITION__" if self.site is None else _safe(self.site)
        return f"site={site}/date={self.date.isoformat()}"

    @property
    def values(self) -> dict[str, str | None]:
        """The partition's values, as they stand in the Delta log."""
        return {"site": self.site, "date": self.date.isoformat()}


def parts(table: pa.Table) -> Iterator[Part]:
    """Rows by partition, each sorted by area, asset and time."""
    time = "slot" if "slot" in table.column_names else "time"
    days = _numbers(table["date"], pa.int32())
    sites = _ranks(table["site"])
    instants = _numbers(table[time], pa.int64())
    order = np.lexsort(
        (instants, _ranks(table["asset"]), _ranks(table["area"]), days, sites)
    )
    ordered = table.take(pa.array(order))
    days, sites = days[order], sites[order]
    starts = np.flatnonzero((np.diff(days) != 0) | (np.diff(sites) != 0)) + 1
    bounds = [0, *starts.tolist(), table.num_rows]
    for start, end in pairwise(bounds):
        rows = ordered.slice(start, end - start)
        yield Part(
            site=rows["site"][0].as_py(),
            date=rows["date"][0].as_py(),
            rows=rows.drop_columns(PARTITIONS),
        )


def file_name(log_id: str, topic: str, partition: int, first: int, last: int) -> str:
    """The name says which records the file is made of, and so which rows it holds.

    A replay of the same records writes the same name, and no other ones do.
    """
    log = blake2b(log_id.encode(), digest_size=6).hexdigest()
    return f"{topic}-{partition}-{log}-{first:020d}-{last:020d}.parquet"


def parquet_options(schema: pa.Schema) -> dict[str, Any]:
    """Encodings by type: floats by byte stream, integers by delta, texts by dictionary.

    Measured on meter data: 2.4 times smaller and 7 times faster than the defaults.
    """
    texts, encodings = [], {}
    for path, kind in _leaves(schema):
        if pa.types.is_string(kind):
            texts.append(path)
        elif pa.types.is_floating(kind):
            encodings[path] = "BYTE_STREAM_SPLIT"
        elif not pa.types.is_boolean(kind):
            encodings[path] = "DELTA_BINARY_PACKED"
    return {
        "compression": "zstd",
        "compression_level": 3,
        "use_dictionary": texts,
        "column_encoding": encodings,
        "store_schema": False,
    }


def stats_json(rows: pa.Table) -> str:
    """What readers prune files by: rows, and the bounds of asset and time."""
    time = "slot" if "slot" in rows.column_names else "time"
    assets = rows["asset"].unique().to_pylist()
    instants = _numbers(rows[time], pa.int64())
    return json.dumps(
        {
            "numRecords": rows.num_rows,
            "minValues": {
                "asset": min(assets),
                time: _milliseconds(int(instants.min()) // 1000),
            },
            # Bounds hold whole milliseconds, so the upper one is rounded up.
            "maxValues": {
                "asset": max(assets),
                time: _milliseconds(-(-int(instants.max()) // 1000)),
            },
        }
    )


def _table(arrays: Iterable[Any], schema: pa.Schema) -> pa.Table:
    columns = [
        array if isinstance(array, pa.Array) else pa.array(array, field.type)
        for array, field in zip(arrays, schema, strict=True)
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def _places(keys: Sequence[str]) -> list[Any]:
    """Site, area and asset columns; null for a site that an event does not name."""
    encoded = pa.array(keys, pa.string()).dictionary_encode()
    split = [(*key.split("/"), "", "")[:3] for key in encoded.dictionary.to_pylist()]
    sites, areas, assets = zip(*split, strict=True) if split else ((), (), ())
    columns = ([site or None for site in sites], areas, assets)
    return [pa.array(c, pa.string()).take(encoded.indices) for c in columns]


def _dates(slot_us: npt.NDArray[np.int64]) -> pa.Array:
    return pa.array((slot_us // _DAY_US).astype(np.int32)).view(pa.date32())


def _worst(quality: npt.NDArray[np.uint8]) -> npt.NDArray[np.int16]:
    """``transforms.model.quality.worst`` of every row at once."""
    counts = (quality != Quality.GOOD) & (quality != Quality.BAD_NOT_IN_SYSTEM)
    bad = (counts & (quality >= Quality.BAD_NO_VALUE)).any(axis=1)
    ranked = np.where(counts.any(axis=1), 64, 192)
    return np.where(bad, 0, ranked).astype(np.int16)


def _flags(schema: FrameSchema, quality: npt.NDArray[np.uint8]) -> pa.Array:
    rows, places = np.nonzero(quality)
    per_row = np.bincount(rows, minlength=len(quality))
    offsets = np.zeros(len(quality) + 1, np.int32)
    np.cumsum(per_row, out=offsets[1:])
    flags = pa.StructArray.from_arrays(
        [
            pa.array(schema.names, pa.string()).take(pa.array(places)),
            pa.array(quality[rows, places].astype(np.int16)),
        ],
        fields=list(_FLAG),
    )
    return pa.ListArray.from_arrays(
        pa.array(offsets), flags, mask=pa.array(per_row == 0)
    )


def _numbers(column: pa.ChunkedArray, kind: pa.DataType) -> npt.NDArray[Any]:
    numbers: npt.NDArray[Any] = column.combine_chunks().view(kind).to_numpy()
    return numbers


def _ranks(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """The place of each text among all of the column's; null comes first."""
    encoded = column.combine_chunks().dictionary_encode()
    texts = encoded.dictionary.to_pylist()
    ranks = np.empty(len(texts) + 1, np.int64)
    ranks[sorted(range(len(texts)), key=texts.__getitem__)] = range(1, len(texts) + 1)
    ranks[-1] = 0
    found: npt.NDArray[np.int64] = ranks[
        encoded.indices.fill_null(len(texts)).to_numpy()
    ]
    return found


def _safe(site: str) -> str:
    """The site as a folder: readers differ in how they unescape paths, so none is."""
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
    if pa.types.is_struct(kind):
        for field in kind:
            yield from _leaves_of(f"{path}.{field.name}", field.type)
    elif pa.types.is_map(kind):
        yield f"{path}.key_value.key", kind.key_type
        yield f"{path}.key_value.value", kind.item_type
    elif pa.types.is_list(kind):
        yield from _leaves_of(f"{path}.list.element", kind.value_type)
    else:
        yield path, kind
