"""The site's log for commands that only look, or nearly so."""

from __future__ import annotations

from pathlib import Path

import typer

from connectors.log.contract import LogError
from connectors.log.embedded import EmbeddedLog
from dataflows.commands.options import use_site
from dataflows.logs import warnings_only
from dataflows.site import SiteError, load_site

__all__ = ["open_site_log"]


def open_site_log(path: Path) -> EmbeddedLog:
    """The log of the site, which must exist; else the command ends.

    Exit code 2 where the site has mistakes, 1 where there is no log. Standard output
    is the command's own: warnings go to standard error.
    """
    warnings_only()
    use_site(path)
    try:
        site = load_site(path)
        return EmbeddedLog(
            site.log_path, synchronous=site.log.synchronous, create=False
        )
    except SiteError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    except LogError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
