from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transforms.codec.frames import (
    MIXED,
    ONE_BIT,
    SCHEMAS,
    as_float32,
    as_text,
    by_fastavro,
    read_by_fastavro,
    records,
    schemas,
)
from transforms.codec.frame import Column, FrameRecord, FrameSchema
from transforms.codec.framing import CodecError
from transforms.model.quality import Quality, Status

REALTIME = next(s for s in SCHEMAS if (s.profile, s.group) == ("pm500", "realtime"))
GOOD = FrameRecord(
    1_713_897_600, 1_000_000, 1_713_897_600_000_000, 1_713_897_600_001_000,
    1_713_897_600_004_000, 0, bytes(4), (True, 50.0, 1234.5, False),
)  # fmt: skip
frames = schemas.flatmap(lambda s: records(s).map(lambda record: (s, record)))


@given(frames)
def test_a_frame_comes_back_as_it_went(frame: tuple[FrameSchema, FrameRecord]) -> None:
    schema, record = frame
    back = schema.decode(schema.encode(*record))
    assert as_text(back[:7]) == as_text(record[:7])
    assert as_text(back.values) == as_text(record.values)


@given(frames)
def test_a_frame_has_the_bytes_that_fastavro_writes(
    frame: tuple[FrameSchema, FrameRecord],
) -> None:
    schema, record = frame
    assert schema.encode(*record) == schema.header + by_fastavro(schema, record)


@given(frames)
def test_a_frame_reads_as_fastavro_reads_it(
    frame: tuple[FrameSchema, FrameRecord],
) -> None:
    schema, record = frame
    value = schema.encode(*record)
    back = schema.decode(value)
    expected = read_by_fastavro(schema, value).values()
    assert as_text((*back[:7], *back.values)) == as_text(expected)


@given(frames)
def test_the_view_shows_what_decode_gives(
    frame: tuple[FrameSchema, FrameRecord],
) -> None:
    schema, record = frame
    value = schema.encode(*record)
    quality, row = schema.view(value)
    back = schema.decode(value)
    assert quality == back.quality
    seen = [row[name][0].item() for name in schema.names]
    assert as_text(seen) == as_text(back.values)


@given(st.floats(-3e38, 3e38))
def test_a_gauge_is_rounded_to_four_bytes_and_no_further(value: float) -> None:
    schema = FrameSchema("tiny", "real", (Column("frequency", "float"),))
    record = FrameRecord(1, 1, 1, 1, 1, 0, bytes(1), (value,))
    back = schema.decode(schema.encode(*record))
    assert back.values == (as_float32(value),)


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda s: f"{s.profile}-{s.group}")
def test_a_failed_frame_has_its_status_and_no_value(
    schema: FrameSchema, status: Status
) -> None:
    back = schema.decode(schema.encode_failed(7, 10, 70, 71, 72, status))
    assert back[:6] == (7, 10, 70, 71, 72, status)
    assert set(back.quality) == {Quality.BAD_NO_VALUE}
    assert all(value is False or math.isnan(value) for value in back.values)


def test_the_bytes_of_a_frame_are_these() -> None:
    # Written out by hand: the log keeps them for ever.
    value = MIXED.encode(1, -1, 64, 8191, 8192, 12, b"\x00\x01\x64\x69", GOOD.values)
    assert value[10:].hex(" ") == (
        "02 01 80 01 fe 7f 80 80 01 18 "
        "00 01 64 69 "
        "01 00 00 48 42 00 00 00 00 00 4a 93 40 00"
    )


def test_the_avro_schema_names_the_unit_of_each_reading() -> None:
    fields = {field["name"]: field for field in REALTIME.avro["fields"]}
    assert fields["voltageAN"] == {"name": "voltageAN", "type": "float", "unit": "V"}
    assert fields["realPower"] == {"name": "realPower", "type": "float", "unit": "kW"}


def test_a_schema_that_is_no_frame_is_none() -> None:
    event = {"type": "record", "namespace": "pm500", "name": "Event", "fields": []}
    assert FrameSchema.from_avro(event) is None


@pytest.mark.parametrize(
    "change",
    [
        {"name": "seq", "type": "string"},
        {"name": "sequence", "type": "long"},
    ],
)
def test_a_schema_with_another_head_is_none(change: dict[str, str]) -> None:
    other = MIXED.avro | {"fields": [change, *MIXED.avro["fields"][1:]]}
    assert FrameSchema.from_avro(other) is None


def test_a_schema_with_a_reading_of_another_type_is_none() -> None:
    extra = {"name": "voltageAN", "type": "string"}
    other = MIXED.avro | {"fields": [*MIXED.avro["fields"], extra]}
    assert FrameSchema.from_avro(other) is None


@given(schemas, st.binary(max_size=400))
def test_other_bytes_are_refused(schema: FrameSchema, value: bytes) -> None:
    with pytest.raises(CodecError):
        schema.decode(value)
    with pytest.raises(CodecError):
        schema.view(value)


@given(frames, st.data())
def test_a_frame_that_is_cut_anywhere_is_refused(
    frame: tuple[FrameSchema, FrameRecord], data: st.DataObject
) -> None:
    schema, record = frame
    value = schema.encode(*record)
    cut = data.draw(st.integers(0, len(value) - 1))
    with pytest.raises(CodecError):
        schema.decode(value[:cut])


@given(frames, st.integers(0, 79))
def test_a_flipped_bit_in_the_header_is_refused(
    frame: tuple[FrameSchema, FrameRecord], bit: int
) -> None:
    schema, record = frame
    value = bytearray(schema.encode(*record))
    value[bit // 8] ^= 1 << bit % 8
    with pytest.raises(CodecError, match="not a frame of"):
        schema.decode(bytes(value))


@given(schemas, st.binary(max_size=400))
def test_any_body_is_a_frame_or_a_codec_error(schema: FrameSchema, body: bytes) -> None:
    try:
        record = schema.decode(schema.header + body)
    except CodecError:
        return
    assert len(record.quality) == len(record.values) == len(schema.columns)


def test_a_number_of_more_than_64_bits_is_refused() -> None:
    tail = bytes(2)
    with pytest.raises(CodecError, match="more than 64 bits"):
        ONE_BIT.decode(ONE_BIT.header + b"\xff" * 9 + b"\x02" + bytes(5) + tail)


def test_a_number_without_an_end_is_refused() -> None:
    with pytest.raises(CodecError, match="runs over"):
        ONE_BIT.decode(ONE_BIT.header + b"\xff" * 30)


def test_a_status_of_more_than_a_byte_is_refused() -> None:
    head = bytes(5) + b"\x80\x04"  # 256
    with pytest.raises(CodecError, match="status 256 is no byte"):
        ONE_BIT.decode(ONE_BIT.header + head + bytes(2))


def test_a_byte_too_many_is_refused() -> None:
    with pytest.raises(CodecError, match="1 bytes too many"):
        MIXED.decode(MIXED.encode(*GOOD) + b"\0")
