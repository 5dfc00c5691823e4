"""A source that says, again and again, that time has passed: for sinks that look at age."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition

from connectors.stop import STOP

__all__ = ["Ticks"]

_TICK_SECONDS = 0.2
# At the end of every epoch the other sources wait, spinning, until this one has been
# woken too.
_AWAKE = timedelta(milliseconds=20)


class Ticks(FixedPartitionedSource[None, None]):
    """One None about five times a second until a stop is requested."""

    def list_parts(self) -> list[str]:
        """One clock is enough."""
        return ["ticks"]

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> _Partition:
        """Nothing is opened."""
        return _Partition()


class _Partition(StatefulSourcePartition[None, None]):
    def __init__(self) -> None:
        self._due = 0.0

    def next_batch(self) -> list[None]:
        if STOP.requested:
            raise StopIteration
        now = time.monotonic()
        if now < self._due:
            return []
        self._due = now + _TICK_SECONDS
        return [None]

    def next_awake(self) -> datetime:
        return datetime.now(UTC) + _AWAKE

    def snapshot(self) -> None:
        return None
