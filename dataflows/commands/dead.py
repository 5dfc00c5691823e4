"""``pm500 dead``: what flows could not use, and a second chance for it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from connectors.log.contract import LogError
from connectors.log.dead import letters, replay
from dataflows.commands.open_log import open_site_log
from dataflows.commands.options import SiteOption
from dataflows.commands.record_line import instant
from transforms.codec.records import DeadLetter

__all__ = ["dead"]


def dead(
    ids: Annotated[
        list[str] | None, typer.Argument(help="Letters; all where absent.")
    ] = None,
    replay_them: Annotated[
        bool,
        typer.Option(
            "--replay",
            help="Append their bytes to their topic again; without ids, those that "
            "were not yet.",
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per letter.")
    ] = False,
    site: SiteOption = Path("site.toml"),
) -> None:
    """List the dead letters, or append their records to their topics again.

    Exit code 1 where an id is unknown or the log refuses, 2 where the site is wrong.
    """
    with open_site_log(site) as log:
        try:
            found = letters(log)
            if unknown := [each for each in ids or () if each not in found]:
                typer.echo(f"no such letter: {', '.join(unknown)}", err=True)
                raise typer.Exit(1)
            chosen = [found[each] for each in ids] if ids else list(found.values())
            if replay_them:
                for same in _by_record(chosen if ids else _not_yet(chosen)):
                    offset = replay(log, same)
                    place = f"{same[0].topic}-{same[0].partition}@{offset}"
                    told = ", ".join(letter.id for letter in same)
                    typer.echo(f"{told} replayed as {place}")
                return
        except LogError as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(1) from None
    if as_json:
        for letter in chosen:
            typer.echo(json.dumps(_json(letter)))
    else:
        _print(chosen)


def _by_record(chosen: Sequence[DeadLetter]) -> list[list[DeadLetter]]:
    """Letters of one record together: two flows may have failed on it."""
    found: dict[tuple[str, int, int], list[DeadLetter]] = {}
    for letter in chosen:
        place = letter.topic, letter.partition, letter.offset
        found.setdefault(place, []).append(letter)
    return list(found.values())


def _not_yet(chosen: list[DeadLetter]) -> list[DeadLetter]:
    return [letter for letter in chosen if not letter.revision]


def _json(letter: DeadLetter) -> dict[str, Any]:
    return {
        "id": letter.id,
        "time": instant(letter.time),
        "flow": letter.flow,
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "key": letter.key.decode(errors="replace"),
        "error": letter.error,
        "replayed": letter.revision > 0,
        "value": letter.value.hex(),
    }


def _print(chosen: list[DeadLetter]) -> None:
    if not chosen:
        typer.echo("no dead letters")
        return
    table = Table(box=SIMPLE)
    table.add_column("id", no_wrap=True)
    for name in ("time", "flow", "position", "key", "error", "bytes", "replayed"):
        table.add_column(name, overflow="fold")
    for letter in chosen:
        table.add_row(
            letter.id,
            instant(letter.time),
            letter.flow,
            f"{letter.topic}-{letter.partition}@{letter.offset}",
            Text(letter.key.decode(errors="replace")),
            Text(letter.error),
            str(len(letter.value)),
            "yes" if letter.revision else "no",
        )
    # A file or a pipe has no width of its own.
    Console(width=None if sys.stdout.isatty() else 160).print(table)
