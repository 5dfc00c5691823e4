"""Records of a history as columns, and several histories as one."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from itertools import islice
from operator import itemgetter
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["Block", "History", "in_one"]

_TOGETHER = 1000

Longs = npt.NDArray[np.int64]


class Block(NamedTuple):
    """Records in their order; ``times_us`` are slots, or the records' own times."""

    times_us: Longs
    keys: Sequence[str]
    values: Sequence[bytes]

    def part(self, start: int, end: int) -> Block:
        """Some of them."""
        return Block(
            self.times_us[start:end], self.keys[start:end], self.values[start:end]
        )


class History(Protocol):
    """Records between two ends that are known before the first is read.

    ``total`` counts what will be looked at, ``looked`` what has been; not all of it is
    wanted. ``blocks`` may be empty where nothing of a part is wanted.
    """

    total: int
    looked: int

    def blocks(self) -> Iterator[Block]:
        """All that is wanted; LogError, OSError. The records of one key keep their order."""


def in_one(streams: Sequence[Iterator[Block]], *, exact: bool) -> Iterator[Block]:
    """Several streams as one, each in its own order.

    ``exact`` puts record beside record by their times, which is slow; else the block
    that begins first comes first.
    """
    if len(streams) == 1:
        yield from streams[0]
    elif exact:
        yield from _by_record(streams)
    else:
        yield from _by_block(streams)


def _by_block(streams: Sequence[Iterator[Block]]) -> Iterator[Block]:
    heads: list[tuple[int, int, Block]] = []
    for number, stream in enumerate(streams):
        _push_next(heads, number, stream)
    while heads:
        _, number, block = heapq.heappop(heads)
        yield block
        _push_next(heads, number, streams[number])


def _push_next(
    heads: list[tuple[int, int, Block]], number: int, stream: Iterator[Block]
) -> None:
    block = next(stream, None)
    if block is not None:
        begins_us = int(block.times_us[0]) if block.keys else -1
        heapq.heappush(heads, (begins_us, number, block))


def _by_record(streams: Sequence[Iterator[Block]]) -> Iterator[Block]:
    merged = heapq.merge(*map(_records, streams), key=itemgetter(0))
    while together := list(islice(merged, _TOGETHER)):
        times_us, keys, values = zip(*together, strict=True)
        yield Block(np.array(times_us, np.int64), keys, values)


def _records(stream: Iterator[Block]) -> Iterator[tuple[int, str, bytes]]:
    for block in stream:
        yield from zip(block.times_us.tolist(), block.keys, block.values, strict=True)
