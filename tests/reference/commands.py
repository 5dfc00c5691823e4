"""Every command with its help and options, from the command line's own definitions."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from typer.main import get_command

from dataflows.cli import COMMANDS, app
from tests.reference.markdown import code, table

__all__ = ["command_pages", "commands", "options"]


def commands() -> dict[str, Any]:
    """The command objects by name; their class differs between versions of Typer."""
    group: Any = get_command(app)
    return {name: group.get_command(None, name) for name in COMMANDS}


def options(command: Any) -> set[str]:
    """All options of a command, as they are typed."""
    return {
        text
        for parameter in command.params
        for text in (*parameter.opts, *parameter.secondary_opts)
        if text.startswith("-")
    }


def command_pages() -> Iterator[str]:
    """Every command with its help and options."""
    for name, command in commands().items():
        function = getattr(importlib.import_module(COMMANDS[name]), name)
        hints = get_type_hints(function, include_extras=True)
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        usage = "".join(f" [{p.name}{'...' * (p.nargs != 1)}]" for p in arguments)
        yield from ("", f"## pm500 {name}", "")
        yield f"Usage: `pm500 {name} [OPTIONS]{usage}`"
        yield from ("", str(command.help).strip(), "")
        if not command.params:
            yield "It has no options of its own."
            continue
        yield from table(
            ("option", "value", "default", "meaning"),
            (_option(parameter, hints[parameter.name]) for parameter in command.params),
        )


def _option(parameter: Any, hint: Any) -> tuple[str, str, str, str]:
    names = [*parameter.opts, *parameter.secondary_opts]
    default = parameter.default
    shown = default.value if isinstance(default, Enum) else default
    told = "none" if shown is None else code(shown)
    if isinstance(shown, bool):
        off = [*map(code, parameter.secondary_opts), "off"]
        told = code(parameter.opts[0]) if shown else off[0]
    if parameter.envvar:
        told = f"{code('$' + parameter.envvar)}, else {told}"
    value = parameter.metavar or _value(hint)
    return (
        ", ".join(map(code, names)),
        code(value) if value else "",
        told,
        str(parameter.help),
    )


def _value(hint: Any) -> str:
    """What an option takes, in a word; nothing for a switch."""
    info = None
    if get_origin(hint) is Annotated:
        hint, info = get_args(hint)[:2]
    if get_origin(hint) in (Union, UnionType):
        hint = next(kind for kind in get_args(hint) if kind is not type(None))
    if get_origin(hint) is list:
        (hint,) = get_args(hint)
    if hint is bool:
        return ""
    if issubclass(hint, Enum):
        return "|".join(str(member.value) for member in hint)
    word = {str: "TEXT", Path: "PATH", int: "INTEGER", float: "NUMBER"}[hint]
    low, high = getattr(info, "min", None), getattr(info, "max", None)
    if low is not None and high is not None:
        return f"{word} {low}..{high}"
    return word if low is None else f"{word} {low}.."
