from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.archive.decoding import FrameDecoder, decode_events
from sinks.archive.encoding import event_table, frame_table
from tests.transforms.codec.frames import MIXED, longs, records, schemas
from transforms.codec.batch import decode_batch
from transforms.codec.frame import Column, FrameSchema
from transforms.codec.framing import CodecError
from transforms.codec.records import Event
from transforms.model.quality import Quality, Status

NOON_US = 1_772_366_400_000_000
SECOND_US = 1_000_000
# The profile as it was before it gained `voltageAN`, and after.
BEFORE = FrameSchema(
    "m", "g", (Column("frequency", "float"), Column("alarm1", "boolean"))
)
AFTER = FrameSchema("m", "g", (*BEFORE.columns, Column("voltageAN", "float")))


@st.composite
def frames(draw: st.DrawFn, schema: FrameSchema) -> bytes:
    """A frame as a poller makes it: what has no value stands as NaN or false."""
    record = draw(records(schema))
    slot_us = draw(st.integers(0, 7_258_118_399_999_999))
    heads = (*record[:2], slot_us, *record[3:5])
    if record.status > Status.PARTIAL:
        return schema.encode_failed(*heads, record.status)
    values = [
        nothing if code >= Quality.BAD_NO_VALUE else value
        for code, value, nothing in zip(
            record.quality, record.values, schema.nothing, strict=True
        )
    ]
    return schema.encode(*heads, record.status, record.quality, values)


@st.composite
def tables(draw: st.DrawFn) -> tuple[FrameSchema, list[bytes]]:
    schema = draw(schemas)
    return schema, draw(st.lists(frames(schema), max_size=10))


def rows_of(schema: FrameSchema, values: list[bytes]) -> pa.Table:
    keys = [f"plant/hall/m{n % 3}" for n in range(len(values))]
    return frame_table(decode_batch(schema, values), keys)


def ok(schema: FrameSchema, second: int, *values: float | bool) -> bytes:
    slot_us = NOON_US + second * SECOND_US
    seq = slot_us // SECOND_US
    count = len(schema.columns)
    return schema.encode(
        seq, SECOND_US, slot_us, slot_us, slot_us, 0, bytes(count), values
    )


def failed(schema: FrameSchema, second: int) -> bytes:
    slot_us = NOON_US + second * SECOND_US
    seq = slot_us // SECOND_US
    return schema.encode_failed(seq, SECOND_US, slot_us, slot_us, slot_us, 2)


@given(tables())
def test_rows_of_any_frames_give_the_same_bytes(
    table: tuple[FrameSchema, list[bytes]],
) -> None:
    # NaNs with a value's quality too, whatever their sign and payload.
    schema, values = table
    decoded = FrameDecoder(schema.group, [schema]).decode(rows_of(schema, values))
    assert decoded.values == values


@given(tables())
def test_without_any_known_schema_the_rows_are_the_same(
    table: tuple[FrameSchema, list[bytes]],
) -> None:
    schema, values = table
    rows = rows_of(schema, values)
    decoded = FrameDecoder(schema.group, []).decode(rows)
    assert decoded.keys == [f"plant/hall/m{n % 3}" for n in range(len(values))]
    found = []
    for value, key in zip(decoded.values, decoded.keys, strict=True):
        (own,) = (s for s in decoded.schemas if value.startswith(s.header))
        found.append(frame_table(decode_batch(own, [value]), [key]))
    again = pa.concat_tables([rows.slice(0, 0), *found], promote_options="default")
    assert as_text(again) == as_text(rows)


def as_text(rows: pa.Table) -> list[str]:
    """Rows that can be compared: NaN equals NaN, and no time is too large."""
    for place, name in enumerate(rows.column_names):
        if pa.types.is_timestamp(rows.schema.field(name).type):
            rows = rows.set_column(place, name, rows[name].cast(pa.int64()))
    return [repr(sorted(row.items())) for row in rows.to_pylist()]


@given(st.permutations(range(6)))
def test_a_profile_that_gained_a_reading_keeps_both_its_schemas(
    order: list[int],
) -> None:
    made = [
        ok(BEFORE, 0, 50.0, True),
        ok(AFTER, 1, 50.0, True, 230.0),
        ok(BEFORE, 2, float("nan"), False),
        ok(AFTER, 3, 50.0, False, float("nan")),
        failed(AFTER, 4),
        failed(AFTER, 5),
    ]
    own = [BEFORE, AFTER, BEFORE, AFTER, AFTER, AFTER]
    rows = pa.concat_tables(
        [rows_of(own[n], [made[n]]) for n in order], promote_options="default"
    )
    decoded = FrameDecoder("g", [BEFORE, AFTER]).decode(rows)
    assert decoded.values == [made[n] for n in order]
    assert decoded.schemas == {BEFORE, AFTER}


def test_a_failed_frame_of_an_old_profile_gets_the_newest_schema() -> None:
    rows = rows_of(BEFORE, [failed(BEFORE, 0)])
    decoded = FrameDecoder("g", [BEFORE, AFTER]).decode(rows)
    assert decoded.values == [failed(AFTER, 0)]


def test_a_flagged_reading_without_a_value_tells_the_schema() -> None:
    slot_us = NOON_US
    quality = bytes([0, 0, Quality.BAD_OVERLOAD])
    values = (50.0, True, float("nan"))
    seq = slot_us // SECOND_US
    frame = AFTER.encode(seq, SECOND_US, slot_us, slot_us, slot_us, 1, quality, values)
    decoded = FrameDecoder("g", [AFTER, BEFORE]).decode(rows_of(AFTER, [frame]))
    assert decoded.values == [frame]


def test_what_stands_under_a_reading_without_a_value_is_not_kept() -> None:
    quality = bytes([Quality.BAD_COUNTER, 0, 0, Quality.BAD_NO_VALUE])
    made = (True, 50.0, 7.0, True)
    kept = (False, 50.0, 7.0, False)
    rows = rows_of(MIXED, [MIXED.encode(1, 1, 1, 1, 1, 1, quality, made)])
    decoded = FrameDecoder("mixed", [MIXED]).decode(rows)
    assert decoded.values == [MIXED.encode(1, 1, 1, 1, 1, 1, quality, kept)]


def test_a_column_that_was_made_wider_gives_narrow_readings_back() -> None:
    rows = rows_of(BEFORE, [ok(BEFORE, 0, 49.98, True)])
    wide = rows.set_column(
        rows.schema.get_field_index("frequency"),
        "frequency",
        rows["frequency"].cast(pa.float64()),
    )
    decoded = FrameDecoder("g", [BEFORE]).decode(wide)
    assert decoded.values == [ok(BEFORE, 0, 49.98, True)]


def test_a_flag_of_no_reading_is_said() -> None:
    quality = bytes([Quality.UNCERTAIN_FROZEN, 0])
    frame = BEFORE.encode(0, 1, 0, 0, 0, 0, quality, (50.0, True))
    rows = rows_of(BEFORE, [frame]).drop_columns(["frequency"])
    with pytest.raises(CodecError, match="a flag is of frequency"):
        FrameDecoder("g", [BEFORE]).decode(rows)


@given(
    st.lists(
        st.builds(
            Event,
            asset=st.sampled_from(["plant/hall/press", "plant/yard/pump", ""]),
            kind=st.sampled_from(["gap", "comm_lost"]),
            time=st.integers(0, 7_258_118_399_999_999),
            until=st.none() | longs,
            group=st.none() | st.sampled_from(["realtime"]),
            severity=st.sampled_from(["info", "error"]),
            text=st.text(),
            data=st.dictionaries(st.text(), st.text(), max_size=3),
            revision=st.integers(0, 9),
        ),
        max_size=5,
    )
)
def test_rows_of_any_events_give_the_same_rows(events: list[Event]) -> None:
    rows = event_table(events)
    decoded = decode_events(rows)
    assert decoded.keys == [event.asset for event in events]
    assert decoded.times_us.tolist() == [event.time for event in events]
    in_order = [replace(each, data=dict(sorted(each.data.items()))) for each in events]
    assert decoded.values == [event.encode() for event in in_order]


def test_times_of_rows_are_slots() -> None:
    rows = rows_of(BEFORE, [ok(BEFORE, 0, 50.0, True), failed(BEFORE, 9)])
    times = FrameDecoder("g", [BEFORE]).decode(rows).times_us
    assert times.tolist() == [NOON_US, NOON_US + 9 * SECOND_US]
    assert times.dtype == np.int64
