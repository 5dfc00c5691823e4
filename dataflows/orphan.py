"""A supervised flow never outlives its supervisor, however that one ends.

The supervisor holds the other end of the child's standard input and never writes to
it: its end, by ``kill -9`` too, is the end of that stream. Linux also sends a signal,
which is there even while native code holds the interpreter.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time

__all__ = ["ENVIRONMENT", "follow_supervisor"]

ENVIRONMENT = "PM500_SUPERVISED"

# Graceful first; then gone, so that a restarted supervisor gets the flow's lock and
# polling is back within 5 s. Nothing that was acknowledged is lost by that.
GRACE_SECONDS = 2.0
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def follow_supervisor() -> None:
    """Stop this process when its supervisor ends, if it has one."""
    if os.environ.pop(ENVIRONMENT, None) is None:
        return
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    threading.Thread(target=_watch, name="orphan", daemon=True).start()


def _watch() -> None:
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os._exit(1)
