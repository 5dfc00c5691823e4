"""Where a running demo is shown: a live table, or a plain line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console
from rich.live import Live

from dataflows.demo.stage import Play
from dataflows.demo.table import View, clock

__all__ = ["LineScreen", "TableScreen"]

_NEWEST = 1000  # messages behind the percentiles that are shown meanwhile


class TableScreen:
    """The live table on the terminal's other screen; the last one stays behind."""

    refresh_seconds = 0.3

    def __init__(self, console: Console) -> None:
        self._console = console
        self._view: View | None = None
        self._live = Live(console=console, screen=True, auto_refresh=False)
        self._live.start()

    def show(self, play: Play) -> None:
        """Draw it anew."""
        self._view = _view(play)
        self._live.update(self._view, refresh=True)

    def close(self) -> None:
        """Back to the normal screen, with the last table on it."""
        self._live.stop()
        if self._view is not None:
            self._view.footed = False
            self._console.print(self._view)


class LineScreen:
    """A line every few seconds, for logs and pipes."""

    refresh_seconds = 5.0

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def show(self, play: Play) -> None:
        """Say where it stands, from the first frame on."""
        if play.started is None:
            return
        board = play.board
        failed = ", ".join(f"{label} {n}" for label, n in board.failed.most_common())
        self._say(
            f"{clock(play.seconds):<10} frames {board.frames}, good {board.good}, failed "
            f"{board.failed.total()}{f' ({failed})' if failed else ''}, "
            f"archived {board.archived()}, {_latency(play) or 'no MQTT yet'}"
        )

    def close(self) -> None:
        """Nothing is left open."""


def _view(play: Play) -> View:
    flows = ", ".join(f"{name} :{port}" for name, port in play.health_ports().items())
    health = f"http://{play.site.observe.host} {flows} /readyz" if flows else ""
    where = dict(play.where)
    where["archive"] += f"  {play.board.archived()} rows committed"
    where["health"] = health or "starting"
    where["latency"] = _latency(play) or "nothing has come by MQTT yet"
    return View(
        board=play.board,
        meters=play.meters,
        last_ms=play.latency.last_ms,
        places=where,
        now_us=time.time_ns() // 1000,
        running_seconds=play.seconds,
    )


def _latency(play: Play) -> str:
    p50, p99 = (play.latency.percentile_ms(p, newest=_NEWEST) for p in (50, 99))
    return "" if p50 is None else f"p50 {p50:g} ms, p99 {p99:g} ms from poll to MQTT"
