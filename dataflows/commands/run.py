"""``pm500 run``: one flow, or all that the site has configured."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from connectors.stop import install_stop_signals
from dataflows.commands.options import SiteOption, use_site
from dataflows.orphan import follow_supervisor
from dataflows.state import REBUILD

__all__ = ["run"]

_LEAVE_SECONDS = 5.0


def run(
    name: Annotated[
        str | None,
        typer.Argument(
            help="acquire, publish, forward, derive, historian or archive; all of them "
            "where absent."
        ),
    ] = None,
    site: SiteOption = Path("site.toml"),
    log_file: Annotated[
        Path | None,
        typer.Option(help="Where supervised flows write their logs; else here."),
    ] = None,
    rebuild: Annotated[
        bool,
        typer.Option(
            "--rebuild", help="With derive: make its state again from archive and log."
        ),
    ] = False,
) -> None:
    """Run one flow, or supervise all that the site has, until SIGTERM or Ctrl-C.

    A supervised flow that ends is started again. Exit code 0 after a stop, 1 after a
    failure, 2 for a mistake in the site, 3 where it runs already.
    """
    follow_supervisor()
    install_stop_signals()
    use_site(site)
    from dataflows.runtime import (
        FLOWS,
        parts_of,
        replica_or_exit,
        run_flow,
        site_or_exit,
    )

    if rebuild and name != "derive":
        raise typer.BadParameter(
            "--rebuild goes with derive: pm500 run derive --rebuild"
        )
    if name is None:
        from dataflows.supervise import supervise

        _leave(supervise(site_or_exit(), log_file=log_file))
    if name not in FLOWS:
        raise typer.BadParameter(f"{name!r} is no flow; there are: {', '.join(FLOWS)}")
    if log_file is not None:
        raise typer.BadParameter("--log-file goes with supervised flows, without NAME")
    if rebuild:
        os.environ[REBUILD] = str(time.time_ns())
    if FLOWS[name].single:
        found, part = site_or_exit(), replica_or_exit()
        if parts_of(name, found, part) != [part]:
            from dataflows.supervise import supervise_parts

            _leave(supervise_parts(name, found, part))
    _leave(run_flow(name))


def _leave(code: int) -> NoReturn:
    """End the process, whatever a library's thread still waits for."""

    def insist() -> None:
        time.sleep(_LEAVE_SECONDS)
        os._exit(code)

    threading.Thread(target=insist, daemon=True).start()
    raise SystemExit(code)
