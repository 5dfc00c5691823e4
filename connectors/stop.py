"""The one flag that asks a flow to stop: set by SIGTERM or SIGINT, read by sources."""

from __future__ import annotations

import signal

__all__ = ["STOP", "install_stop_signals"]


class _Stop:
    requested = False


STOP = _Stop()


def _ask(*_: object) -> None:
    # A plain flag: no locks, no input or output, no logging in a signal handler.
    STOP.requested = True


def install_stop_signals() -> None:
    """Take SIGTERM and SIGINT; call it in the main thread before the flow runs."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _ask)
