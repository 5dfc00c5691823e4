"""Frames to test with: every shipped group's schema, and what a frame may hold."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable
from typing import Any

from fastavro import schemaless_reader, schemaless_writer
from fastavro.schema import parse_schema
from hypothesis import strategies as st

from connectors.profiles import load_profile, profile_names
from transforms.codec.frame import Column, FrameRecord, FrameSchema, frame_schema
from transforms.model.quality import Quality, Status

SCHEMAS = tuple(
    frame_schema(profile, group)
    for profile in map(load_profile, profile_names())
    for group in profile.group
)
# Smaller than a word of eight bytes, where the fast path has the least room.
ONE_BIT = FrameSchema("tiny", "bit", (Column("alarm1", "boolean"),))
MIXED = FrameSchema(
    "tiny",
    "mixed",
    (
        Column("alarm1", "boolean"),
        Column("frequency", "float"),
        Column("energyImport", "double"),
        Column("alarm2", "boolean"),
    ),
)

schemas = st.sampled_from((*SCHEMAS, ONE_BIT, MIXED))
longs = st.integers(-(2**63), 2**63 - 1)
_VALUES = {
    "float": st.floats(width=32),
    "double": st.floats(),
    "boolean": st.booleans(),
}


def records(schema: FrameSchema) -> st.SearchStrategy[FrameRecord]:
    """Any record that this schema can hold."""
    count = len(schema.columns)
    quality = st.lists(st.sampled_from(Quality), min_size=count, max_size=count)
    return st.builds(
        FrameRecord,
        *[longs] * 5,
        st.sampled_from(Status).map(int),
        quality.map(bytes),
        st.tuples(*(_VALUES[column.type] for column in schema.columns)),
    )


def by_fastavro(schema: FrameSchema, record: FrameRecord) -> bytes:
    """The body that fastavro writes for the same record."""
    out = io.BytesIO()
    heads = ("seq", "period", "slot", "sent", "received", "status", "quality")
    fields = zip((*heads, *schema.names), (*record[:7], *record.values), strict=True)
    parsed: Any = parse_schema(schema.avro)
    schemaless_writer(out, parsed, dict(fields))
    return out.getvalue()


def read_by_fastavro(schema: FrameSchema, value: bytes) -> dict[str, Any]:
    """The record that fastavro reads after the header."""
    parsed: Any = parse_schema(schema.avro)
    read: Any = schemaless_reader(io.BytesIO(value[10:]), parsed, None)
    fields: dict[str, Any] = read
    return fields


def as_text(values: Iterable[object]) -> list[str]:
    """Values that can be compared: NaN equals NaN, and 0.0 is not -0.0."""
    return [repr(value) for value in values]


def as_float32(value: float) -> float:
    """What is left of a number on its way through four bytes."""
    (rounded,) = struct.unpack("<f", struct.pack("<f", value))
    return float(rounded)
