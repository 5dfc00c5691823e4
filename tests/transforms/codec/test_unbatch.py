from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transforms.codec.frames import MIXED, SCHEMAS, longs, records, schemas
from transforms.codec.batch import decode_batch
from transforms.codec.frame import FrameSchema
from transforms.codec.slots import NO_SLOT, slots_of
from transforms.codec.unbatch import encode_batch

NOON_US = 1_772_366_400_000_000


@st.composite
def batches(draw: st.DrawFn) -> tuple[FrameSchema, list[bytes]]:
    schema = draw(schemas)
    found = draw(st.lists(records(schema), max_size=12))
    return schema, [schema.encode(*record) for record in found]


@given(batches())
def test_decoded_and_encoded_again_the_bytes_are_the_same(
    batch: tuple[FrameSchema, list[bytes]],
) -> None:
    schema, values = batch
    assert encode_batch(decode_batch(schema, values)) == values


def test_more_frames_than_a_piece_holds_keep_their_order() -> None:
    # The number of bytes of a seq changes at 64 and at 8192.
    values = [
        MIXED.encode(
            n, 1, n, NOON_US, NOON_US + n, n % 2, bytes(4), (True, n, -n, False)
        )
        for n in range(9000)
    ]
    assert encode_batch(decode_batch(MIXED, values)) == values


def test_no_frames_are_no_bytes() -> None:
    assert encode_batch(decode_batch(MIXED, [])) == []
    assert slots_of([]).tolist() == []


@given(batches())
def test_a_slot_is_read_without_its_frame(
    batch: tuple[FrameSchema, list[bytes]],
) -> None:
    schema, values = batch
    slots = decode_batch(schema, values).slot_us
    known = (slots >= 0) & (slots < 7_258_118_400_000_000)
    assert slots_of(values).tolist() == np.where(known, slots, NO_SLOT).tolist()


@given(st.lists(st.binary(max_size=80)), longs)
def test_bytes_that_are_no_frame_have_no_slot(found: list[bytes], seq: int) -> None:
    schema = SCHEMAS[0]
    frame = schema.encode_failed(seq, 1, NOON_US, NOON_US, NOON_US, 2)
    others = [value for value in found if value[:2] != b"\xc3\x01"]
    assert slots_of([*others, frame]).tolist() == [NO_SLOT] * len(others) + [NOON_US]


@pytest.mark.parametrize("length", [0, 1, 10, 11, 17, 25])
def test_a_frame_cut_short_before_its_slot_ends_has_none(length: int) -> None:
    frame = SCHEMAS[0].encode_failed(1772366400, 1_000_000, NOON_US, NOON_US, 0, 2)
    # 10 bytes of header, 5 of seq, 3 of period, 8 of the slot.
    assert slots_of([frame[:length], frame[:26]]).tolist() == [NO_SLOT, NOON_US]
