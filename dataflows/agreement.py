"""All processes of a flow on a data folder agree on how many replicas there are.

Else a meter could be polled twice: by 2/2, and by 3/3. Each holds
``<data>/run/<flow>.replicas-<count>``, shared, as long as it lives, and takes it only
while nobody holds that of another count. Nothing is left to mend after ``kill -9``.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from dataflows.flock import Patience, is_held, lock, lock_file
from dataflows.instance import TakenError, holder_of
from dataflows.replica import Replica

__all__ = ["agree"]


def agree(folder: Path, flow: str, part: Replica, patience: Patience) -> bool:
    """Keep every other count out for the rest of this process; False for a stop first.

    Processes of another count may be about to end: TakenError, with their pids, where
    patience ends before them. OSError.
    """
    own = folder / f"{flow}.replicas-{part.count}"
    descriptor = lock_file(own)
    # Looking at the others and taking one's own must be one step.
    gate = lock_file(folder / f"{flow}.replicas")

    def agreed() -> bool:
        fcntl.flock(gate, fcntl.LOCK_EX)  # nobody keeps it longer than these lines
        try:
            return not any(_others(own)) and lock(descriptor, shared=True)
        finally:
            fcntl.flock(gate, fcntl.LOCK_UN)

    def refusal() -> TakenError:
        count = next((path.name.rpartition("-")[2] for path in _others(own)), "?")
        pids = ", ".join(f"pid {pid}" for pid in _pids(folder, flow)) or "a process"
        return TakenError(
            f"{flow} {part} cannot run beside replicas of {count}: {pids} in {folder}"
        )

    taken = False
    try:
        taken = patience.until(agreed, lambda: next(_pids(folder, flow), None), refusal)
    finally:
        os.close(gate)
        if not taken:
            os.close(descriptor)
    return taken


def _others(own: Path) -> Iterator[Path]:
    """The files of other counts that are held now."""
    flow = own.name.rpartition("-")[0]
    for path in own.parent.glob(f"{flow}-*"):
        if path != own and is_held(path, shared=True):
            yield path


def _pids(folder: Path, flow: str) -> Iterator[int]:
    for path in (folder / f"{flow}.lock", *sorted(folder.glob(f"{flow}-*.lock"))):
        if is_held(path) and (pid := holder_of(path)):
            yield pid
