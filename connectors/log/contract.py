"""What every log promises; ``tests/connectors/log/contract_suite.py`` holds it to that.

A topic is created by its first append and has one partition or more; records of one key
go to one partition. Offsets of a partition start at 0, grow and are never used again,
whatever retention takes; in between there may be some without a record, where Kafka
compacts a topic. An append that returned survives ``kill -9``
of its process. Readers may live in other processes, and a reader's position is kept by
the log under the reader's name. A handle belongs to the thread that opened it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

__all__ = [
    "DEAD",
    "DERIVED",
    "EVENTS",
    "FRAMES",
    "SCHEMAS",
    "TOPICS",
    "Batch",
    "Log",
    "LogError",
    "LogFull",
    "OffsetGone",
    "Record",
]

FRAMES = "pm500.frames"
DERIVED = "pm500.derived"
EVENTS = "pm500.events"
DEAD = "pm500.dead"
SCHEMAS = "pm500.schemas"
TOPICS = (SCHEMAS, FRAMES, EVENTS, DERIVED, DEAD)


class Record(NamedTuple):
    """One record as read; ``time_us`` is when it was appended (UTC microseconds)."""

    offset: int
    time_us: int
    key: str
    value: bytes


class Batch(NamedTuple):
    """Records of one partition as columns, in the order of their offsets; never empty."""

    topic: str
    partition: int
    offsets: Sequence[int]
    keys: Sequence[str]
    values: Sequence[bytes]

    @classmethod
    def of(cls, topic: str, partition: int, records: Sequence[Record]) -> Batch:
        """The columns of records that were read."""
        offsets, _, keys, values = zip(*records, strict=True)
        return cls(topic, partition, offsets, keys, values)

    @property
    def next_offset(self) -> int:
        """Where reading goes on."""
        return self.offsets[-1] + 1


class LogError(Exception):
    """The log cannot do what was asked, now; the text says what and where."""


class LogFull(LogError):  # noqa: N818 - it says what happened
    """No room is left where the log lives: keep the records and try again later.

    The handle stays good: it works again as soon as there is room.
    """


class OffsetGone(LogError):  # noqa: N818 - it says what happened
    """The position was taken by retention; ``first`` is the oldest that is left."""

    def __init__(self, topic: str, partition: int, asked: int, first: int) -> None:
        super().__init__(
            f"{topic}-{partition}: offset {asked} is gone, the first is {first}"
        )
        self.topic = topic
        self.partition = partition
        self.asked = asked
        self.first = first


class Log(Protocol):
    """An ordered, replayable record of (key, value) pairs by topic and partition."""

    def identity(self, topic: str) -> str:
        """Names this topic's record for ever: a position is never applied to another.

        LogError where the topic does not exist and cannot be made.
        """

    def append(self, topic: str, records: Sequence[tuple[str, bytes]]) -> Sequence[int]:
        """Append in order; the offset of each. LogFull, LogError.

        All are acknowledged by the return, or none: whoever gets an error appends the
        whole batch again. The embedded log then holds none of it; a log that may hold a
        part (a broker whose answer was lost) says so in its own docstring.
        """

    def read(
        self, topic: str, partition: int, from_offset: int, maximum: int
    ) -> list[Record]:
        """Up to ``maximum`` records from an offset on, at once, none where none are.

        OffsetGone where retention has taken ``from_offset``; LogError where it lies
        beyond the end, which no reader of this log can have seen.
        """

    def partitions(self, topic: str) -> tuple[int, ...]:
        """The partitions of a topic; (0,) for one that does not exist yet."""

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """The first offset that can be read and the next that will be written."""

    def position(self, reader: str, topic: str, partition: int) -> int | None:
        """The next offset that the named reader wants; None if it never stored one."""

    def store_position(
        self, reader: str, topic: str, partition: int, offset: int
    ) -> None:
        """Keep a reader's next offset: retention spares what it still needs."""

    def sync(self) -> None:
        """Make all that could be read until now survive a power cut too.

        For a reader that keeps its position outside the log: called before it commits,
        its position can never lie beyond the end of a log that lost its last records.
        """

    def close(self) -> None:
        """Give back files and connections."""
