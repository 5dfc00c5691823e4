"""How the archive's rows look: schema and columns. Pure.

Tables of frames hold ``site`` and ``date`` (partitions; ``date`` is the UTC date of the
slot), ``area`` and ``asset`` (the last part of ``site/area/asset``, so the three
together are the log's key), ``profile``, ``seq``, ``period`` (microseconds), ``slot``,
``sent``, ``received`` (UTC), ``status`` (the number of ``transforms.model.quality``),
``quality`` (the row's worst reading: 192, 64 or 0), ``flags``, then the readings by
name. A reading without a value is null. ``flags`` lists ``{quantity, code}`` of every
reading that is not good; it is null where there is none, and where the poll failed.

Tables made here hold the texts that repeat (``TEXTS``) by dictionary: they are hashed
once. Files and readers know them as plain strings (``plain``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.codec.batch import FrameColumns
from transforms.codec.frame import FrameSchema
from transforms.codec.keys import Keys
from transforms.codec.records import Event
from transforms.model.quality import Quality, Status

__all__ = [
    "EVENT_SCHEMA",
    "PARTITIONS",
    "TEXTS",
    "event_table",
    "frame_table",
    "frame_table_schema",
    "plain",
]

PARTITIONS = ["site", "date"]
TEXTS = ("site", "area", "asset", "profile")

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


def plain(schema: pa.Schema) -> pa.Schema:
    """The schema as files and readers have it: texts are strings."""
    return pa.schema(
        field.with_type(field.type.value_type)
        if pa.types.is_dictionary(field.type)
        else field
        for field in schema
    )


def frame_table(columns: FrameColumns, keys: Sequence[str]) -> pa.Table:
    """Frames as rows; ``keys`` are their assets, ``site/area/asset`` each."""
    quality = columns.quality
    odd = np.flatnonzero(quality.any(axis=1) if quality.any() else ())
    arrays: list[Any] = [
        *_places(keys),
        _repeated(columns.schema.profile, len(columns)),
        columns.seq,
        columns.period_us,
        columns.slot_us,
        columns.sent_us,
        columns.received_us,
        columns.status.astype(np.int16),
        _worst(quality, odd),
        _flags(columns, odd),
    ]
    arrays.insert(1, _dates(columns.slot_us))
    no_value = quality[odd] >= Quality.BAD_NO_VALUE
    for place, name in enumerate(columns.schema.names):
        without = odd[no_value[:, place]]
        arrays.append(_reading(columns.readings[name], without))
    return _table(arrays, frame_table_schema(columns.schema))


def event_table(events: Sequence[Event]) -> pa.Table:
    """Events as rows; ``date`` is the UTC date of their beginning."""
    times = np.fromiter((event.time for event in events), np.int64, len(events))
    arrays = _places([event.asset for event in events])
    arrays.insert(1, _dates(times))
    for field in list(EVENT_SCHEMA)[len(_KEY) :]:
        values = [getattr(event, field.name) for event in events]
        if pa.types.is_map(field.type):
            values = [sorted(value.items()) for value in values]
        arrays.append(pa.array(values, field.type))
    return _table(arrays, EVENT_SCHEMA)


def _table(arrays: Iterable[Any], schema: pa.Schema) -> pa.Table:
    columns = [
        array if isinstance(array, pa.Array) else pa.array(array, field.type)
        for array, field in zip(arrays, schema, strict=True)
    ]
    return pa.Table.from_arrays(columns, names=schema.names)


def _places(keys: Sequence[str]) -> list[Any]:
    """Site, area and asset columns; null for a site that an event does not name."""
    coded = Keys.of(keys).compact()
    split = [(*key.split("/"), "", "")[:3] for key in coded.texts]
    sites, areas, assets = zip(*split, strict=True) if split else ((), (), ())
    columns = [site or None for site in sites], areas, assets
    return [_coded(column, coded.codes) for column in columns]


def _coded(texts: Sequence[str | None], codes: npt.NDArray[np.int32]) -> pa.Array:
    """``texts[code]`` of every code, by dictionary."""
    different = [text for text in dict.fromkeys(texts) if text is not None]
    own = {text: code for code, text in enumerate(different)}
    places = np.array([own[t] if t is not None else -1 for t in texts], np.int32)
    indices = places[codes]
    return pa.DictionaryArray.from_arrays(
        pa.array(indices, mask=indices < 0), pa.array(different, pa.string())
    )


def _repeated(text: str, count: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(count, np.int32)), pa.array([text], pa.string())
    )


def _dates(slot_us: npt.NDArray[np.int64]) -> pa.Array:
    return pa.array((slot_us // _DAY_US).astype(np.int32)).view(pa.date32())


def _worst(
    quality: npt.NDArray[np.uint8], odd: npt.NDArray[np.int64]
) -> npt.NDArray[np.int16]:
    """``transforms.model.quality.worst`` of every row; only ``odd`` ones are not good."""
    found = np.full(len(quality), 192, np.int16)
    codes = quality[odd]
    counts = (codes != Quality.GOOD) & (codes != Quality.BAD_NOT_IN_SYSTEM)
    bad = (counts & (codes >= Quality.BAD_NO_VALUE)).any(axis=1)
    found[odd] = np.where(bad, 0, np.where(counts.any(axis=1), 64, 192))
    return found


def _flags(columns: FrameColumns, odd: npt.NDArray[np.int64]) -> pa.Array:
    answered = odd[columns.status[odd] <= Status.PARTIAL]
    if not len(answered):
        return pa.nulls(len(columns), pa.list_(_FLAG))
    quality = columns.quality[answered]
    rows, places = np.nonzero(quality)
    per_row = np.zeros(len(columns), np.int32)
    per_row[answered] = np.bincount(rows, minlength=len(answered))
    offsets = np.zeros(len(columns) + 1, np.int32)
    np.cumsum(per_row, out=offsets[1:])
    flags = pa.StructArray.from_arrays(
        [
            pa.array(columns.schema.names, pa.string()).take(pa.array(places)),
            pa.array(quality[rows, places].astype(np.int16)),
        ],
        fields=list(_FLAG),
    )
    return pa.ListArray.from_arrays(
        pa.array(offsets), flags, mask=pa.array(per_row == 0)
    )


def _reading(
    values: npt.NDArray[np.generic], without: npt.NDArray[np.int64]
) -> pa.Array:
    if not len(without):
        return pa.array(values)
    mask = np.zeros(len(values), np.bool_)
    mask[without] = True
    return pa.array(values, mask=mask)
