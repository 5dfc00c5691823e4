"""Kafka's messages to the columns of a batch, with few passes over them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from itertools import chain
from operator import ne

import numpy as np
import numpy.typing as npt
from confluent_kafka import Message

from connectors.log.contract import Batch
from transforms.codec.keys import Keys

__all__ = ["Codes", "Columns", "runs"]


class Codes(dict[bytes | None, int]):
    """The number of each key, and their texts; assets are few, their frames are many."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __missing__(self, key: bytes | None) -> int:
        self[key] = code = len(self.texts)
        self.texts.append((key or b"").decode("utf-8", "replace"))
        return code


class Columns:
    """What has come of one partition since the last batch."""

    def __init__(self, topic: str, partition: int, codes: Codes) -> None:
        self._topic = topic
        self._partition = partition
        self._keys = codes
        self._offsets: list[Sequence[int]] = []
        self._codes: list[npt.NDArray[np.int32]] = []
        self._values: list[bytes] = []

    def add(self, run: Sequence[Message]) -> None:
        """Take messages in the order of their offsets; none of them is an error."""
        first, last = run[0].offset() or 0, run[-1].offset() or 0
        dense = last - first + 1 == len(run)
        self._offsets.append(
            range(first, last + 1) if dense else [m.offset() or 0 for m in run]
        )
        codes = map(self._keys.__getitem__, map(Message.key, run))
        self._codes.append(np.fromiter(codes, np.int32, len(run)))
        values: list[bytes] = list(map(Message.value, run))  # type: ignore[arg-type]
        # Only a tombstone has no value.
        self._values += values if all(values) else [value or b"" for value in values]

    def batch(self) -> Batch:
        """All of them, at least one."""
        return Batch(
            self._topic,
            self._partition,
            self._all_offsets(),
            Keys(self._keys.texts, np.concatenate(self._codes)),
            self._values,
        )

    def _all_offsets(self) -> Sequence[int]:
        first, last = self._offsets[0][0], self._offsets[-1][-1]
        if last - first + 1 == len(self._values):
            return range(first, last + 1)
        return list(chain.from_iterable(self._offsets))


def runs(messages: list[Message], shared: Container[int]) -> Iterator[list[Message]]:
    """Neighbors of one partition; mostly there are a few long runs.

    ``shared`` are the numbers that partitions of more than one topic have.
    """
    for run in _split(messages, Message.partition):
        if run[0].partition() in shared:
            yield from _split(run, Message.topic)
        else:
            yield run


def _split(
    messages: list[Message], what: Callable[[Message], object]
) -> Iterator[list[Message]]:
    found = list(map(what, messages))
    if found and found.count(found[0]) == len(found):
        yield messages
        return
    ends = [*map(ne, found, found[1:]), True]
    start = 0
    while start < len(messages):
        end = ends.index(True, start) + 1
        yield messages[start:end]
        start = end
