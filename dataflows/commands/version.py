"""``pm500 version``."""

from __future__ import annotations

import platform
from importlib.metadata import version as version_of

import typer

__all__ = ["version"]


def version() -> None:
    """Print the versions of pm500, its engine and Python."""
    engine = version_of("bytewax")
    python = platform.python_version()
    typer.echo(f"pm500 {version_of('pm500')} (bytewax {engine}, Python {python})")
