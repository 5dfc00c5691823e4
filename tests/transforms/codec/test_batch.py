from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transforms.codec.frames import (
    MIXED,
    ONE_BIT,
    SCHEMAS,
    as_text,
    read_by_fastavro,
    records,
    schemas,
)
from transforms.codec.batch import FrameColumns, decode_batch
from transforms.codec.frame import Column, FrameSchema
from transforms.codec.framing import CodecError
from transforms.model.quality import Status

DTYPES = {"float": np.float32, "double": np.float64, "boolean": np.bool_}


def heads_of(columns: FrameColumns) -> list[npt.NDArray[np.int64]]:
    numbers = [columns.seq, columns.period_us, columns.slot_us]
    return [*numbers, columns.sent_us, columns.received_us]


def rows_of(columns: FrameColumns) -> list[list[str]]:
    """The columns as rows, for a comparison with another reader."""
    return [
        as_text(
            (
                *(int(number[index]) for number in heads_of(columns)),
                int(columns.status[index]),
                columns.quality[index].tobytes(),
                *(column[index].item() for column in columns.readings.values()),
            )
        )
        for index in range(len(columns))
    ]


def by_fastavro(schema: FrameSchema, values: Sequence[bytes]) -> list[list[str]]:
    return [as_text(read_by_fastavro(schema, value).values()) for value in values]


def check_layout(columns: FrameColumns, schema: FrameSchema, count: int) -> None:
    """Every column has its own type, is contiguous, and may be written to."""
    numbers, readings = heads_of(columns), columns.readings
    assert {number.dtype for number in numbers} == {np.dtype(np.int64)}
    assert columns.status.dtype == columns.quality.dtype == np.uint8
    assert columns.quality.shape == (count, len(schema.columns))
    assert tuple(readings) == schema.names
    assert [readings[c.name].dtype for c in schema.columns] == [
        DTYPES[c.type] for c in schema.columns
    ]
    flat: list[npt.NDArray[np.generic]] = [*numbers, columns.status]
    flat += readings.values()
    assert {array.shape for array in flat} == {(count,)}
    for array in (*flat, columns.quality):
        assert array.flags.c_contiguous
        assert array.flags.aligned
        assert array.flags.writeable


@st.composite
def batches(draw: st.DrawFn) -> tuple[FrameSchema, list[bytes]]:
    """Frames with numbers of any width: few patterns, so that rows share layouts."""
    schema = draw(schemas)
    heads = draw(st.lists(records(schema), min_size=1, max_size=4))
    picks = draw(st.lists(st.integers(0, len(heads) - 1), max_size=12))
    nudges = st.integers(-3, 3)
    values = []
    for pick in picks:
        head = heads[pick]
        seq = min(max(head.seq + draw(nudges), -(2**63)), 2**63 - 1)
        values.append(schema.encode(*head._replace(seq=seq)))
    return schema, values


@given(batches())
@settings(max_examples=200)
def test_a_batch_holds_what_fastavro_reads(
    batch: tuple[FrameSchema, list[bytes]],
) -> None:
    schema, values = batch
    columns = decode_batch(schema, values)
    check_layout(columns, schema, len(values))
    assert rows_of(columns) == by_fastavro(schema, values)


def plant(schema: FrameSchema, count: int, seed: int) -> list[bytes]:
    """Frames as a plant gives them: numbers that count on, a failure now and then."""
    random = np.random.default_rng(seed)
    values = []
    for number in range(count):
        seq = 1_713_897_600 + number
        slot = seq * 1_000_000
        times = (slot, slot + int(random.integers(5000)), slot + 9000)
        if number % 7 == 3:
            failed = schema.encode_failed(seq, 1_000_000, *times, Status.TIMEOUT)
            values.append(failed)
            continue
        readings = [
            bool(random.integers(2)) if c.type == "boolean" else random.normal(0, 1e3)
            for c in schema.columns
        ]
        quality = bytes(len(readings))
        values.append(schema.encode(seq, 1_000_000, *times, 0, quality, readings))
    return values


@pytest.mark.parametrize("count", [1, 2, 3, 100])
@pytest.mark.parametrize(
    "schema", [*SCHEMAS, ONE_BIT, MIXED], ids=lambda s: f"{s.profile}-{s.group}"
)
def test_a_plants_batch_holds_what_fastavro_reads(
    schema: FrameSchema, count: int
) -> None:
    values = plant(schema, count, seed=count)
    columns = decode_batch(schema, values)
    check_layout(columns, schema, count)
    assert rows_of(columns) == by_fastavro(schema, values)


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda s: f"{s.profile}-{s.group}")
def test_no_frames_give_empty_columns(schema: FrameSchema) -> None:
    columns = decode_batch(schema, [])
    check_layout(columns, schema, 0)
    assert len(columns) == 0


@pytest.mark.parametrize("seq", [0, -1, 63, -64, 64, 2**31, 2**62, -(2**63)])
@pytest.mark.parametrize("count", [1, 2, 9])
def test_a_record_smaller_than_a_word_is_read_within_its_bytes(
    seq: int, count: int
) -> None:
    # The last number stands two bytes before the end of the last row.
    values = [ONE_BIT.encode(seq, 1, 2, 3, 4, 12, b"\x05", [True])] * count
    columns = decode_batch(ONE_BIT, values)
    assert columns.seq.tolist() == [seq] * count
    assert columns.status.tolist() == [12] * count
    assert columns.quality.tolist() == [[5]] * count
    assert columns.readings["alarm1"].tolist() == [True] * count


def test_the_smallest_of_all_records_is_read_within_its_bytes() -> None:
    value = ONE_BIT.encode(0, 0, 0, 0, 0, 0, b"\0", [False])
    assert len(value) == 18
    assert decode_batch(ONE_BIT, [value]).received_us.tolist() == [0]


def test_rows_of_one_length_and_other_widths_are_told_apart() -> None:
    narrow_wide = MIXED.encode(1, 10_000, 3, 4, 5, 0, bytes(4), [True, 1, 2, True])
    wide_narrow = MIXED.encode(10_000, 1, 3, 4, 5, 0, bytes(4), [True, 1, 2, True])
    assert len(narrow_wide) == len(wide_narrow)
    columns = decode_batch(MIXED, [narrow_wide, wide_narrow, narrow_wide])
    assert columns.seq.tolist() == [1, 10_000, 1]
    assert columns.period_us.tolist() == [10_000, 1, 10_000]


def test_columns_outlive_the_bytes_they_came_from() -> None:
    values = [MIXED.encode(1, 2, 3, 4, 5, 0, bytes(4), [True, 1.5, 2.5, False])]
    columns = decode_batch(MIXED, values)
    columns.readings["frequency"][0] = 7
    assert decode_batch(MIXED, values).readings["frequency"].tolist() == [1.5]


def test_a_nan_stays_a_nan() -> None:
    values = [MIXED.encode_failed(1, 2, 3, 4, 5, Status.TIMEOUT)] * 3
    columns = decode_batch(MIXED, values)
    assert all(map(math.isnan, columns.readings["energyImport"]))
    assert columns.readings["alarm1"].tolist() == [False] * 3


def test_a_bit_that_is_neither_0_nor_1_is_true() -> None:
    value = ONE_BIT.encode(1, 2, 3, 4, 5, 0, b"\0", [True])[:-1] + b"\x02"
    assert ONE_BIT.decode(value).values == (True,)
    columns = decode_batch(ONE_BIT, [value, value])
    assert columns.readings["alarm1"].view(np.uint8).tolist() == [1, 1]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_bad_frame_is_named_by_its_place(place: int) -> None:
    values = [MIXED.encode(1, 2, 3, 4, 5, 0, bytes(4), [True, 1, 2, True])] * 3
    values[place] = b"\xc3\x01" + bytes(8) + values[place][10:]
    with pytest.raises(CodecError, match=f"frame {place} of the batch: not a frame of"):
        decode_batch(MIXED, values)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_status_of_more_than_a_byte_is_no_other_status(place: int) -> None:
    good = ONE_BIT.header + bytes(5) + b"\x80\x01" + bytes(2)  # 64
    bad = ONE_BIT.header + bytes(5) + b"\x80\x04" + bytes(2)  # 256
    values = [good, good, good]
    values[place] = bad
    with pytest.raises(CodecError, match=f"frame {place} of .* status 256 is no byte"):
        decode_batch(ONE_BIT, values)


@given(schemas, st.lists(st.binary(max_size=400), min_size=1, max_size=4))
def test_any_bodies_are_columns_or_a_codec_error(
    schema: FrameSchema, bodies: list[bytes]
) -> None:
    values = [schema.header + body for body in bodies]
    try:
        columns = decode_batch(schema, values)
    except CodecError:
        return
    assert rows_of(columns) == by_fastavro(schema, values)


@given(batches(), st.data())
def test_a_batch_with_a_flipped_bit_is_columns_or_a_codec_error(
    batch: tuple[FrameSchema, list[bytes]], data: st.DataObject
) -> None:
    schema, values = batch
    if not values:
        return
    place = data.draw(st.integers(0, len(values) - 1))
    bit = data.draw(st.integers(0, 8 * len(values[place]) - 1))
    flipped = bytearray(values[place])
    flipped[bit // 8] ^= 1 << bit % 8
    values[place] = bytes(flipped)
    try:
        columns = decode_batch(schema, values)
    except CodecError:
        return
    check_layout(columns, schema, len(values))


def test_records_whose_lengths_make_up_for_each_other_are_found() -> None:
    schema = FrameSchema("pm500", "realtime", (Column("voltageAN", "float"),))
    good = [schema.encode_failed(n, 10, 10 * n, 0, 0, 2) for n in range(1, 5)]
    for bad, values in (
        (0, [good[0][:-1], good[1] + b"\0", *good[2:]]),
        (2, [*good[:2], good[2] + b"\0", good[3][:-1]]),
        (1, [good[0], good[1] + good[2], b"", good[3]]),
    ):
        with pytest.raises(CodecError, match=f"frame {bad} of the batch"):
            decode_batch(schema, values)


def test_frames_that_are_not_alike_are_refused_where_only_such_are_wanted() -> None:
    schema = FrameSchema("pm500", "realtime", (Column("voltageAN", "float"),))
    narrow, wide = (
        schema.encode_failed(n, 10, 10 * n, 0, 0, 2) for n in (1, 1_000_000)
    )
    assert len(decode_batch(schema, [wide] * 3, alike=True)) == 3
    assert len(decode_batch(schema, [narrow, wide])) == 2
    with pytest.raises(CodecError):
        decode_batch(schema, [narrow, wide], alike=True)
