"""The log as one SQLite file in WAL mode: writers and readers in many processes.

An append is one transaction: it survives ``kill -9`` at any moment. ``synchronous``
says what a power cut may take: ``normal`` (the default) may lose the last appends, never
corrupt the file; ``full`` syncs every append to the disk before it returns.

Pages that retention frees are used again, so the file stays at its highest size and is
not cut back. One partition, 0, per topic. A handle belongs to the thread that opened it:
open one per thread.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import structlog

from connectors.log.contract import LogError, OffsetGone, Record
from connectors.log.sqlite_file import Synchronous, open_file, translate

__all__ = ["EmbeddedLog"]

_SURVIVES = {"normal": "kill -9", "full": "kill -9 and a power cut"}


def _now_us() -> int:
    return time.time_ns() // 1000


@cache
def _say_opened(path: str, log_id: str, synchronous: Synchronous) -> None:
    """Once in a process, however many handles it opens."""
    structlog.get_logger().info(
        "log_opened",
        path=path,
        log_id=log_id,
        synchronous=synchronous,
        survives=_SURVIVES[synchronous],
    )


class EmbeddedLog:
    """A handle on the log at ``path``; implements ``connectors.log.contract.Log``.

    ``create=False`` refuses a file that is not there. An append waits up to
    ``busy_timeout_seconds`` for another process's transaction, then raises LogError.
    """

    def __init__(
        self,
        path: Path,
        *,
        synchronous: Synchronous = "normal",
        create: bool = True,
        busy_timeout_seconds: float = 5.0,
        clock_us: Callable[[], int] = _now_us,
    ) -> None:
        self._path = path
        self._clock_us = clock_us
        self._tables: dict[str, str] = {}
        self._db = open_file(
            path,
            synchronous=synchronous,
            create=create,
            busy_timeout_seconds=busy_timeout_seconds,
        )
        self._log_id = str(self._one("SELECT value FROM meta WHERE name = 'log_id'"))
        _say_opened(str(path), self._log_id, self.synchronous)

    @property
    def path(self) -> Path:
        """Where the log lives."""
        return self._path

    @property
    def log_id(self) -> str:
        """Made once, with the file."""
        return self._log_id

    def identity(self, topic: str) -> str:
        """The file's own id, for every topic."""
        return self._log_id

    @property
    def synchronous(self) -> Synchronous:
        """The setting in force, asked of SQLite itself: ``normal`` or ``full``."""
        return "full" if self._one("PRAGMA synchronous") == 2 else "normal"

    def append(self, topic: str, records: Sequence[tuple[str, bytes]]) -> range:
        """Append all of them or none, in order; their offsets. LogFull, LogError."""
        if not records:
            return range(0)
        now_us = self._clock_us()
        with self._transaction() as db:
            table = self._table(topic) or self._make_table(topic)
            (first,) = db.execute(
                f"SELECT coalesce((SELECT max(offset) + 1 FROM {table}),"  # noqa: S608
                " (SELECT floor FROM topics WHERE name = ?))",
                (topic,),
            ).fetchone()
            db.executemany(
                f"INSERT INTO {table} VALUES (?, ?, ?, ?)",  # noqa: S608
                [
                    (n, now_us, key, value)
                    for n, (key, value) in enumerate(records, first)
                ],
            )
        self._tables[topic] = table
        return range(first, first + len(records))

    def read(
        self, topic: str, partition: int, from_offset: int, maximum: int
    ) -> list[Record]:
        """Up to ``maximum`` records from an offset on; OffsetGone, LogError."""
        table = self._table_to_read(topic, partition)
        if table is not None:
            rows = self._all(
                f"SELECT offset, time_us, key, value FROM {table}"  # noqa: S608
                " WHERE offset >= ? ORDER BY offset LIMIT ?",
                (from_offset, maximum),
            )
            if rows and rows[0][0] == from_offset:
                return list(map(Record._make, rows))
        first, following = self.bounds(topic, partition)
        if from_offset < first:
            raise OffsetGone(topic, partition, from_offset, first)
        if from_offset > following:
            raise LogError(
                f"{self._path}: {topic}-{partition}: offset {from_offset} lies beyond the"
                f" end, {following}: the log was cut back, or the position is another's"
            )
        return []

    def partitions(self, topic: str) -> tuple[int, ...]:
        """Always (0,)."""
        return (0,)

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """The first offset that can be read and the next that will be written."""
        table = self._table_to_read(topic, partition)
        if table is None:
            return 0, 0
        ((first, last, floor),) = self._all(
            f"SELECT (SELECT min(offset) FROM {table}),"  # noqa: S608
            f" (SELECT max(offset) FROM {table}), floor FROM topics WHERE name = ?",
            (topic,),
        )
        return (floor, floor) if first is None else (first, last + 1)

    def position(self, reader: str, topic: str, partition: int) -> int | None:
        """The next offset that the named reader wants; None if it never stored one."""
        self._check_partition(topic, partition)
        return self.readers(topic).get(reader)

    def store_position(
        self, reader: str, topic: str, partition: int, offset: int
    ) -> None:
        """Keep a reader's next offset. LogFull, LogError."""
        self._check_partition(topic, partition)
        with self._transaction() as db:
            db.execute(
                "INSERT INTO positions VALUES (?, ?, ?)"
                " ON CONFLICT DO UPDATE SET next = excluded.next",
                (reader, topic, offset),
            )

    def sync(self) -> None:
        """Bring the write-ahead file to the disk; a checkpoint does so with the rest."""
        try:
            # Only this file: closing a second descriptor of the main file would drop
            # the locks of this whole process on it (POSIX).
            descriptor = os.open(f"{self._path}-wal", os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise LogError(f"{self._path}: cannot sync: {error}") from error

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        try:
            self._db.close()
        except sqlite3.Error as error:
            raise translate(error, self._path) from error

    # What retention stands on (connectors.log.retention):

    def topics(self) -> tuple[str, ...]:
        """The topics that exist, in the order of their making."""
        rows = self._all("SELECT name FROM topics ORDER BY number")
        return tuple(name for (name,) in rows)

    def readers(self, topic: str) -> dict[str, int]:
        """The stored position of every reader of a topic."""
        return dict(
            self._all("SELECT reader, next FROM positions WHERE topic = ?", (topic,))
        )

    def used_bytes(self) -> int:
        """Bytes of the pages in use; the file has free ones beside them."""
        pages = self._one("PRAGMA page_count") - self._one("PRAGMA freelist_count")
        return int(pages) * int(self._one("PRAGMA page_size"))

    def times(self, topic: str, maximum: int) -> list[tuple[int, int]]:
        """Offset and time of the oldest records, up to ``maximum`` of them."""
        table = self._table(topic)
        if table is None:
            return []
        return self._all(
            f"SELECT offset, time_us FROM {table} ORDER BY offset LIMIT ?",  # noqa: S608
            (maximum,),
        )

    def take(self, topic: str, before_offset: int) -> int:
        """Remove the records below an offset, for good; how many. One transaction."""
        table = self._table(topic)
        if table is None:
            return 0
        with self._transaction() as db:
            (last,) = db.execute(
                f"SELECT max(offset) FROM {table} WHERE offset < ?",  # noqa: S608
                (before_offset,),
            ).fetchone()
            if last is None:
                return 0
            db.execute("UPDATE topics SET floor = ? WHERE name = ?", (last + 1, topic))
            return db.execute(
                f"DELETE FROM {table} WHERE offset <= ?",  # noqa: S608
                (last,),
            ).rowcount

    def __enter__(self) -> EmbeddedLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Write alone; nothing stays of it where it fails."""
        db = self._db
        try:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                # SQLite may have rolled back by itself, as it does on a full disk.
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise translate(error, self._path) from error

    def _all(self, sql: str, values: tuple[object, ...] = ()) -> list[Any]:
        try:
            return self._db.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise translate(error, self._path) from error

    def _one(self, sql: str) -> Any:
        return self._all(sql)[0][0]

    def _table(self, topic: str) -> str | None:
        """The table of a topic; None where the topic does not exist yet."""
        if topic not in self._tables:
            rows = self._all("SELECT number FROM topics WHERE name = ?", (topic,))
            if not rows:
                return None
            self._tables[topic] = f"records_{rows[0][0]}"
        return self._tables[topic]

    def _table_to_read(self, topic: str, partition: int) -> str | None:
        self._check_partition(topic, partition)
        return self._table(topic)

    def _make_table(self, topic: str) -> str:
        """Inside a transaction: it may still be rolled back, so nothing is kept."""
        number = self._db.execute(
            "INSERT INTO topics (name, floor) VALUES (?, 0)", (topic,)
        ).lastrowid
        table = f"records_{number}"
        self._db.execute(
            f"CREATE TABLE {table} (offset INTEGER PRIMARY KEY, time_us INTEGER NOT NULL,"
            " key TEXT NOT NULL, value BLOB NOT NULL)"
        )
        return table

    def _check_partition(self, topic: str, partition: int) -> None:
        if partition != 0:
            raise LogError(
                f"{self._path}: {topic} has no partition {partition}, only 0"
            )
