"""Messages to the columns of a batch."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from confluent_kafka import Message
from hypothesis import given
from hypothesis import strategies as st

from connectors.log.kafka.columns import Codes, Columns, runs

Place = tuple[str, int]


def message(
    offset: int,
    key: bytes | None = b"s/a/m",
    value: bytes | None = b"v",
    place: Place = ("frames", 0),
) -> Message:
    return Message(
        topic=place[0], partition=place[1], offset=offset, key=key, value=value
    )


@given(
    st.lists(
        st.lists(
            st.tuples(
                st.integers(1, 3),
                st.sampled_from([None, b"s/a/m1", b"s/a/m2", b"\xff"]),
                st.sampled_from([None, b"", b"1", b"22"]),
            ),
            min_size=1,
            max_size=5,
        ),
        min_size=1,
        max_size=4,
    )
)
def test_pieces_with_gaps_tombstones_and_any_keys_are_one_batch(
    pieces: list[list[tuple[int, bytes | None, bytes | None]]],
) -> None:
    codes, offset = Codes(), 10
    columns = Columns("frames", 3, codes)
    expected = []
    for piece in pieces:
        run = []
        for step, key, value in piece:
            offset += step
            run.append(message(offset, key, value))
            text = (key or b"").decode("utf-8", "replace")
            expected.append((offset, text, value or b""))
        columns.add(run)
    batch = columns.batch()
    assert (batch.topic, batch.partition) == ("frames", 3)
    assert list(zip(batch.offsets, batch.keys, batch.values, strict=True)) == expected
    assert batch.next_offset == offset + 1


def test_partitions_share_the_numbers_of_their_keys() -> None:
    codes = Codes()
    first, second = Columns("frames", 0, codes), Columns("frames", 1, codes)
    first.add([message(0, b"s/a/m1"), message(1, b"s/a/m2")])
    second.add([message(0, b"s/a/m2"), message(1, b"s/a/m3")])
    assert list(first.batch().keys) == ["s/a/m1", "s/a/m2"]
    assert list(second.batch().keys) == ["s/a/m2", "s/a/m3"]
    assert codes.texts == ["s/a/m1", "s/a/m2", "s/a/m3"]


places = st.sampled_from([("frames", 0), ("frames", 1), ("events", 0)])


@given(st.lists(places))
def test_runs_are_neighbors_of_one_partition(found: list[Place]) -> None:
    messages = [message(n, place=place) for n, place in enumerate(found)]
    cut = list(runs(messages, {0}))
    assert [m for run in cut for m in run] == messages
    assert all(len({*map(_place, run)}) == 1 for run in cut)
    assert all(_place(a[-1]) != _place(b[0]) for a, b in pairwise(cut))


def _place(each: Message) -> tuple[str | None, int | None]:
    return each.topic(), each.partition()


def test_no_message_is_no_run() -> None:
    nothing: Iterable[list[Message]] = runs([], set())
    assert list(nothing) == []
