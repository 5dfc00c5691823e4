"""``pm500 compact``: few large files instead of many small ones."""

from __future__ import annotations

import sys
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from dataflows.commands.open_archive import known_tables, open_archive
from dataflows.commands.options import SiteOption
from sinks.archive.compact import Job, Overtaken, clean, expected_files, merge, plan
from sinks.archive.store import Store

__all__ = ["compact"]

_TRIES = 3


class _Row(NamedTuple):
    job: Job
    files: int
    bytes: int | None


def compact(
    table: Annotated[
        list[str] | None,
        typer.Option(help="Tables such as `frames/realtime`; all where absent."),
    ] = None,
    before: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"],
            metavar="DATE",
            help="Leave out this date (UTC) and later ones.",
        ),
    ] = None,
    target_mb: Annotated[
        int,
        typer.Option(
            min=1, help="Size of a file, in MB; half of it or more is left alone."
        ),
    ] = 256,
    vacuum_hours: Annotated[
        int,
        typer.Option(
            min=0, help="Delete files that were replaced so long ago, in hours."
        ),
    ] = 168,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be merged.")
    ] = False,
    site: SiteOption = Path("site.toml"),
) -> None:
    """Merge the archive's small files by site and date, and delete what they replaced.

    It may run beside the archive flow and beside readers; rows and positions stay as
    they are. Of two at once the second leaves to the first what that has merged. Exit
    code 1 where the archive refuses, 2 where the site is wrong.
    """
    day = before.date() if before is not None else None
    rows: list[_Row] = []
    with open_archive(site) as store:
        for name in known_tables(store, table):
            if dry_run:
                jobs = plan(store, name, before=day, target_bytes=target_mb * 10**6)
                rows += [_Row(job, expected_files(job), None) for job in jobs]
            else:
                rows += _merged(store, name, day, target_mb * 10**6)
                clean(store, name, vacuum_hours)
        if not dry_run:
            store.forget_scratch()
    if rows:
        _print(rows)
    else:
        typer.echo("nothing to merge")


def _merged(
    store: Store, table: str, before: date | None, target_bytes: int
) -> list[_Row]:
    rows = []
    for attempt in range(_TRIES):
        overtaken = []
        for job in plan(store, table, before=before, target_bytes=target_bytes):
            try:
                sizes = merge(store, job)
            except Overtaken as error:
                overtaken.append(str(error))
            else:
                rows.append(_Row(job, len(sizes), sum(sizes)))
        if not overtaken:
            break
        if attempt == _TRIES - 1:
            for place in overtaken:
                typer.echo(f"{place}: left to another compaction", err=True)
    return rows


def _print(rows: list[_Row]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(header_style="bold")
    for title in ("table", "site", "date", "files", "size"):
        right = title in ("files", "size")
        table.add_column(title, justify="right" if right else "left", no_wrap=True)
    for job, files, size in rows:
        after = "" if size is None else f" → {_megabytes(size)}"
        table.add_row(
            job.table,
            job.site or "",
            job.day.isoformat(),
            f"{len(job.files)} → {files}",
            f"{_megabytes(job.bytes)}{after}",
        )
    # A pipe has no width of its own.
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
