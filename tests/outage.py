"""kill -9 of a supervisor, and how long nothing is polled after it."""

from __future__ import annotations

import os
import signal
import time

from tests.integration.accounts import frames_in
from tests.kit import Flow, Plant, until

__all__ = ["back_after", "kill_only"]


def kill_only(run: Flow) -> None:
    """The supervisor alone, as an out-of-memory killer would."""
    os.kill(run.pid, signal.SIGKILL)
    run.process.wait(30)


def back_after(plant: Plant, killed: float, written: int) -> float:
    """Seconds from the kill to the first frame of the new process."""
    pid_file = plant.folder / "data" / "run" / "acquire.json"
    before = pid_file.read_bytes()
    until(lambda: pid_file.read_bytes() != before, "acquire again", pause=0.01)
    after_start = frames_in(plant.log_path)
    until(
        lambda: frames_in(plant.log_path) > max(written, after_start),
        "polling",
        pause=0.01,
    )
    return time.monotonic() - killed
