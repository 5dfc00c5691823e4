"""The site's logs for commands that only look, or nearly so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import NoReturn

import typer

from connectors.log.contract import Log, LogError
from connectors.log.embedded import EmbeddedLog
from dataflows.commands.options import use_site
from dataflows.logs import warnings_only
from dataflows.site import Site, SiteError, load_site

__all__ = ["LogName", "edge_log", "leave", "open_log", "site_of_command"]


class LogName(StrEnum):
    """Which of the site's logs."""

    edge = "edge"
    kafka = "kafka"


def site_of_command(path: Path) -> Site:
    """The site, for this process and its children; exit code 2 where it has mistakes.

    Standard output is the command's own: warnings go to standard error.
    """
    warnings_only()
    use_site(path)
    try:
        return load_site(path)
    except SiteError as error:
        leave(2, str(error))


@contextmanager
def open_log(path: Path, site: Site, name: LogName) -> Iterator[Log]:
    """One of the site's logs, closed at the end of the block.

    Exit code 2 where ``[kafka]`` is asked for and absent or wrong; 1 where there is no
    log at the edge, and for a LogError in the block, in one line.
    """
    try:
        with closing(
            edge_log(site) if name is LogName.edge else _kafka_log(path, site)
        ) as log:
            yield log
    except LogError as error:
        leave(1, str(error))


def edge_log(site: Site) -> EmbeddedLog:
    """The log of the edge, which must exist. LogError."""
    return EmbeddedLog(site.log_path, synchronous=site.log.synchronous, create=False)


def leave(code: int, text: str) -> NoReturn:
    """End the command over a trouble that is told on standard error."""
    typer.echo(text, err=True)
    raise typer.Exit(code) from None


def _kafka_log(path: Path, site: Site) -> Log:
    # Commands that look at the edge's log only need no client of Kafka.
    from dataflows.kafka import KafkaSettingsError, open_kafka

    if site.kafka is None:
        leave(2, f"{path}: kafka: this site has none")
    try:
        return open_kafka(site)
    except KafkaSettingsError as error:
        leave(2, f"{path}: {error}")
