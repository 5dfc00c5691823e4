"""Options that several commands share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["SiteOption", "use_site"]

SiteOption = Annotated[
    Path,
    typer.Option("--site", "-s", envvar="PM500_SITE", help="The site's TOML file."),
]


def use_site(path: Path) -> None:
    """Make it the site of this process and of its children."""
    os.environ["PM500_SITE"] = str(path.absolute())
