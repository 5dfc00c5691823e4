"""Records become rows, however they come in batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import pyarrow as pa
import pytest

from connectors.log.contract import FRAMES, Batch
from sinks.archive.rows import WHOLE_ROWS, FrameRows
from tests.sinks.archive.making import REALTIME, SECOND_US, frame
from transforms.codec.frame import Column, FrameSchema
from transforms.codec.framing import HEADER_BYTES, CodecError
from transforms.codec.keys import Keys

COUNT = WHOLE_ROWS + 500
OTHER = FrameSchema(
    REALTIME.profile, "other", tuple(Column(name, "float") for name in REALTIME.names)
)
KEYS = [f"plant/hall/m{n % 7}" for n in range(COUNT)]


def _schema_of(value: bytes) -> FrameSchema:
    for schema in (REALTIME, OTHER):
        if value.startswith(schema.header):
            return schema
    raise CodecError(f"unknown schema {value[:HEADER_BYTES].hex()}")


def _rows(
    values: Sequence[bytes], size: int, had: Callable[[str], int] = lambda _: -1
) -> FrameRows:
    rows = FrameRows(_schema_of)
    keys = Keys.of(KEYS)
    for start in range(0, len(values), size):
        end = min(start + size, len(values))
        batch = Batch(FRAMES, 0, range(start, end), keys[start:end], values[start:end])
        rows.add(batch, had)
    return rows


def _seconds(table: pa.Table) -> list[int]:
    first = frame(REALTIME, 0)
    begin = REALTIME.decode(first).seq
    return sorted(seq - begin for seq in table["seq"].to_pylist())


def test_a_large_batch_gives_the_rows_of_small_ones() -> None:
    values = [frame(REALTIME, n) for n in range(COUNT)]
    whole, pieces = _rows(values, COUNT), _rows(values, 100)
    name = "frames/realtime"
    assert not whole.rejected
    one, other = (
        rows.tables()[name].sort_by("seq").unify_dictionaries().combine_chunks()
        for rows in (whole, pieces)
    )
    assert one.to_pydict() == other.to_pydict()
    assert _seconds(one) == list(range(COUNT))


def test_frames_of_another_schema_but_the_same_length_go_to_their_own_table() -> None:
    values = [frame(OTHER if n % 100 == 77 else REALTIME, n) for n in range(COUNT)]
    assert len(set(map(len, values))) == 1
    tables = _rows(values, COUNT).tables()
    others = [n for n in range(COUNT) if n % 100 == 77]
    assert _seconds(tables["frames/other"]) == others
    assert _seconds(tables["frames/realtime"]) == sorted(
        set(range(COUNT)) - set(others)
    )


@pytest.mark.parametrize(
    "bad", [b"nothing", frame(REALTIME, 0)[:-1], frame(REALTIME, 0) + b"\0", b""]
)
def test_a_bad_record_in_a_large_batch_is_set_aside_alone(bad: bytes) -> None:
    values = [frame(REALTIME, n) for n in range(COUNT)]
    values[1234] = bad
    rows = _rows(values, COUNT)
    assert _seconds(rows.tables()["frames/realtime"]) == [
        n for n in range(COUNT) if n != 1234
    ]
    assert [(each.offset, each.key) for each in rows.rejected] == [(1234, KEYS[1234])]


def test_a_large_batch_of_which_the_table_has_the_beginning_gives_the_rest() -> None:
    values = [frame(REALTIME, n) for n in range(COUNT)]
    rows = _rows(values, COUNT, lambda _: 4000)
    assert _seconds(rows.tables()["frames/realtime"]) == list(range(4001, COUNT))


def test_a_large_batch_goes_behind_what_waits() -> None:
    values = [frame(REALTIME, n) for n in range(COUNT + 1)]
    rows = FrameRows(_schema_of)
    rows.add(Batch(FRAMES, 0, [0], KEYS[:1], values[:1]), lambda _: -1)
    rows.add(Batch(FRAMES, 0, range(1, COUNT + 1), KEYS, values[1:]), lambda _: -1)
    slots = rows.tables()["frames/realtime"]["slot"].cast(pa.int64()).to_pylist()
    assert len(slots) == COUNT + 1
    assert all(b - a == SECOND_US for a, b in pairwise(slots))
