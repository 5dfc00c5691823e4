"""The command ``pm500``; each command is a module of ``dataflows.commands``."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

__all__ = ["COMMANDS", "app"]

# Name to module, in the order of the help. A module has a function of its command's
# name, or an `app` with commands below it.
COMMANDS: Mapping[str, str] = {
    name: f"dataflows.commands.{name}"
    for name in (
        "run",
        "check",
        "topics",
        "simulate",
        "tail",
        "dead",
        "ledger",
        "replay",
        "export",
        "compact",
        "demo",
        "profiles",
        "version",
    )
}


class _Commands(TyperGroup):
    """Imports a command's module when it is asked for: `run` needs no Parquet.

    The types of the command library are not the same in all of Typer's versions.
    """

    def list_commands(self, ctx: Any) -> list[str]:
        return [name for name, module in COMMANDS.items() if find_spec(module)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in self.list_commands(ctx):
            return None
        module = importlib.import_module(COMMANDS[cmd_name])
        below: typer.Typer | None = getattr(module, "app", None)
        if below is None:
            below = typer.Typer(add_completion=False, rich_markup_mode="markdown")
            below.command(cmd_name)(getattr(module, cmd_name))
        command = get_command(below)
        command.name = cmd_name
        return command


app = typer.Typer(
    cls=_Commands,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def pm500() -> None:
    """Read energy meters; account for every poll from the meter to the Parquet row."""
