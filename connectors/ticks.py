"""A source that says, again and again, that time has passed: for sinks that look at age."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition

from connectors.stop import STOP

__all__ = ["Ticks"]

# An engine's source must be woken often, or it holds back the others.
_AWAKE = timedelta(milliseconds=200)


class Ticks(FixedPartitionedSource[None, None]):
    """One None about five times a second until a stop is requested."""

    def list_parts(self) -> list[str]:
        """One clock is enough."""
        return ["ticks"]

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> _Partition:
        """Nothing is opened."""
        return _Partition()


class _Partition(StatefulSourcePartition[None, None]):
    def next_batch(self) -> list[None]:
        if STOP.requested:
            raise StopIteration
        return [None]

    def next_awake(self) -> datetime:
        return datetime.now(UTC) + _AWAKE

    def snapshot(self) -> None:
        return None
