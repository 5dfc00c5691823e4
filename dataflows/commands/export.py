"""``pm500 export``: a part of the archive as one plain file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dataflows.commands.open_archive import known_tables, open_archive
from dataflows.commands.options import SiteOption, instant_us
from dataflows.exporting import Wanted
from dataflows.exporting import export as export_rows

__all__ = ["Format", "export"]


class Format(StrEnum):
    """How the file is written."""

    parquet = "parquet"
    csv = "csv"


def export(
    output: Annotated[Path, typer.Argument(help="The file to write.")],
    table: Annotated[
        str, typer.Option(help="The table, such as `frames/energy` or `events`.")
    ] = "frames/realtime",
    start: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="TIME", help="First slot, ISO 8601; UTC where unsaid."
        ),
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="Slots before this.")
    ] = None,
    asset: Annotated[
        list[str] | None,
        typer.Option(help="Assets, as a pattern such as `plant/*/press-?`."),
    ] = None,
    form: Annotated[
        Format | None,
        typer.Option(
            "--format", help="By the output's name where absent, else Parquet."
        ),
    ] = None,
    site: SiteOption = Path("site.toml"),
) -> None:
    """Write rows of the archive to one file, by asset and time.

    The file appears when it is whole. In CSV, times are ISO 8601 in UTC, `flags` a text
    such as `currentA:103;frequency:101`, and nothing stands for null. Exit code 1 where
    archive or disk refuse, 2 where the site is wrong.
    """
    if form is None:
        form = Format.csv if output.suffix.lower() == ".csv" else Format.parquet
    start_us, end_us = instant_us("--from", start), instant_us("--to", end)
    if output.is_dir() or not output.absolute().parent.is_dir():
        raise typer.BadParameter(f"{output} cannot be a file", param_hint="OUTPUT")
    with open_archive(site) as store:
        known_tables(store, [table])
        wanted = Wanted(
            table=table, start_us=start_us, end_us=end_us, assets=tuple(asset or ())
        )
        with _progress() as told:
            rows = export_rows(
                store, wanted, output, as_csv=form is Format.csv, told=told
            )
    typer.echo(f"{rows} rows in {output}", err=True)


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """What is read and written, on a terminal's standard error; else nothing."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
    with Progress(
        *columns, console=Console(stderr=True), disable=not sys.stderr.isatty()
    ) as bar:
        task = bar.add_task("reading", total=None)

        def told(read: int, written: int) -> None:
            if written:
                text = f"written {written:,} of {read:,} rows"
                bar.update(task, description=text, total=read, completed=written)
            else:
                bar.update(task, description=f"read {read:,} rows")

        yield told
