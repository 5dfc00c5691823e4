"""Windows as bytes: what fastavro reads is what was encoded."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from fastavro import schemaless_reader
from fastavro.schema import parse_schema
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.profiles import load_profile
from tests.transforms.codec.frames import MIXED, as_float32, as_text, schemas
from transforms.codec.frame import Column, FrameSchema, frame_schema
from transforms.codec.framing import header
from transforms.codec.window import STATISTICS, WindowSchema, window_id

SMALL = WindowSchema(
    FrameSchema("test", "pair", (Column("voltageAN", "float"), Column("x", "float")))
)
longs = st.integers(0, 2**62)
texts = st.text(max_size=20)


def _read(schema: WindowSchema, value: bytes) -> dict[str, Any]:
    parsed: Any = parse_schema(schema.avro)
    body = io.BytesIO(value[10:])
    fields: Any = schemaless_reader(body, parsed, None)
    assert body.read() == b""
    return dict(fields)


def _some(
    schema: WindowSchema, count: int, seed: int
) -> np.ndarray[Any, np.dtype[np.void]]:
    """Windows of any content."""
    chance = np.random.default_rng(seed)
    tails = np.zeros(count, schema.tail)
    wide = tails["quality"].shape
    tails["quality"] = chance.integers(0, 256, wide)
    for name in (*STATISTICS, "Good"):
        tails["reading"][name] = chance.choice([np.nan, 0.0, -1.5, 1e6, 0.1], wide)
    return tails


@given(schemas, st.data())
@settings(max_examples=40)
def test_fastavro_reads_field_by_field_what_was_encoded(
    frame: FrameSchema, data: st.DataObject
) -> None:
    schema = WindowSchema(frame)
    rows = data.draw(
        st.lists(st.tuples(texts, *[longs] * 4, st.integers(0, 99)), max_size=4)
    )
    length, seed = data.draw(longs), data.draw(st.integers(0, 99))
    tails = _some(schema, len(rows), seed)
    assets = [row[0] for row in rows]
    start, end, due, good = (
        np.array([row[n] for row in rows], np.int64) for n in range(1, 5)
    )
    encoded = schema.encode(
        assets, length, start, end, due, good, [row[5] for row in rows], tails
    )
    for row, tail, value in zip(rows, tails, encoded, strict=True):
        asset, begin, until, slots, answered, revision = row
        own = window_id(asset, frame.group, length, begin, schema.fingerprint)
        head = [
            own,
            revision,
            asset,
            frame.group,
            length,
            begin,
            until,
            slots,
            answered,
        ]
        names = [name + what for name in frame.names for what in (*STATISTICS, "Good")]
        fields = _read(schema, value)
        assert list(fields.values())[:9] == head
        assert fields["quality"] == tail["quality"].tobytes()
        assert as_text(fields[name] for name in names) == as_text(
            number for reading in tail["reading"].tolist() for number in reading
        )


def test_windows_begin_with_the_fingerprint_of_their_schema() -> None:
    (value,) = _one(SMALL)
    assert value[:10] == header(SMALL.avro)
    assert value[2:10].hex() == SMALL.fingerprint


def _one(schema: WindowSchema, revision: int = 0) -> list[bytes]:
    zero = np.zeros(1, np.int64)
    tails = np.zeros(1, schema.tail)
    return schema.encode(["s/a/m"], 60, zero, zero + 60, zero, zero, [revision], tails)


def test_the_names_of_the_fields_are_quantity_and_statistic() -> None:
    names = [field["name"] for field in SMALL.avro["fields"]]
    assert names == [
        "id", "revision", "asset", "group", "length", "start", "end", "due", "good",
        "quality", "voltageANMean", "voltageANMin", "voltageANMax", "voltageANLast",
        "voltageANGood", "xMean", "xMin", "xMax", "xLast", "xGood",
    ]  # fmt: skip


def test_units_are_those_of_the_quantities() -> None:
    units = {field["name"]: field.get("unit") for field in SMALL.avro["fields"]}
    assert (units["voltageANMean"], units["voltageANGood"], units["xMean"]) == (
        "V",
        "%",
        "",
    )


@pytest.mark.parametrize(
    ("schema", "kind"), [(SMALL, "float"), (WindowSchema(MIXED), "double")]
)
def test_a_group_with_a_double_has_windows_of_doubles(
    schema: WindowSchema, kind: str
) -> None:
    assert schema.value_type == kind
    fields = [f for f in schema.avro["fields"] if f["name"].endswith("Mean")]
    assert {field["type"] for field in fields} == {kind}


def test_numbers_are_rounded_to_the_width_of_the_schema() -> None:
    tails = np.zeros(1, SMALL.tail)
    tails["reading"]["Mean"] = 0.1
    zero = np.zeros(1, np.int64)
    (value,) = SMALL.encode(["m"], 60, zero, zero, zero, zero, [0], tails)
    assert _read(SMALL, value)["voltageANMean"] == as_float32(0.1)


def test_a_revision_keeps_the_id() -> None:
    (first,), (second,) = _one(SMALL), _one(SMALL, revision=1)
    assert _read(SMALL, first)["id"] == _read(SMALL, second)["id"]
    assert _read(SMALL, second)["revision"] == 1


def test_windows_of_another_layout_have_another_id() -> None:
    other = WindowSchema(FrameSchema("test", "pair", (Column("voltageAN", "float"),)))
    (one,), (two,) = _one(SMALL), _one(other)
    assert _read(SMALL, one)["id"] != _read(other, two)["id"]


def test_a_group_may_have_any_name() -> None:
    schema = WindowSchema(FrameSchema("test", "größe", (Column("x", "float"),)))
    (value,) = _one(schema)
    tail = value.index("größe".encode())
    assert value[tail - 1] == 2 * len("größe".encode())


@pytest.mark.parametrize(
    ("group", "fingerprint"),
    [("realtime", "5f51e930a97b926c"), ("energy", "f490aca2743e8696")],
)
def test_the_schema_of_shipped_windows_stays_as_it_is(
    group: str, fingerprint: str
) -> None:
    profile = load_profile("pm500")
    (own,) = [each for each in profile.group if each.name == group]
    assert WindowSchema(frame_schema(profile, own)).fingerprint == fingerprint
