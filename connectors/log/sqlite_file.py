"""The one SQLite file of an embedded log: opened, checked, and its errors translated."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path
from typing import Literal
from uuid import uuid4

from connectors.log.contract import LogError, LogFull

__all__ = ["Synchronous", "open_file", "translate"]

Synchronous = Literal["normal", "full"]

_APPLICATION_ID = 0x504D3530  # "PM50"
_LAYOUT = 1
_TABLES = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    # The records of topic n stand in records_n; floor is one more than the highest
    # offset that retention took, so that an emptied topic goes on from there.
    "CREATE TABLE topics (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
    " floor INTEGER NOT NULL)",
    "CREATE TABLE positions (reader TEXT NOT NULL, topic TEXT NOT NULL,"
    " next INTEGER NOT NULL, PRIMARY KEY (reader, topic)) WITHOUT ROWID",
)
# After a checkpoint the write-ahead file is cut back to this, should it have grown.
_JOURNAL_BYTES = 16_000_000
_LITTLE_ROOM_BYTES = 128 * 1024


def open_file(
    path: Path, *, synchronous: Synchronous, create: bool, busy_timeout_seconds: float
) -> sqlite3.Connection:
    """The log's file, made where there is none; LogError names what is wrong with it."""
    try:
        if create:
            path.parent.mkdir(parents=True, exist_ok=True)
        elif not path.exists():
            raise LogError(f"{path}: there is no log")
    except OSError as error:
        raise LogError(f"{path}: {error}") from error
    connection: sqlite3.Connection | None = None
    try:
        connection = sqlite3.connect(
            path, timeout=busy_timeout_seconds, isolation_level=None
        )
        if _is_empty(connection, path):
            _make(connection, busy_timeout_seconds)
        _check(connection, path)
        connection.execute(f"PRAGMA synchronous={synchronous}")
        connection.execute(f"PRAGMA journal_size_limit={_JOURNAL_BYTES}")
        # Some builds overwrite what they delete: retention has no use for that.
        connection.execute("PRAGMA secure_delete=OFF")
    except BaseException as error:
        if connection is not None:
            connection.close()
        if isinstance(error, sqlite3.Error):
            raise translate(error, path) from error
        raise
    return connection


def _is_empty(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether nothing stands in the file; LogError where it belongs to another."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application == _APPLICATION_ID:
        return False
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application or tables:
        # A log may just have been made by another process between the two looks.
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        if application != _APPLICATION_ID:
            raise LogError(f"{path}: is an SQLite file, but no log of pm500")
        return False
    return True


def _make(connection: sqlite3.Connection, busy_timeout_seconds: float) -> None:
    deadline = time.monotonic() + busy_timeout_seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            break
        except sqlite3.OperationalError as error:
            # Another process makes the same file; here SQLite does not wait by itself.
            busy = _primary(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
            if not busy or time.monotonic() > deadline:
                raise
            time.sleep(0.005)
    connection.execute("BEGIN IMMEDIATE")
    try:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        if application != _APPLICATION_ID:
            for table in _TABLES:
                connection.execute(table)
            connection.execute("INSERT INTO meta VALUES ('log_id', ?)", (str(uuid4()),))
            connection.execute(f"PRAGMA user_version={_LAYOUT}")
            connection.execute(f"PRAGMA application_id={_APPLICATION_ID}")
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _check(connection: sqlite3.Connection, path: Path) -> None:
    (layout,) = connection.execute("PRAGMA user_version").fetchone()
    if layout != _LAYOUT:
        raise LogError(
            f"{path}: the log has layout {layout}, this program knows {_LAYOUT}"
        )
    (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    if mode != "wal":
        raise LogError(f"{path}: the log must be in WAL mode, it is in {mode!r}")


def translate(error: sqlite3.Error, path: Path) -> LogError:
    """SQLite's error as ours: LogFull where room is what lacks."""
    text = f"{path}: {error}"
    primary = _primary(error)
    if primary == sqlite3.SQLITE_FULL:
        return LogFull(text)
    # Other calls than a plain write (the shared memory file, a cut, a sync) report an
    # I/O error when the disk is full: the file system itself knows.
    if primary in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN) and _no_room(path):
        return LogFull(text)
    return LogError(text)


def _primary(error: sqlite3.Error) -> int:
    """The primary result code, without the extension."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _no_room(path: Path) -> bool:
    try:
        room = os.statvfs(path.parent)
    except OSError:
        return False
    few_bytes = room.f_bavail * room.f_frsize < _LITTLE_ROOM_BYTES
    return few_bytes or (room.f_files > 0 and room.f_favail == 0)
