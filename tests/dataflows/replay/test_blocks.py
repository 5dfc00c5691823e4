from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dataflows.replay.blocks import Block, in_one


def stream(name: str, *blocks: list[int]) -> Iterator[Block]:
    for times in blocks:
        keys = [f"{name}{time}" for time in times]
        yield Block(np.array(times, np.int64), keys, [b""] * len(times))


def keys_of(blocks: Iterator[Block]) -> list[list[str]]:
    return [list(block.keys) for block in blocks]


def test_one_stream_is_itself() -> None:
    found = in_one([stream("a", [3], [], [1])], exact=True)
    assert keys_of(found) == [["a3"], [], ["a1"]]


def test_the_block_that_begins_first_comes_first() -> None:
    streams = [stream("a", [1, 2], [7]), stream("b", [3, 4], [5, 9])]
    assert keys_of(in_one(streams, exact=False)) == [
        ["a1", "a2"],
        ["b3", "b4"],
        ["b5", "b9"],
        ["a7"],
    ]


def test_a_block_of_nothing_does_not_hold_up_its_stream() -> None:
    streams = [stream("a", [9]), stream("b", [], [1])]
    assert keys_of(in_one(streams, exact=False)) == [[], ["b1"], ["a9"]]


def test_exactly_means_record_beside_record() -> None:
    streams = [stream("a", [1, 4], [], [5]), stream("b", [2, 3, 6])]
    assert keys_of(in_one(streams, exact=True)) == [
        ["a1", "b2", "b3", "a4", "a5", "b6"]
    ]


def test_a_stream_that_is_out_of_order_keeps_its_own() -> None:
    streams = [stream("a", [5, 1]), stream("b", [2])]
    assert keys_of(in_one(streams, exact=True)) == [["b2", "a5", "a1"]]
