"""Many small files of a site and date to few large ones, beside running writers.

A merge adds the new files and removes the old ones in one commit, which succeeds only if
the table is as it was just looked at: whoever else commits meanwhile, another compaction
too, only makes it look again. If one of the old files has gone, someone else has merged
them, and nothing is changed. Positions stay; readers of changes see none.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import chain, islice
from math import ceil
from typing import NamedTuple
from urllib.parse import unquote
from uuid import uuid4

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction, RemoveAction

from sinks.archive.encoding import PARTITIONS
from sinks.archive.files import added, part_path, write_rows
from sinks.archive.merge import Sorter
from sinks.archive.parts import ROW_GROUP_ROWS
from sinks.archive.read import file_tables, held
from sinks.archive.store import Store, store_errors

__all__ = [
    "TARGET_BYTES",
    "Job",
    "Overtaken",
    "clean",
    "expected_files",
    "merge",
    "plan",
]

TARGET_BYTES = 256_000_000

_ATTEMPTS = 200
_PAUSE_SECONDS = 0.05
# A file that no table names may be a writer's that has yet to commit it.
_ORPHAN_HOURS = 168


class Overtaken(Exception):  # noqa: N818 - it names what happened
    """Someone else has merged these files, or keeps the table too busy: plan again."""


class _File(NamedTuple):
    path: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Files of one site and date that are to become fewer."""

    table: str
    site: str | None
    day: date
    files: tuple[_File, ...]
    target_bytes: int

    @property
    def bytes(self) -> int:
        """What they take together."""
        return sum(file.size for file in self.files)

    @property
    def values(self) -> dict[str, str | None]:
        """The partition's values, as they stand in the Delta log."""
        return {"site": self.site, "date": self.day.isoformat()}


def plan(
    store: Store,
    table: str,
    *,
    before: date | None = None,
    target_bytes: int = TARGET_BYTES,
) -> list[Job]:
    """What there is to merge: files of less than half the target, two or more.

    ``before`` leaves out that date and later ones.
    """
    found: dict[tuple[date, str], list[_File]] = {}
    sites: dict[str, str | None] = {}
    for row in _files(store.open(table)).to_pylist():
        day, site = row["partition"]["date"], row["partition"]["site"]
        small = row["size_bytes"] * 2 < target_bytes
        if small and (before is None or day < before):
            sites[site or ""] = site
            file = _File(row["path"], row["size_bytes"])
            found.setdefault((day, site or ""), []).append(file)
    return [
        Job(
            table=table,
            site=sites[site],
            day=day,
            files=tuple(sorted(files)),
            target_bytes=target_bytes,
        )
        for (day, site), files in sorted(found.items())
        if len(files) > 1
    ]


def expected_files(job: Job) -> int:
    """How many files there will be."""
    return max(1, round(job.bytes / job.target_bytes))


def merge(store: Store, job: Job) -> list[int]:
    """Do it; the sizes of the files that there are instead. Overtaken, OSError.

    Memory holds a few hundred thousand rows at most; the rest waits in a scratch file.
    """
    with store_errors():
        try:
            actions = _written(store, job)
        except FileNotFoundError as error:
            raise Overtaken(f"{error}: cleaned away") from error
        try:
            _replace(store, job, actions)
        except Overtaken:
            for action in actions:
                store.delete(f"{job.table}/{action.path}")
            raise
        return [action.size for action in actions]


def clean(store: Store, table: str, hours: int) -> None:
    """Delete files that were replaced ``hours`` ago or earlier, and shorten the log.

    Files that were never named by the table, as a killed writer leaves them, go after a
    week. Readers of an older state of the table than ``hours`` will not find its files.
    """
    with store_errors():
        delta = store.open(table)
        _vacuum(delta, hours, full=False)
        _vacuum(delta, max(hours, _ORPHAN_HOURS), full=True)
        delta = store.open(table)
        delta.create_checkpoint()
        delta.cleanup_metadata()


def _vacuum(delta: DeltaTable, hours: int, *, full: bool) -> None:
    for _ in range(_ATTEMPTS):
        try:
            found = delta.vacuum(
                hours, dry_run=True, enforce_retention_duration=False, full=full
            )
            if found:
                delta.vacuum(
                    hours, dry_run=False, enforce_retention_duration=False, full=full
                )
        except CommitFailedError:
            _pause()
            delta.update_incremental()
        else:
            return


def _written(store: Store, job: Job) -> list[AddAction]:
    """The rows of the old files, sorted, in new files that no table names yet."""
    schema = pa.schema(store.open(job.table).schema())
    schema = held(pa.schema(each for each in schema if each.name not in PARTITIONS))
    with store.scratch() as scratch:
        sorter = Sorter(("area", "asset"), scratch)
        for file in job.files:
            for rows in file_tables(store, f"{job.table}/{file.path}", schema):
                sorter.add(rows)
        groups = sorter.groups()
        per_file = ceil(sorter.rows / expected_files(job) / ROW_GROUP_ROWS)
        return [
            _write(
                store,
                scratch.name,
                job,
                schema,
                chain([first], islice(groups, per_file - 1)),
            )
            for first in groups
        ]


def _write(
    store: Store, owner: str, job: Job, schema: pa.Schema, groups: Iterator[pa.Table]
) -> AddAction:
    path = f"{part_path(job.values)}/compacted-{uuid4().hex}.parquet"
    with store.draft(owner) as draft:
        bounds = write_rows(draft, schema, groups)
        store.publish(draft, f"{job.table}/{path}")
        return added(path, draft.size, job.values, bounds, data_change=False)


def _replace(store: Store, job: Job, actions: Sequence[AddAction]) -> None:
    """Commit, if all old files are still there."""
    delta = store.open(job.table)
    old = {file.path for file in job.files}
    new = {action.path for action in actions}
    now = time.time_ns() // 1_000_000
    removed = [
        RemoveAction(unquote(file.path), False, now, file.size, job.values)
        for file in job.files
    ]
    for _ in range(_ATTEMPTS):
        there = set(_files(delta)["path"].to_pylist())
        if new <= set(map(unquote, there)):
            return
        if not old <= there:
            break
        try:
            delta.create_write_transaction(
                [*actions, *removed],
                "append",
                delta.schema(),
                PARTITIONS,
                # Deltalake's own check would let a second compaction pass.
                commit_properties=CommitProperties(max_commit_retries=0),
            )
        except CommitFailedError:
            _pause()
            delta.update_incremental()
        else:
            return
    raise Overtaken(f"{store.uri_of(job.table)}: {part_path(job.values)}")


def _files(delta: DeltaTable) -> pa.Table:
    return pa.table(delta.get_add_actions())


def _pause() -> None:
    time.sleep(random.uniform(0, _PAUSE_SECONDS))  # noqa: S311 - no secret
