"""The replay itself: history in, records out, sums at the end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from connectors.log.contract import LogError
from dataflows.replay.blocks import History
from dataflows.replay.pace import Pace
from dataflows.replay.target import Target
from transforms.codec.framing import CodecError

__all__ = ["Replayed", "Watcher", "replay"]


class Watcher(Protocol):
    """Is told how far a replay is."""

    def advance(self, looked: int, sent: int) -> None:
        """So many records of history have been looked at, so many handed over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What came of it; ``records`` are acknowledged, ``trouble`` says why not all are."""

    records: int
    seconds: float
    complete: bool
    trouble: str | None = None

    @property
    def records_per_second(self) -> float:
        """On average over the whole replay."""
        return self.records / self.seconds if self.seconds else 0.0


def replay(
    history: History,
    target: Target,
    pace: Pace,
    watcher: Watcher,
    *,
    stopping: Callable[[], bool],
) -> Replayed:
    """Move all of the history, until a stop comes or something fails; never raises.

    What was acknowledged counts in any case.
    """
    begun = time.monotonic()
    trouble = None
    try:
        _move(history, target, pace, watcher, stopping)
        target.settle()
    except (LogError, OSError, CodecError) as error:
        trouble = " ".join(str(error).split())
    finally:
        target.close()
    return Replayed(
        records=target.acknowledged,
        seconds=time.monotonic() - begun,
        complete=trouble is None and not stopping(),
        trouble=trouble,
    )


def _move(
    history: History,
    target: Target,
    pace: Pace,
    watcher: Watcher,
    stopping: Callable[[], bool],
) -> None:
    sent = 0
    for block in history.blocks():
        for part in pace.portions(block):
            if stopping() or not target.send(part.keys, part.values):
                return
            sent += len(part.keys)
            watcher.advance(history.looked, sent)
        if stopping():
            return
    watcher.advance(history.looked, sent)
