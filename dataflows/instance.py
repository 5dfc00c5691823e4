"""One process per flow and data folder, and a record of where it can be found.

``<data>/run/<name>.lock`` is held (flock) as long as the process lives, however it
ends; ``<data>/run/<name>.json`` says its pid and the port of its health server.
"""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from dataflows.flock import Patience, is_held, lock, lock_file

__all__ = ["Run", "TakenError", "follow", "holder_of", "running", "take", "write_run"]


class TakenError(Exception):
    """Another live process stands in the way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A running flow: its process and its health server; ``started`` is ISO 8601."""

    name: str
    pid: int
    host: str
    port: int
    started: str


def take(folder: Path, name: str, patience: Patience) -> bool:
    """Hold the name for the rest of this process; False where a stop came first.

    TakenError, with the holder's pid, where patience ends. OSError.
    """
    path = folder / f"{name}.lock"
    descriptor = lock_file(path)

    def refusal() -> TakenError:
        pid = holder_of(path)
        who = f"pid {pid}" if pid else "another process"
        return TakenError(f"{name} runs already: {who} holds {path}")

    taken = False
    try:
        taken = patience.until(
            lambda: lock(descriptor), lambda: holder_of(path), refusal
        )
    finally:
        if not taken:
            os.close(descriptor)
    if taken:
        _sign(descriptor)
    return taken


def follow(folder: Path, name: str) -> None:
    """Hold the name for the rest of this process, once nobody else does. OSError.

    It waits for ever, and no stop ends it: for a thread that ends with the process.
    """
    descriptor = lock_file(folder / f"{name}.lock")
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    _sign(descriptor)


def holder_of(path: Path) -> int | None:
    """The pid of who holds the lock, or held it last; None where it is not told."""
    try:
        return int(path.read_text("ascii"))
    except (OSError, ValueError):
        return None


def write_run(folder: Path, run: Run) -> None:
    """Say where the flow is found; readers never see half of it. OSError."""
    path = folder / f"{run.name}.json"
    draft = path.with_suffix(".json.new")
    draft.write_text(json.dumps(asdict(run)) + "\n", "utf-8")
    draft.replace(path)


def running(folder: Path) -> dict[str, Run]:
    """The flows that run now, by name; records of dead processes are passed over.

    Of replicas the first has the flow's plain name, the second is ``<flow>-2``.
    """
    found = {}
    for path in sorted(folder.glob("*.json")):
        try:
            run = Run(**json.loads(path.read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            continue
        if is_held(path.with_suffix(".lock")):
            found[run.name] = run
    return found


def _sign(descriptor: int) -> None:
    with suppress(OSError):  # a full disk: the lock holds, only its holder is unnamed
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
