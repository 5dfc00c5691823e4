"""One process per flow and data folder, and a record of where it can be found.

``<data>/run/<name>.lock`` is held (flock) as long as the process lives, however it
ends; ``<data>/run/<name>.json`` says its pid and the port of its health server.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["Run", "TakenError", "running", "take", "write_run"]

_LOOK_SECONDS = 0.05


class TakenError(Exception):
    """Another live process holds the name; ``holder`` is its pid where known."""

    def __init__(self, name: str, path: Path, holder: int | None) -> None:
        self.holder = holder
        who = f"pid {holder}" if holder else "another process"
        super().__init__(f"{name} runs already: {who} holds {path}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A running flow: its process and its health server; ``started`` is ISO 8601."""

    name: str
    pid: int
    host: str
    port: int
    started: str


def take(
    folder: Path,
    name: str,
    *,
    wait_seconds: float,
    waits: Callable[[int | None], None],
    stop: Callable[[], bool],
) -> bool:
    """Hold the name for the rest of this process; False where a stop came first.

    A process that is about to end may hold it still: ``waits`` is told its pid once,
    and TakenError is raised after ``wait_seconds``.
    """
    path = folder / f"{name}.lock"
    # Never closed and not inherited: the kernel gives it back when the process ends.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    deadline = time.monotonic() + wait_seconds
    waiting = False
    while not _locked(descriptor, fcntl.LOCK_EX):
        holder = _holder(path)
        if time.monotonic() >= deadline:
            os.close(descriptor)
            raise TakenError(name, path, holder)
        if stop():
            os.close(descriptor)
            return False
        if not waiting:
            waits(holder)
            waiting = True
        time.sleep(_LOOK_SECONDS)
    text = f"{os.getpid()}\n".encode()
    with suppress(OSError):  # a full disk: the lock holds, only its holder is unnamed
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text, 0)
    return True


def write_run(folder: Path, run: Run) -> None:
    """Say where the flow is found; readers never see half of it. OSError."""
    path = folder / f"{run.name}.json"
    draft = path.with_suffix(".json.new")
    draft.write_text(json.dumps(asdict(run)) + "\n", "utf-8")
    draft.replace(path)


def running(folder: Path) -> dict[str, Run]:
    """The flows that run now, by name; records of dead processes are passed over."""
    found = {}
    for path in sorted(folder.glob("*.json")):
        try:
            run = Run(**json.loads(path.read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            continue
        if _held(path.with_suffix(".lock")):
            found[run.name] = run
    return found


def _locked(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _held(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        return not _locked(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _holder(path: Path) -> int | None:
    try:
        return int(path.read_text("ascii"))
    except (OSError, ValueError):
        return None
