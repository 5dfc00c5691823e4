from __future__ import annotations

from tests.transforms.codec.frames import MIXED, SCHEMAS
from tests.transforms.lines.reading import labels, points_of
from transforms.codec.frame import FrameSchema
from transforms.codec.framing import CodecError
from transforms.codec.records import DeadLetter, Event
from transforms.lines.batch import LinesOfFrames, LinesOfRecords

KNOWN = {schema.fingerprint: schema for schema in (*SCHEMAS, MIXED)}
KEY = "plant/hall1/press"


def schema_of(value: bytes) -> FrameSchema:
    try:
        return KNOWN[value[2:10]]
    except KeyError:
        raise CodecError("unknown schema") from None


def frame(schema: FrameSchema, seq: int) -> bytes:
    slot = seq * 1_000_000
    return schema.encode_failed(seq, 1_000_000, slot, slot, slot, 2)


def test_frames_of_many_schemas_keep_their_order() -> None:
    values = [frame(SCHEMAS[n % len(SCHEMAS)], n) for n in range(20)]
    pieces, rejected = LinesOfFrames(schema_of, labels).of([KEY] * 20, values)
    assert rejected == []
    assert [place for place, _ in pieces] == list(range(20))
    times = [point.time for _, text in pieces for point in points_of(text)]
    assert times == [n * 1_000_000_000 for n in range(20)]


def test_what_is_no_frame_is_set_aside_and_the_rest_has_lines() -> None:
    off_grid = MIXED.encode_failed(3, 1_000_000, 5, 0, 0, 2)
    values = [
        frame(MIXED, 1), b"no frame", frame(MIXED, 2)[:-1], off_grid, frame(MIXED, 4),
        frame(MIXED, 5),
    ]  # fmt: skip
    keys = [KEY] * 4 + ["no asset", KEY]
    pieces, rejected = LinesOfFrames(schema_of, labels).of(keys, values)
    assert [place for place, _ in pieces] == [0, 5]
    assert [place for place, _ in rejected] == [1, 2, 3, 4]
    assert all(reason for _, reason in rejected)


def test_an_asset_that_cannot_be_a_tag_stops_no_other() -> None:
    values = [frame(MIXED, n) for n in range(3)]
    keys = [KEY, "plant/hall1/ends\\", KEY]
    pieces, rejected = LinesOfFrames(schema_of, labels).of(keys, values)
    assert [place for place, _ in pieces] == [0, 2]
    ((place, reason),) = rejected
    assert place == 1
    assert "backslash" in reason


def test_records_that_have_no_line_are_set_aside() -> None:
    letter = DeadLetter(
        topic="t",
        partition=0,
        offset=0,
        time=0,
        flow="f",
        error="e",
        key=b"",
        value=b"",
    )
    event = Event(asset=KEY, kind="comm_lost", time=5)
    values = [event.encode(), b"nothing", letter.encode(), event.encode()]
    lines = LinesOfRecords(lambda _: None, labels)
    pieces, rejected = lines.of([KEY] * 4, values)
    assert [place for place, _ in pieces] == [0, 3]
    assert [place for place, _ in rejected] == [1, 2]
