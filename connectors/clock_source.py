"""A Bytewax source of the events of the host's clock."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition

from connectors.host_clock import ClockWatch, synchronized
from connectors.stop import STOP
from transforms.codec.records import Event

__all__ = ["ClockSource"]

_LOOK_SECONDS = 10.0
_AWAKE = timedelta(milliseconds=200)


class ClockSource(FixedPartitionedSource[Event, None]):
    """Asks the kernel every ten seconds; an event when its answer is another."""

    def list_parts(self) -> list[str]:
        """The host has one clock."""
        return ["clock"]

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> _Partition:
        """Nothing is opened."""
        return _Partition()


class _Partition(StatefulSourcePartition[Event, None]):
    def __init__(self) -> None:
        self._watch = ClockWatch()
        self._look_at = 0.0

    def next_batch(self) -> list[Event]:
        if STOP.requested:
            raise StopIteration
        if time.monotonic() < self._look_at:
            return []
        self._look_at = time.monotonic() + _LOOK_SECONDS
        event = self._watch.look(time.time_ns() // 1000, synchronized())
        return [] if event is None else [event]

    def next_awake(self) -> datetime:
        return datetime.now(UTC) + _AWAKE

    def snapshot(self) -> None:
        return None
