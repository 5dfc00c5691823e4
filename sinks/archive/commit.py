"""Parquet files and the Delta transaction that adds them together with the position.

A writer speaks for one partition of one topic of one log. Each table keeps the last
offset that it holds of it (``Transaction(app_id, version)``), so a table and its
position can never disagree, and what is not committed is read again from the log.

Deltalake writes a checkpoint of its own every 100 commits of a table.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Schema, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import AddAction

from sinks.archive.encoding import (
    PARTITIONS,
    Part,
    file_name,
    parquet_options,
    parts,
    stats_json,
)
from transforms.model.metrics import NO_METRICS, Metrics

__all__ = ["Archive", "SecondWriter", "position", "table_names"]


class SecondWriter(Exception):  # noqa: N818 - it names what happened
    """Someone else moved a table that only this writer may move: end the process."""


def table_names(folder: Path, root: str) -> list[str]:
    """The tables under a root, such as ``frames/realtime``, or the root itself."""
    if _is_table(folder / root):
        return [root]
    found = (folder / root).glob("*/_delta_log")
    return sorted(
        f"{root}/{path.parent.name}" for path in found if _is_table(path.parent)
    )


def _is_table(path: Path) -> bool:
    """Whether a table has been made here: a full disk leaves an empty log behind."""
    return any((path / "_delta_log").glob("[0-9]*"))


def position(
    folder: Path, root: str, *, log_id: str, topic: str, partition: int
) -> int | None:
    """The last offset that every table under the root holds; None where none has any.

    A table without a position says nothing: a roll gives all of them one before it
    commits the first row.
    """
    app_id = _app_id(log_id, topic, partition)
    return min(_positions(folder, root, app_id).values(), default=None)


class Archive:
    """The tables under ``folder/root`` as one writer sees them.

    OSError where the disk refuses; call again later with the same rows. SecondWriter
    where another process has written in this one's name.
    """

    def __init__(
        self,
        folder: Path,
        root: str,
        *,
        log_id: str,
        topic: str,
        partition: int,
        metrics: Metrics = NO_METRICS,
    ) -> None:
        self._folder = folder
        self._root = root
        self._log_id = log_id
        self._topic = topic
        self._partition = partition
        self._metrics = metrics
        self._app_id = _app_id(log_id, topic, partition)
        self._open: dict[str, DeltaTable] = {}
        self._own = _positions(folder, root, self._app_id)
        # A killed writer leaves drafts behind; another one's rename fails, no more.
        self._drafts = folder / ".drafts" / f"{topic}-{partition}"
        self._drafts.mkdir(parents=True, exist_ok=True)
        for draft in self._drafts.iterdir():
            draft.unlink()

    def has(self, name: str) -> int:
        """The last offset that a table holds; -1 for none."""
        return self._own.get(name, -1)

    def commit(self, rows: Mapping[str, pa.Table], first: int, last: int) -> None:
        """Move every table of the root to ``last``, those without rows too.

        ``rows`` must be made of the records ``first`` to ``last``, without those that a
        table had already. A call that failed may be made again.
        """
        try:
            with _translated():
                found = table_names(self._folder, self._root)
                names = sorted({*found, *self._own, *rows})
                for name in names:
                    self._introduce(name, rows.get(name), first)
                for name in names:
                    if self._own[name] < last:
                        self._commit_table(name, rows.get(name), first, last)
        except BaseException:
            self._open.clear()
            raise

    def _introduce(self, name: str, rows: pa.Table | None, first: int) -> None:
        """Give a table its position before the first row, in its first commit."""
        path = self._folder / name
        if not _is_table(path) and name not in self._own:
            assert rows is not None
            DeltaTable.create(
                path,
                schema=rows.schema,
                partition_by=PARTITIONS,
                mode="ignore",
                commit_properties=self._moves_to(first - 1),
            )
        found = self._refreshed(name).transaction_version(self._app_id)
        if name not in self._own:
            if found is None:
                self._add(name, [], first - 1)
            elif found != first - 1:
                raise self._second_writer(name, found)
            self._own[name] = first - 1
        elif found != self._own[name]:
            raise self._second_writer(name, found)

    def _commit_table(
        self, name: str, rows: pa.Table | None, first: int, last: int
    ) -> None:
        actions = []
        if rows is not None:
            rows = self._conform(name, rows)
            start = max(first, self._own[name] + 1)
            file = file_name(self._log_id, self._topic, self._partition, start, last)
            actions = [self._write(name, part, file) for part in parts(rows)]
        found = self._refreshed(name).transaction_version(self._app_id)
        if found != self._own[name]:
            raise self._second_writer(name, found)
        self._add(name, actions, last)
        self._own[name] = last
        self._metrics.count("pm500_archive_commits_total", table=name)
        if rows is not None:
            self._metrics.count("pm500_archive_rows_total", rows.num_rows, table=name)
        for action in actions:
            self._metrics.observe("pm500_archive_file_bytes", action.size)

    def _conform(self, name: str, rows: pa.Table) -> pa.Table:
        """The rows in the table's own columns, after the table has got the new ones."""
        known = pa.schema(self._open[name].schema())
        new = [field for field in rows.schema if field.name not in known.names]
        if new:
            self._open[name].alter.add_columns(Schema.from_arrow(pa.schema(new)).fields)
            known = pa.schema(self._refreshed(name).schema())
        columns = [
            rows[field.name].cast(field.type)
            if field.name in rows.column_names
            else pa.nulls(rows.num_rows, field.type)
            for field in known
        ]
        return pa.Table.from_arrays(columns, schema=known)

    def _write(self, name: str, part: Part, file: str) -> AddAction:
        """Write a draft, make it durable, then give it its name."""
        draft = self._drafts / file
        folder = self._folder / name / part.path
        with draft.open("wb") as sink:
            pq.write_table(part.rows, sink, **parquet_options(part.rows.schema))
            sink.flush()
            os.fsync(sink.fileno())
        folder.mkdir(parents=True, exist_ok=True)
        draft.replace(folder / file)
        _sync(folder)
        return AddAction(
            f"{part.path}/{file}",
            (folder / file).stat().st_size,
            part.values,
            time.time_ns() // 1_000_000,
            True,
            stats_json(part.rows),
        )

    def _refreshed(self, name: str) -> DeltaTable:
        table = self._open.get(name)
        if table is None:
            table = self._open[name] = DeltaTable(self._folder / name)
        else:
            table.update_incremental()
        return table

    def _add(self, name: str, actions: list[AddAction], last: int) -> None:
        table = self._open[name]
        table.create_write_transaction(
            list(actions),
            "append",
            table.schema(),
            PARTITIONS,
            commit_properties=self._moves_to(last),
        )

    def _moves_to(self, version: int) -> CommitProperties:
        return CommitProperties(app_transactions=[Transaction(self._app_id, version)])

    def _second_writer(self, name: str, found: int | None) -> SecondWriter:
        own = self._own.get(name)
        return SecondWriter(
            f"{self._folder / name}: {self._app_id} stands at {found}, this writer left "
            f"it at {own}: another process writes in the same name"
        )


def _app_id(log_id: str, topic: str, partition: int) -> str:
    return f"{log_id}/{topic}-{partition}"


def _positions(folder: Path, root: str, app_id: str) -> dict[str, int]:
    with _translated():
        versions = {
            name: DeltaTable(folder / name).transaction_version(app_id)
            for name in table_names(folder, root)
        }
    return {name: at for name, at in versions.items() if at is not None}


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _translated() -> Iterator[None]:
    """Deltalake's errors as what a caller can act on: SecondWriter or OSError."""
    try:
        yield
    except CommitFailedError as error:
        raise SecondWriter(f"another process writes to the archive: {error}") from error
    except DeltaError as error:
        raise OSError(str(error)) from error
