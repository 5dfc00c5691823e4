"""``pm500 topics``: what there must be in Kafka, and what there is."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from connectors.log.contract import LogError
from connectors.log.kafka.client import KafkaClient
from connectors.log.kafka.topics import TopicState, look, make
from dataflows.commands.open_log import leave, site_of_command
from dataflows.commands.options import SiteOption
from dataflows.kafka import KafkaSettingsError, kafka_client, topic_rules

__all__ = ["topics"]

_HOUR_MS = 3_600_000
_PIPE_COLUMNS = 160


def topics(
    make_them: Annotated[
        bool, typer.Option("--make", help="Make the topics that are missing.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object instead of a table.")
    ] = False,
    site: SiteOption = Path("site.toml"),
) -> None:
    """Show the site's topics in Kafka and hold them against what they should be.

    What differs from `[kafka]` and harms nothing is a note: topics that exist are never
    changed.

    Exit code 1 where a topic is missing, or would not keep what is put into it, or where
    the cluster does not answer; 2 where the site is wrong or has no Kafka.
    """
    loaded = site_of_command(site)
    if loaded.kafka is None:
        leave(2, f"{site}: kafka: this site has none")
    try:
        client = kafka_client(loaded)
        plans = topic_rules(loaded).plans()
        states = look(client, plans)
        if make_them and (missing := [s.plan for s in states if not s.exists]):
            for name in make(client, missing):
                typer.echo(f"made {name}", err=True)
            states = look(client, plans)
    except KafkaSettingsError as error:
        leave(2, f"{site}: {error}")
    except LogError as error:
        leave(1, str(error))
    if as_json:
        told = [_json(client, state) for state in states]
        typer.echo(json.dumps({"topics": told}, indent=2))
    else:
        _print(client, states)
    if not as_json and any(not state.exists for state in states):
        typer.echo("pm500 topics --make makes those that are missing", err=True)
    if any(state.wrong for state in states):
        raise typer.Exit(1)


def _json(client: KafkaClient, state: TopicState) -> dict[str, Any]:
    return {
        "topic": client.topic(state.plan.name),
        "exists": state.exists,
        "partitions": state.partitions,
        "replication": state.replication,
        "retention_hours": _hours(state),
        "cleanup_policy": state.settings.get("cleanup.policy"),
        "wrong": list(state.wrong),
        "differs": list(state.differs),
    }


def _print(client: KafkaClient, states: Sequence[TopicState]) -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE)
    table.add_column("topic", no_wrap=True)
    for name in ("partitions", "replication", "kept", "cleanup policy", "state"):
        right = name in ("partitions", "replication", "kept")
        table.add_column(name, justify="right" if right else "left")
    for state in states:
        table.add_row(
            client.topic(state.plan.name),
            *_cells(state),
            "; ".join(state.wrong) or "all right",
        )
    # A pipe has no width of its own.
    Console(width=None if sys.stdout.isatty() else _PIPE_COLUMNS).print(table)
    for state in states:
        if state.differs:
            notes = "; ".join(state.differs)
            typer.echo(f"note: {client.topic(state.plan.name)}: {notes}")


def _cells(state: TopicState) -> tuple[str, str, str, str]:
    if not state.exists:
        return "", "", "", ""
    hours = _hours(state)
    return (
        str(state.partitions),
        str(state.replication),
        "for ever" if hours is None else f"{hours:g} h",
        state.settings.get("cleanup.policy", ""),
    )


def _hours(state: TopicState) -> float | None:
    """How long records are kept; None for ever, and where there is no topic."""
    text = state.settings.get("retention.ms", "-1")
    kept_ms = int(text) if text.lstrip("-").isdecimal() else -1
    return None if kept_ms < 0 else kept_ms / _HOUR_MS
