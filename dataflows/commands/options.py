"""Options that several commands share."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["SiteOption", "instant_us", "use_site"]

SiteOption = Annotated[
    Path,
    typer.Option("--site", "-s", envvar="PM500_SITE", help="The site's TOML file."),
]


def use_site(path: Path) -> None:
    """Make it the site of this process and of its children."""
    os.environ["PM500_SITE"] = str(path.absolute())


def instant_us(option: str, text: str | None) -> int | None:
    """An ISO 8601 time, UTC where unsaid, in microseconds; None for none."""
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is no time such as 2026-03-01T12:00", param_hint=option
        ) from None
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)
    return round(instant.timestamp() * 1e6)
