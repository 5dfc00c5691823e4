"""Appends to the embedded log against a bare executemany of the same rows and batches.

Both write SQLite in WAL mode with the same `synchronous` setting, one transaction a
batch; they take turns on the same disk.
"""

from __future__ import annotations

import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from connectors.log.contract import FRAMES
from connectors.log.embedded import EmbeddedLog
from tests.benchmarks.result import Result

Rows = list[tuple[str, bytes]]


def run(fast: bool) -> Iterator[Result]:
    """Batches of 20 and of 1,000 rows of 188 bytes, as realtime frames are."""
    for batch, batches in ((20, 1000), (1000, 60)):
        rows: Rows = [(f"plant/hall{n % 9}/meter{n}", bytes(188)) for n in range(batch)]
        rounds = 3 if fast else 7
        with tempfile.TemporaryDirectory() as folder:
            pairs = [
                (
                    _ours(Path(folder) / f"log{n}.sqlite", rows, batches),
                    _bare(Path(folder) / f"bare{n}.sqlite", rows, batches),
                )
                for n in range(rounds)
            ]
        ratio = statistics.median(bare / ours for ours, bare in pairs)
        ours, bare = (statistics.median(column) for column in zip(*pairs, strict=True))
        count = batch * batches
        yield Result(
            what=f"embedded append, batches of {batch}",
            against="bare executemany",
            value=ratio,
            unit="x",
            bar=0.5,
            at_most=False,
            detail=f"{count / ours:,.0f} against {count / bare:,.0f} rows/s",
        )


def _ours(path: Path, rows: Rows, batches: int) -> float:
    log = EmbeddedLog(path)
    log.append(FRAMES, rows)
    start = time.perf_counter()
    for _ in range(batches):
        log.append(FRAMES, rows)
    taken = time.perf_counter() - start
    log.close()
    return taken


def _bare(path: Path, rows: Rows, batches: int) -> float:
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")
    database.execute(
        "CREATE TABLE records (offset INTEGER PRIMARY KEY, time INTEGER, key TEXT, "
        "value BLOB)"
    )
    insert = "INSERT INTO records VALUES (?, ?, ?, ?)"
    start = time.perf_counter()
    for number in range(batches):
        now, first = time.time_ns() // 1000, number * len(rows)
        database.execute("BEGIN IMMEDIATE")
        database.executemany(
            insert, [(first + n, now, k, v) for n, (k, v) in enumerate(rows)]
        )
        database.execute("COMMIT")
    taken = time.perf_counter() - start
    database.close()
    return taken
