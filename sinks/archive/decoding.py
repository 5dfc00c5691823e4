"""The archive's rows back to the records they are made of. Pure.

A row keeps all of a frame but the name of its schema and what stands under a reading
that has no value. Both follow: the schema is the one of the row's profile whose
readings are just those that the row has or flags, and a reading without a value stands
as NaN or false. A failed frame has neither readings nor flags, so it gets the newest
schema of its profile. The rows of the new records are those same rows again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sinks.archive.encoding import EVENT_SCHEMA, frame_table_schema
from transforms.codec.batch import FrameColumns
from transforms.codec.frame import Column, FrameSchema
from transforms.codec.framing import CodecError
from transforms.codec.records import Event
from transforms.codec.unbatch import encode_batch
from transforms.model.quality import Quality, Status

__all__ = ["Decoded", "FrameDecoder", "decode_events", "keys_of"]

Longs = npt.NDArray[np.int64]
Bits = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.uint8]

_BESIDE_READINGS = frozenset(frame_table_schema(FrameSchema("", "", ())).names)
_TYPES = {pa.float32(): "float", pa.float64(): "double", pa.bool_(): "boolean"}
_NUMPY = {"float": np.float32, "double": np.float64, "boolean": np.bool_}


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """Records in the order of their rows; ``times_us`` are slots, or events' times.

    ``schemas`` are those that the frames are of.
    """

    times_us: Longs
    keys: list[str]
    values: list[bytes]
    schemas: frozenset[FrameSchema] = frozenset()


class FrameDecoder:
    """Rows of one group's table to frames; ``known`` are schemas, the oldest first.

    A row that is of none of them gets a schema made of its own readings.
    """

    def __init__(self, group: str, known: Iterable[FrameSchema]) -> None:
        self._group = group
        self._known: dict[str, list[FrameSchema]] = {}
        for schema in known:
            if schema.group == group:
                self._known.setdefault(schema.profile, []).insert(0, schema)

    def decode(self, rows: pa.Table) -> Decoded:
        """The frames; CodecError where a flag is of no reading."""
        cells = _Cells(rows)
        numbers = {
            name: _longs(rows[name])
            for name in ("seq", "period", "slot", "sent", "received", "status")
        }
        values: list[bytes] = [b""] * rows.num_rows
        schemas = set()
        for schema, places in self._by_schema(rows, cells, numbers["status"]):
            quality, readings = cells.of(schema, places)
            columns = FrameColumns(
                schema=schema,
                seq=numbers["seq"][places],
                period_us=numbers["period"][places],
                slot_us=numbers["slot"][places],
                sent_us=numbers["sent"][places],
                received_us=numbers["received"][places],
                status=numbers["status"][places].astype(np.uint8),
                quality=quality,
                readings=readings,
            )
            schemas.add(schema)
            frames = encode_batch(columns)
            for place, frame in zip(places.tolist(), frames, strict=True):
                values[place] = frame
        return Decoded(
            times_us=numbers["slot"],
            keys=_keys(rows),
            values=values,
            schemas=frozenset(schemas),
        )

    def _by_schema(
        self, rows: pa.Table, cells: _Cells, status: Longs
    ) -> Iterator[tuple[FrameSchema, Longs]]:
        """The places of the rows of each schema."""
        encoded = _whole(rows["profile"]).dictionary_encode()
        codes = encoded.indices.to_numpy()
        bare = ~cells.present.any(axis=1) & (status > Status.PARTIAL)
        for code, profile in enumerate(encoded.dictionary.to_pylist()):
            own = codes == code
            if (failed := np.flatnonzero(own & bare)).size:
                yield self._newest(profile, cells), failed
            left = np.flatnonzero(own & ~bare)
            while left.size:
                first = cells.present[left[0]]
                same = (cells.present[left] == first).all(axis=1)
                yield self._fitting(profile, cells, first), left[same]
                left = left[~same]

    def _fitting(self, profile: str, cells: _Cells, present: Bits) -> FrameSchema:
        """The newest schema of just these readings, made where there is none."""
        columns = [cells.columns[place] for place in np.flatnonzero(present)]
        names = {column.name for column in columns}
        known = self._known.setdefault(profile, [])
        for schema in known:
            if names == set(schema.names):
                return schema
        made = FrameSchema(profile, self._group, tuple(columns))
        known.append(made)
        return made

    def _newest(self, profile: str, cells: _Cells) -> FrameSchema:
        known = self._known.get(profile)
        if known:
            return known[0]
        return FrameSchema(profile, self._group, cells.columns)


class _Cells:
    """The readings of some rows, and which of them a row has at all."""

    def __init__(self, rows: pa.Table) -> None:
        fields = [
            field
            for field in rows.schema
            if field.name not in _BESIDE_READINGS and field.type in _TYPES
        ]
        self.columns = tuple(Column(each.name, _TYPES[each.type]) for each in fields)
        self._place = {column.name: n for n, column in enumerate(self.columns)}
        self._arrays = [_whole(rows[column.name]) for column in self.columns]
        shape = len(self.columns), rows.num_rows
        # By column while it is filled, by row where it is compared.
        has = np.empty(shape, np.bool_)
        for own, array in zip(has, self._arrays, strict=True):
            own[:] = array.is_valid() if array.null_count else True
        self._quality: Codes = np.where(
            has, np.uint8(Quality.GOOD), np.uint8(Quality.BAD_NO_VALUE)
        )
        self._flag(_whole(rows["flags"]), has)
        self.present: Bits = np.ascontiguousarray(has.T)

    def of(
        self, schema: FrameSchema, places: Longs
    ) -> tuple[Codes, dict[str, npt.NDArray[np.generic]]]:
        """Quality and readings of some rows in the order of a schema."""
        own = [self._place[name] for name in schema.names if name in self._place]
        quality = np.full(
            (len(places), len(schema.columns)), Quality.BAD_NO_VALUE, np.uint8
        )
        readings: dict[str, npt.NDArray[np.generic]] = {}
        if len(own) == len(schema.columns):
            quality[:] = self._quality[np.array(own)[:, np.newaxis], places].T
        for column in schema.columns:
            readings[column.name] = self._reading(column, places)
        return quality, readings

    def _reading(self, column: Column, places: Longs) -> npt.NDArray[np.generic]:
        nothing = False if column.type == "boolean" else np.nan
        kind = _NUMPY[column.type]
        if column.name not in self._place:  # of a failed frame
            return np.full(len(places), nothing, kind)
        array = self._arrays[self._place[column.name]]
        if array.null_count:
            array = array.fill_null(nothing)
        found: npt.NDArray[np.generic] = array.to_numpy(zero_copy_only=False)
        return found[places].astype(kind, copy=False)

    def _flag(self, flags: Any, has: Bits) -> None:
        """Set what the flags say; a reading that is flagged stands in the frame."""
        if flags.null_count == len(flags):
            return
        each = flags.flatten()
        names = each.field("quantity").dictionary_encode()
        places = [self._place.get(name, -1) for name in names.dictionary.to_pylist()]
        if -1 in places:
            name = names.dictionary[places.index(-1)]
            raise CodecError(f"a flag is of {name}, which is no reading of the table")
        columns = np.array(places, np.int64)[names.indices.to_numpy()]
        rows = pc.list_parent_indices(flags).to_numpy()
        self._quality[columns, rows] = each.field("code").to_numpy()
        has[columns, rows] = True


def decode_events(rows: pa.Table) -> Decoded:
    """The events of some rows; what stands in ``data`` is in the order of its names."""
    keys = _keys(rows)
    names = [name for name in EVENT_SCHEMA.names if name in Event.__dataclass_fields__]
    own = [name for name in names if name not in ("asset", "time", "until")]
    columns = [rows[name].to_pylist() for name in own]
    times = _longs(rows["time"])
    until = _whole(rows["until"]).cast(pa.int64()).to_pylist()
    values = []
    for place, key in enumerate(keys):
        fields = {
            name: column[place] for name, column in zip(own, columns, strict=True)
        }
        fields["data"] = dict(fields["data"])
        event = Event(asset=key, time=int(times[place]), until=until[place], **fields)
        values.append(event.encode())
    return Decoded(times_us=times, keys=keys, values=values)


def keys_of(rows: pa.Table) -> tuple[list[str], npt.NDArray[np.int32]]:
    """The keys of the log that some rows are of, and the place among them of each row.

    An event may name no asset, or only the first parts of one.
    """
    parts = [
        _whole(rows[name]).cast(pa.string()).fill_null("")
        for name in ("site", "area", "asset")
    ]
    joined = pc.binary_join_element_wise(*parts, "/").dictionary_encode()
    texts = [key.rstrip("/") for key in joined.dictionary.to_pylist()]
    return texts, joined.indices.to_numpy()


def _keys(rows: pa.Table) -> list[str]:
    texts, codes = keys_of(rows)
    return [texts[code] for code in codes.tolist()]


def _longs(column: pa.ChunkedArray) -> Longs:
    found: Longs = _whole(column).cast(pa.int64()).to_numpy()
    return found


def _whole(column: pa.ChunkedArray) -> Any:
    """One array; texts that are held by dictionary stand as they are."""
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # of no chunk at all
        array = (
            pa.concat_arrays(array.chunks)
            if array.num_chunks
            else pa.array([], column.type)
        )
    return (
        array.cast(array.type.value_type)
        if pa.types.is_dictionary(array.type)
        else array
    )
