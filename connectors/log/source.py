"""A Bytewax source of one topic: whole batches, at once, never waiting.

A position is not the engine's: it is stored by the log under the reader's name, or by
the sink itself, after the sink's yes. So a snapshot of this source holds nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition

from connectors.log.contract import Batch, Log, OffsetGone
from connectors.stop import STOP

__all__ = ["LogSource"]


def _raise(gone: OffsetGone) -> int:
    raise gone


class LogSource(FixedPartitionedSource[Batch, None]):
    """The batches of a topic from ``start(log, partition)`` on, for ever.

    Partitions are named ``<topic>-<partition>``; each opens its own handle in the
    worker that owns it. ``on_gone`` says where to go on when retention was faster, and
    may tell of it; unless given, OffsetGone ends the flow. At the end of the topic it
    looks again after ``idle_seconds``, at most 0.25. A requested stop ends the
    source after one more batch, so that what was appended just before is not left
    behind; of a backlog the rest waits in the log.
    """

    def __init__(
        self,
        open_log: Callable[[], Log],
        topic: str,
        start: Callable[[Log, int], int],
        *,
        batch_size: int = 1000,
        on_gone: Callable[[OffsetGone], int] = _raise,
        idle_seconds: float = 0.02,
    ) -> None:
        self._open_log = open_log
        self._topic = topic
        self._start = start
        self._batch_size = batch_size
        self._on_gone = on_gone
        self._idle = timedelta(seconds=idle_seconds)

    def list_parts(self) -> list[str]:
        """One for each of the topic's partitions."""
        log = self._open_log()
        try:
            return [f"{self._topic}-{number}" for number in log.partitions(self._topic)]
        finally:
            log.close()

    def build_part(
        self,
        step_id: str,
        for_part: str,
        resume_state: None,
    ) -> _Partition:
        """Open the log and ask where to start."""
        number = int(for_part.rpartition("-")[2])
        log = self._open_log()
        try:
            offset = self._start(log, number)
        except BaseException:
            log.close()
            raise
        return _Partition(
            log,
            self._topic,
            number,
            offset,
            self._batch_size,
            self._on_gone,
            self._idle,
        )


class _Partition(StatefulSourcePartition[Batch, None]):
    def __init__(
        self,
        log: Log,
        topic: str,
        number: int,
        offset: int,
        batch_size: int,
        on_gone: Callable[[OffsetGone], int],
        idle: timedelta,
    ) -> None:
        self._log = log
        self._topic = topic
        self._number = number
        self._offset = offset
        self._batch_size = batch_size
        self._on_gone = on_gone
        self._idle = idle
        self._more = True
        self._stopping = False

    def next_batch(self) -> list[Batch]:
        if self._stopping:
            raise StopIteration
        self._stopping = STOP.requested
        try:
            records = self._log.read(
                self._topic, self._number, self._offset, self._batch_size
            )
        except OffsetGone as gone:
            self._offset = self._on_gone(gone)
            return []
        self._more = len(records) == self._batch_size
        if not records:
            return []
        self._offset = records[-1].offset + 1
        return [Batch.of(self._topic, self._number, records)]

    def next_awake(self) -> datetime | None:
        return None if self._more else datetime.now(UTC) + self._idle

    def snapshot(self) -> None:
        return None

    def close(self) -> None:
        self._log.close()
