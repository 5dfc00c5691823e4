from __future__ import annotations

import io
import math

import pytest
from fastavro import schemaless_writer
from hypothesis import given
from hypothesis import strategies as st

from transforms.codec.framing import CodecError
from transforms.codec.records import (
    RECORDS,
    AnyRecord,
    DeadLetter,
    Demand,
    Energy,
    Event,
    LedgerHour,
    content_id,
    decode_record,
)

longs = st.integers(-(2**63), 2**63 - 1)
ints = st.integers(-(2**31), 2**31 - 1)
# Avro strings are UTF-8, which has no surrogates.
texts = st.text(st.characters(codec="utf-8"))
events = st.builds(
    Event,
    asset=texts,
    kind=texts,
    time=longs,
    severity=texts,
    text=texts,
    until=st.none() | longs,
    group=st.none() | texts,
    data=st.dictionaries(texts, texts),
    revision=ints,
)
dead_letters = st.builds(
    DeadLetter,
    topic=texts,
    partition=ints,
    offset=longs,
    time=longs,
    flow=texts,
    error=texts,
    key=st.binary(),
    value=st.binary(),
    asset=texts,
    revision=ints,
)
ledger_hours = st.builds(
    LedgerHour,
    asset=texts,
    group=texts,
    hour=longs,
    due=longs,
    good=longs,
    failed=st.dictionaries(texts, longs),
    missing=longs,
    revision=ints,
)
# NaN does not equal itself.
doubles = st.floats(allow_nan=False)
demands = st.builds(
    Demand,
    asset=texts,
    quantity=texts,
    method=texts,
    interval=longs,
    start=longs,
    end=longs,
    value=doubles,
    quality=ints,
    forecast=st.none() | doubles,
    revision=ints,
)
energies = st.builds(
    Energy,
    asset=texts,
    quantity=texts,
    start=longs,
    end=longs,
    energy=doubles,
    substituted=doubles,
    quality=ints,
    counterStart=st.none() | doubles,
    counterEnd=st.none() | doubles,
    integral=st.none() | doubles,
    budget=st.none() | doubles,
    verdict=texts,
    reason=st.none() | texts,
    revision=ints,
)
records = events | dead_letters | ledger_hours | demands | energies
EVENT = Event(asset="plant/hall/m1", kind="gap", time=1_713_897_600_000_000)


@given(records)
def test_a_record_comes_back_as_it_went(
    record: AnyRecord,
) -> None:
    assert decode_record(record.encode()) == record


def by_fastavro(record: AnyRecord) -> bytes:
    out = io.BytesIO(record.HEADER)
    out.seek(0, io.SEEK_END)
    names = [field["name"] for field in record.AVRO["fields"]]
    schemaless_writer(out, record.PARSED, {n: getattr(record, n) for n in names})
    return out.getvalue()


@given(records)
def test_the_bytes_are_those_of_fastavro(record: AnyRecord) -> None:
    assert record.encode() == by_fastavro(record)


@pytest.mark.parametrize("length", [63, 64, 127, 128, 255, 256, 8191, 8192, 70_000])
def test_long_texts_and_bytes_are_those_of_fastavro(length: int) -> None:
    letter = DeadLetter(
        topic="t", partition=0, offset=1, time=2, flow="f", error="é" * length,
        key=b"", value=b"\x01" * length,
    )  # fmt: skip
    assert letter.encode() == by_fastavro(letter)


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1])
def test_a_number_beyond_64_bits_is_refused(number: int) -> None:
    with pytest.raises(OverflowError, match="does not fit into 64 bits"):
        Event(asset="a", kind="gap", time=number).encode()


def test_nan_comes_back_as_nan() -> None:
    demand = Demand(
        asset="a", quantity="realPower", method="block", interval=1, start=2, end=3,
        value=math.nan, quality=100,
    )  # fmt: skip
    back = decode_record(demand.encode())
    assert isinstance(back, Demand)
    assert math.isnan(back.value)


def test_an_id_is_made_of_the_content_and_the_same_for_ever() -> None:
    assert EVENT.id == "56e5e66732affba926c4"
    letter = DeadLetter(
        topic="pm500.frames", partition=0, offset=17, time=5, flow="archive",
        error="cut short", key=b"", value=b"\x01",
    )  # fmt: skip
    assert letter.id == "be32d7865d386c61d6c8"
    hour = LedgerHour(
        asset="plant/hall/m1", group="realtime", hour=1_713_895_200_000_000,
        due=3600, good=3599, failed={"timeout": 1}, missing=0,
    )  # fmt: skip
    assert hour.id == "64af2822f0c8165d5e60"
    demand = Demand(
        asset="plant/hall/m1", quantity="realPower", method="block",
        interval=900_000_000, start=1_713_895_200_000_000, end=1_713_896_100_000_000,
        value=1.0, quality=0,
    )  # fmt: skip
    assert demand.id == "60a8f5bc88c00c48ec39"
    energy = Energy(
        asset="plant/hall/m1", quantity="energyImport", start=1_713_895_200_000_000,
        end=1_713_896_100_000_000, energy=1.0, substituted=0.0, quality=0,
    )  # fmt: skip
    assert energy.id == "7686082c10440f455922"


def test_a_later_revision_keeps_the_id() -> None:
    later = Event(
        asset="plant/hall/m1", kind="gap", time=1_713_897_600_000_000,
        text="known better", revision=1,
    )  # fmt: skip
    assert later.id == EVENT.id


@pytest.mark.parametrize(
    "other",
    [
        Event(asset="plant/hall/m2", kind="gap", time=1_713_897_600_000_000),
        Event(asset="plant/hall/m1", kind="duplicate", time=1_713_897_600_000_000),
        Event(asset="plant/hall/m1", kind="gap", time=1_713_897_600_000_001),
        Event(
            asset="plant/hall/m1",
            kind="gap",
            time=1_713_897_600_000_000,
            group="energy",
        ),
    ],
)
def test_another_content_has_another_id(other: Event) -> None:
    assert other.id != EVENT.id


def test_the_parts_of_an_id_do_not_run_together() -> None:
    assert content_id("ab", "c") != content_id("a", "bc")


def test_every_record_has_a_schema_of_its_own() -> None:
    assert len({record.HEADER for record in RECORDS}) == len(RECORDS)


@pytest.mark.parametrize("record", RECORDS)
def test_every_record_begins_with_id_revision_and_asset(
    record: type[AnyRecord],
) -> None:
    names = [field["name"] for field in record.AVRO["fields"]]
    assert names[:3] == ["id", "revision", "asset"]


@given(st.binary(max_size=300))
def test_other_bytes_are_refused(value: bytes) -> None:
    with pytest.raises(CodecError):
        decode_record(value)


@given(records, st.data())
def test_a_record_that_is_cut_anywhere_is_refused(
    record: AnyRecord, data: st.DataObject
) -> None:
    value = record.encode()
    cut = data.draw(st.integers(0, len(value) - 1))
    with pytest.raises(CodecError):
        decode_record(value[:cut])


@given(records, st.binary(min_size=1, max_size=5))
def test_bytes_after_the_end_of_a_record_are_refused(
    record: AnyRecord, rest: bytes
) -> None:
    with pytest.raises(CodecError, match="bytes after the end"):
        decode_record(record.encode() + rest)


@given(records, st.integers(0, 79))
def test_a_flipped_bit_in_the_header_is_refused(record: AnyRecord, bit: int) -> None:
    value = bytearray(record.encode())
    value[bit // 8] ^= 1 << bit % 8
    with pytest.raises(CodecError):
        decode_record(bytes(value))


@given(st.sampled_from(RECORDS), st.binary(max_size=300))
def test_any_body_is_a_record_or_a_codec_error(
    record: type[AnyRecord], body: bytes
) -> None:
    try:
        back = decode_record(record.HEADER + body)
    except CodecError:
        return
    assert isinstance(back, record)
