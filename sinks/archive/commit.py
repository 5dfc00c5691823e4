"""Parquet files and the Delta transaction that adds them together with the position.

A writer speaks for one partition of one topic of one log. Each table keeps the last
offset that it holds of it (``Transaction(app_id, version)``), so a table and its
position can never disagree, and what is not committed is read again from the log.

Any number of writers of different partitions may commit to the same tables, make them
and widen them at the same time: who loses a race looks again and tries again. Two writers
of one partition cannot: the one that comes second ends.

Deltalake writes a checkpoint of its own every 100 commits of a table.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Schema, Transaction
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction

from sinks.archive.encoding import PARTITIONS, plain
from sinks.archive.files import added, file_name, part_path, write_rows
from sinks.archive.parts import Part, parts
from sinks.archive.store import Store, store_errors
from transforms.model.metrics import NO_METRICS, Metrics

__all__ = ["Archive", "SecondWriter", "position"]

# Deltalake itself tries again where only files were added meanwhile. The rest is rare:
# two writers make one table, or bring it new columns.
_ATTEMPTS = 20
_PAUSE_SECONDS = 0.02
_TOKEN = "pm500.commit"  # noqa: S105 - a key in the commit's description
_LOOK_BACK = 200


class SecondWriter(Exception):  # noqa: N818 - it names what happened
    """Someone else moved a table that only this writer may move: end the process."""


def position(
    place: Store | Path | str, root: str, *, log_id: str, topic: str, partition: int
) -> int | None:
    """The last offset that every table under the root holds; None where none has any.

    A table without a position says nothing: a roll gives all of them one before it
    commits the first row.
    """
    app_id = _app_id(log_id, topic, partition)
    return min(_positions(Store.of(place), root, app_id).values(), default=None)


class _Move(NamedTuple):
    """A commit of which it is not known whether it came through."""

    last: int
    token: str


class Archive:
    """The tables under a root as one writer sees them.

    OSError where the disk or the store refuses; call again later with the same rows.
    SecondWriter where another process has written in this one's name.
    """

    def __init__(
        self,
        place: Store | Path | str,
        root: str,
        *,
        log_id: str,
        topic: str,
        partition: int,
        metrics: Metrics = NO_METRICS,
    ) -> None:
        self._store = Store.of(place)
        self._root = root
        self._log_id = log_id
        self._topic = topic
        self._partition = partition
        self._metrics = metrics
        self._app_id = _app_id(log_id, topic, partition)
        self._open: dict[str, DeltaTable] = {}
        self._own = _positions(self._store, root, self._app_id)
        self._moves: dict[str, _Move] = {}
        self._drafts = f"{topic}-{partition}"
        self._store.prepare(self._drafts)

    def has(self, name: str) -> int:
        """The last offset that a table holds; -1 for none."""
        return self._own.get(name, -1)

    def commit(self, rows: Mapping[str, pa.Table], first: int, last: int) -> None:
        """Move every table of the root to ``last``, those without rows too.

        ``rows`` must be made of the records ``first`` to ``last``, without those that a
        table had already. A call that failed may be made again.
        """
        try:
            with store_errors():
                found = self._store.table_names(self._root, self._own)
                names = sorted({*found, *self._own, *rows})
                for name in names:
                    self._introduce(name, rows.get(name), first, last)
                for name in names:
                    if self._own[name] < last:
                        self._commit_table(name, rows.get(name), first, last)
        except BaseException:
            self._open.clear()
            raise

    def _introduce(
        self, name: str, rows: pa.Table | None, first: int, last: int
    ) -> None:
        """Give a table its position before the first row, in its first commit."""
        if name in self._own:
            if self._come_through(name, last):
                self._own[name] = last
            return
        if not self._store.is_table(name):
            assert rows is not None
            self._create(name, rows.schema, first - 1)
        found = self._refreshed(name).transaction_version(self._app_id)
        if found is None:
            self._move(name, [], first - 1)
        elif found != first - 1:
            raise self._second_writer(name, found)
        self._own[name] = first - 1

    def _create(self, name: str, schema: pa.Schema, at: int) -> None:
        try:
            self._store.create(name, plain(schema), self._moves_to(at))
        except CommitFailedError:
            if not self._store.is_table(name):  # else another writer was faster
                raise

    def _commit_table(
        self, name: str, rows: pa.Table | None, first: int, last: int
    ) -> None:
        actions = []
        if rows is not None:
            rows = self._conform(name, rows)
            start = max(first, self._own[name] + 1)
            actions = [self._write(name, part, start, last) for part in parts(rows)]
        if not self._come_through(name, last):
            self._move(name, actions, last)
        self._own[name] = last
        self._metrics.count("pm500_archive_commits_total", table=name)
        if rows is not None:
            self._metrics.count("pm500_archive_rows_total", rows.num_rows, table=name)
        for action in actions:
            self._metrics.observe("pm500_archive_file_bytes", action.size)

    def _conform(self, name: str, rows: pa.Table) -> pa.Table:
        """The rows in the table's own columns, after the table has got the new ones."""
        known = self._widened(name, rows.schema)
        columns = [
            _as(field.type, rows[field.name])
            if field.name in rows.column_names
            else pa.nulls(rows.num_rows, field.type)
            for field in known
        ]
        return pa.Table.from_arrays(columns, names=known.names)

    def _widened(self, name: str, schema: pa.Schema) -> pa.Schema:
        """The table's columns, with those of ``schema`` among them."""
        table = self._open[name]
        failed: Exception | None = None
        for attempt in range(_ATTEMPTS):
            known = pa.schema(table.schema())
            new = [each for each in plain(schema) if each.name not in known.names]
            if not new:
                return known
            try:
                table.alter.add_columns(Schema.from_arrow(pa.schema(new)).fields)
            except CommitFailedError as error:
                failed = error  # another writer may have brought the same ones
                _pause(attempt)
            table = self._refreshed(name)
        raise OSError(f"{self._store.uri_of(name)}: no new columns: {failed}")

    def _write(self, name: str, part: Part, first: int, last: int) -> AddAction:
        with self._store.draft(self._drafts) as draft:
            bounds = write_rows(draft, part.schema, part.groups())
            file = file_name(
                self._log_id, self._topic, self._partition, first, last, draft.digest
            )
            path = f"{part_path(part.values)}/{file}"
            self._store.publish(draft, f"{name}/{path}")
            return added(path, draft.size, part.values, bounds)

    def _refreshed(self, name: str) -> DeltaTable:
        table = self._open.get(name)
        if table is None:
            table = self._open[name] = self._store.open(name)
        else:
            table.update_incremental()
        return table

    def _move(self, name: str, actions: list[AddAction], last: int) -> None:
        """Commit files and position; who loses a race looks and tries again."""
        move = self._moves.get(name)
        if move is None or move.last != last:
            self._moves[name] = _Move(last, uuid4().hex)
        failed: Exception | None = None
        for attempt in range(_ATTEMPTS):
            try:
                self._add(name, actions, last)
            except CommitFailedError as error:
                failed = error
                if self._come_through(name, last):
                    break
                _pause(attempt)
            else:
                break
        else:
            raise OSError(f"{self._store.uri_of(name)}: {failed}")
        self._moves.pop(name, None)

    def _come_through(self, name: str, last: int) -> bool:
        """Whether the table stands at ``last`` already, by this writer's own commit.

        False where it stands where this writer left it; SecondWriter anywhere else.
        """
        table = self._refreshed(name)
        found = table.transaction_version(self._app_id)
        if found == self._own.get(name):
            return False
        move = self._moves.get(name)
        if move is None or not found == move.last == last or not _tells(table, move):
            raise self._second_writer(name, found)
        return True

    def _add(self, name: str, actions: list[AddAction], last: int) -> None:
        table = self._open[name]
        table.create_write_transaction(
            list(actions),
            "append",
            table.schema(),
            PARTITIONS,
            commit_properties=self._moves_to(last, self._moves[name].token),
        )

    def _moves_to(self, version: int, token: str = "") -> CommitProperties:
        return CommitProperties(
            custom_metadata={_TOKEN: token} if token else None,
            app_transactions=[Transaction(self._app_id, version)],
        )

    def _second_writer(self, name: str, found: int | None) -> SecondWriter:
        own = self._own.get(name)
        return SecondWriter(
            f"{self._store.uri_of(name)}: {self._app_id} stands at {found}, this writer "
            f"left it at {own}: another process writes in the same name"
        )


def _app_id(log_id: str, topic: str, partition: int) -> str:
    return f"{log_id}/{topic}-{partition}"


def _positions(store: Store, root: str, app_id: str) -> dict[str, int]:
    with store_errors():
        versions = {
            name: store.open(name).transaction_version(app_id)
            for name in store.table_names(root)
        }
    return {name: at for name, at in versions.items() if at is not None}


def _as(kind: pa.DataType, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column as the table has it; what is held by dictionary stays so."""
    if pa.types.is_dictionary(column.type) and column.type.value_type == kind:
        return column
    return column.cast(kind)


def _tells(table: DeltaTable, move: _Move) -> bool:
    """Whether one of the table's last commits is this one."""
    return any(each.get(_TOKEN) == move.token for each in table.history(_LOOK_BACK))


def _pause(attempt: int) -> None:
    time.sleep(random.uniform(0, _PAUSE_SECONDS * (attempt + 1)))  # noqa: S311 - no secret
