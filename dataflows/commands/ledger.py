"""``pm500 ledger``: every slot that was due is good, failed or missing."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from math import floor
from pathlib import Path
from typing import Annotated

import typer

from dataflows.commands.loss_line import loss_json, loss_line
from dataflows.commands.open_log import LogName, leave, open_log, site_of_command
from dataflows.commands.options import SiteOption, instant_us
from dataflows.ledger import (
    Facts,
    Key,
    Summary,
    expected_periods,
    facts_of_archive,
    facts_of_log,
    ledgers,
)
from dataflows.losses import Loss, between, losses_of_archive, losses_of_log
from dataflows.site import Site
from transforms.ledger import Hour, Ledger, ledger_hours

__all__ = ["Source", "ledger"]

Row = tuple[str, str, str, Summary]


class Source(StrEnum):
    """Whose frames are counted."""

    log = "log"
    kafka = "kafka"
    archive = "archive"


_LOGS = {Source.log: LogName.edge, Source.kafka: LogName.kafka}


def ledger(
    asset: Annotated[
        str, typer.Option(help="Assets, as a pattern such as `plant/*/press-?`.")
    ] = "*",
    start: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="TIME", help="First slot, ISO 8601; UTC where unsaid."
        ),
    ] = None,
    end: Annotated[
        str | None,
        typer.Option("--to", metavar="TIME", help="Slots before this; at most now."),
    ] = None,
    hours: Annotated[bool, typer.Option(help="A row per hour (UTC).")] = False,
    source: Annotated[
        Source,
        typer.Option(
            help="Count the frames of the edge's log, of Kafka or of the archive."
        ),
    ] = Source.log,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object instead of a table.")
    ] = False,
    site: SiteOption = Path("site.toml"),
) -> None:
    """Account for every slot that was due: good, failed (by status) or missing.

    Without `--from` and `--to` the slots from each group's first known frame to its
    last are due. With both, all slots between them are due, for every meter that the
    site has configured, heard of or not. The sums are exact.

    Below stand the records that retention took before a reader had them, of whatever
    asset: slots that are missing for that reason have it there.

    Exit code 1 where the log or the archive is not there or does not answer, 2 where the
    site is wrong or has no Kafka.
    """
    start_us, end_us = instant_us("--from", start), instant_us("--to", end)
    if end_us is not None:
        end_us = min(end_us, time.time_ns() // 1000)
    loaded = site_of_command(site)
    facts, losses = _look(site, loaded, source, asset)
    found = _ledgers(loaded, facts, asset, start_us, end_us)
    losses = between(losses, start_us, end_us)
    if as_json:
        told = _json(found) | {"losses": [loss_json(each) for each in losses]}
        typer.echo(json.dumps(told, indent=2))
    else:
        _print(found, hours=hours)
        if not found:
            typer.echo(
                "nothing was due: no such asset, or no frame in that time", err=True
            )
        for each in losses:
            typer.echo(loss_line(each))


def _look(
    path: Path, site: Site, source: Source, asset: str
) -> tuple[dict[Key, Facts], list[Loss]]:
    if source is not Source.archive:
        with open_log(path, site, _LOGS[source]) as log:
            return facts_of_log(log, asset), losses_of_log(log)
    from dataflows.archive_store import archive_store
    from sinks.archive.rows import FrameRows

    try:
        store = archive_store(site)
        if not store.table_names(FrameRows.root):
            leave(1, f"{store.uri}: nothing is archived there")
        return facts_of_archive(store, asset), losses_of_archive(store)
    except OSError as error:
        leave(1, str(error))


def _ledgers(
    site: Site,
    facts: Mapping[Key, Facts],
    asset: str,
    start_us: int | None,
    end_us: int | None,
) -> dict[Key, Ledger]:
    expected = {
        key: period_us
        for key, period_us in expected_periods(site).items()
        if fnmatchcase(key.asset, asset)
    }
    return ledgers(facts, start_us=start_us, end_us=end_us, expected=expected)


def _json(found: Mapping[Key, Ledger]) -> dict[str, object]:
    return {
        "total": _sums(_total(found)),
        "groups": [
            {"asset": key.asset, "group": key.group}
            | _sums(Summary.of(each.total, each.duplicates))
            | {
                "hours": [
                    {
                        "hour": _text(hour.hour),
                        "due": hour.due,
                        "good": hour.good,
                        "failed": hour.failed,
                        "missing": hour.missing,
                    }
                    for hour in ledger_hours(key.asset, key.group, each)
                ]
            }
            for key, each in found.items()
        ],
    }


def _sums(summary: Summary) -> dict[str, object]:
    return {
        "due": summary.due,
        "good": summary.good,
        "failed": dict(summary.failed),
        "missing": summary.missing,
        "duplicates": summary.duplicates,
    }


def _total(found: Mapping[Key, Ledger]) -> Summary:
    total = sum((each.total for each in found.values()), Hour())
    return Summary.of(total, sum(each.duplicates for each in found.values()))


def _print(found: Mapping[Key, Ledger], *, hours: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(show_footer=True, header_style="bold")
    total = _total(found)
    last = ("TOTAL", "", "", total)
    titles = ("asset", "group", "hour (UTC)", *_NUMBERS)
    for title, footer in zip(titles, _cells(last), strict=True):
        if title == "hour (UTC)" and not hours:
            continue
        table.add_column(
            title,
            footer=footer,
            justify="right" if title in _NUMBERS else "left",
            overflow="fold",
            no_wrap=title in ("due", "good", "missing", "complete", "hour (UTC)"),
        )
    for row in _rows(found, hours=hours):
        cells = _cells(row)
        table.add_row(*(cells if hours else (*cells[:2], *cells[3:])))
    # A pipe has no width of its own.
    Console(width=None if sys.stdout.isatty() else _PIPE_COLUMNS).print(table)


_PIPE_COLUMNS = 160
_NUMBERS = ("due", "good", "failed", "missing", "complete")


def _rows(found: Mapping[Key, Ledger], *, hours: bool) -> Iterator[Row]:
    for key, each in found.items():
        if not hours:
            yield *key, "", Summary.of(each.total, each.duplicates)
            continue
        for hour_us, hour in each.hours.items():
            yield *key, _text(hour_us), Summary.of(hour)


def _cells(row: Row) -> tuple[str, ...]:
    asset, group, hour, sums = row
    failed = ", ".join(f"{label} {n}" for label, n in sums.failed.items())
    return (
        asset,
        group,
        hour,
        str(sums.due),
        str(sums.good),
        failed or "0",
        str(sums.missing),
        f"{floor(sums.complete * 1000) / 1000:.3f} %",  # 100 only where nothing lacks
    )


def _text(hour_us: int) -> str:
    return datetime.fromtimestamp(hour_us // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%MZ")
