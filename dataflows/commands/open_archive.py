"""The site's archive for commands that work on its tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from dataflows.archive_store import archive_store
from dataflows.commands.options import use_site
from dataflows.logs import warnings_only
from dataflows.site import SiteError, load_site
from sinks.archive.store import Store

__all__ = ["known_tables", "open_archive"]

_ROOTS = ("frames", "derived", "events")


@contextmanager
def open_archive(path: Path) -> Iterator[Store]:
    """The archive of the site; what it refuses meanwhile ends the command.

    Exit code 2 where the site has mistakes, 1 where the archive refuses. Standard output
    is the command's own: warnings go to standard error.
    """
    warnings_only()
    use_site(path)
    try:
        site = load_site(path)
    except SiteError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    try:
        yield archive_store(site)
    except OSError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


def known_tables(store: Store, names: list[str] | None = None) -> list[str]:
    """The tables by these names, or all; exit code 1 where there is none of a name."""
    found = [name for root in _ROOTS for name in store.table_names(root)]
    if unknown := [name for name in names or () if name not in found]:
        there = ", ".join(found) or "none"
        typer.echo(
            f"no such table: {', '.join(unknown)} (there are: {there})", err=True
        )
        raise typer.Exit(1)
    return names or found
