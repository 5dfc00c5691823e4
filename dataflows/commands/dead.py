"""``pm500 dead``: what flows could not use, and a second chance for it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from connectors.log.contract import Log, LogError
from connectors.log.dead import letters, replay
from dataflows.commands.open_log import LogName, leave, open_log, site_of_command
from dataflows.commands.options import SiteOption
from dataflows.commands.record_line import instant
from dataflows.site import Site
from transforms.codec.records import DeadLetter

__all__ = ["dead"]

Logs = dict[LogName, Log]


class _Found(NamedTuple):
    """A letter, and the log that it lies in."""

    log: LogName
    letter: DeadLetter


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
    log: Annotated[
        LogName | None,
        typer.Option(help="Only the letters of one log; those of all where absent."),
    ] = None,
    site: SiteOption = Path("site.toml"),
) -> None:
    """List the dead letters, or append their records to their topics again.

    Where the site has Kafka the letters of both logs are listed; a record goes back into
    the log that its letter came from.

    Exit code 1 where an id is unknown or a log refuses or does not answer, 2 where the
    site is wrong.
    """
    with _logs(site, site_of_command(site), log) as logs:
        found, troubles = _gather(logs)
        if troubles and (ids or replay_them or not found):
            leave(1, "\n".join(troubles))
        chosen = _chosen(found, ids) if ids else found
        if replay_them:
            for told in _replayed(logs, chosen if ids else _not_yet(chosen)):
                typer.echo(told)
            return
    if as_json:
        for each in chosen:
            typer.echo(json.dumps(_json(each)))
    else:
        _print(chosen)
    if troubles:
        leave(1, "\n".join(troubles))


@contextmanager
def _logs(path: Path, site: Site, only: LogName | None) -> Iterator[Logs]:
    """The logs to look at; beside Kafka there may be no edge on this machine."""
    names = [only] if only else [LogName.edge]
    if only is None and site.kafka is not None:
        names = [*LogName] if site.log_path.exists() else [LogName.kafka]
    with ExitStack() as stack:
        yield {name: stack.enter_context(open_log(path, site, name)) for name in names}


def _gather(logs: Logs) -> tuple[list[_Found], list[str]]:
    """All letters, and why some may be lacking."""
    found, troubles = [], []
    for name, log in logs.items():
        try:
            found += [_Found(name, letter) for letter in letters(log).values()]
        except LogError as error:
            troubles.append(str(error))
    return found, troubles


def _chosen(found: Sequence[_Found], ids: Sequence[str]) -> list[_Found]:
    """The letters of these ids, in their order; else the command ends."""
    by_id: dict[str, list[_Found]] = {}
    for each in found:
        by_id.setdefault(each.letter.id, []).append(each)
    if unknown := [each for each in ids if each not in by_id]:
        leave(1, f"no such letter: {', '.join(unknown)}")
    # Both logs count from 0, so the same place may be another record.
    if twice := [each for each in ids if len(by_id[each]) > 1]:
        leave(1, f"in both logs, say --log: {', '.join(twice)}")
    return [by_id[each][0] for each in ids]


def _not_yet(chosen: Sequence[_Found]) -> list[_Found]:
    return [each for each in chosen if not each.letter.revision]


def _replayed(logs: Logs, chosen: Sequence[_Found]) -> Iterator[str]:
    """Append them again, each record once, and say where."""
    for name, same in _by_record(chosen):
        offset = replay(logs[name], same)
        partition = _home(logs[name], same[0], offset)
        told = ", ".join(letter.id for letter in same)
        yield f"{told} replayed as {same[0].topic}-{partition}@{offset}"


def _by_record(chosen: Sequence[_Found]) -> list[tuple[LogName, list[DeadLetter]]]:
    """Letters of one record together: two flows may have failed on it."""
    found: dict[tuple[LogName, str, int, int], list[DeadLetter]] = {}
    for log, letter in chosen:
        place = log, letter.topic, letter.partition, letter.offset
        found.setdefault(place, []).append(letter)
    return [(place[0], same) for place, same in found.items()]


def _home(log: Log, letter: DeadLetter, offset: int) -> int:
    """The partition that the record went to: its own, if their number is the same."""
    there = log.partitions(letter.topic)
    for number in sorted(there, key=lambda n: n != letter.partition):
        first, following = log.bounds(letter.topic, number)
        if first <= offset < following:
            found = log.read(letter.topic, number, offset, 1)
            if found and found[0].offset == offset and found[0].value == letter.value:
                return number
    return letter.partition


def _json(found: _Found) -> dict[str, Any]:
    letter = found.letter
    return {
        "id": letter.id,
        "log": found.log,
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


def _print(chosen: Sequence[_Found]) -> None:
    if not chosen:
        typer.echo("no dead letters")
        return
    table = Table(box=SIMPLE)
    table.add_column("id", no_wrap=True)
    for name in ("log", "time", "flow", "position", "key", "error", "bytes"):
        table.add_column(name, overflow="fold")
    table.add_column("replayed")
    for log, letter in chosen:
        table.add_row(
            letter.id,
            log,
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
