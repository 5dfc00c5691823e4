"""A Bytewax source of frames, and before them of what meters said of themselves.

Its position is the engine's, kept with the state that follows from it. The log is told
too, one snapshot late, so that retention spares what a recovery would read again.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition

from connectors.log.contract import EVENTS, FRAMES, Batch, Log, LogError, OffsetGone
from connectors.stop import STOP

__all__ = ["DeriveSource", "Position"]

# The next offset of the partition's frames; of each partition of the events.
Position = tuple[int, tuple[int, ...]]

# Derived values may wait a little: larger batches cost less for each frame.
_MOST_BATCHES = 20
_IDLE = timedelta(milliseconds=200)


class DeriveSource(FixedPartitionedSource[Batch, Position]):
    """One partition of frames with all events, each before frames that come later.

    ``start(log)`` says where to begin without a snapshot. ``on_gone`` says where to go
    on where retention was faster. ``on_trouble(reason)`` is told why the log cannot be
    read now, and None when it can be again. Its name tells the partition: a state is of
    one.
    """

    def __init__(
        self,
        open_log: Callable[[], Log],
        partition: int,
        *,
        reader: str,
        start: Callable[[Log], Position],
        on_gone: Callable[[OffsetGone], int],
        on_trouble: Callable[[str | None], None],
        batch_size: int = 10_000,
        topic: str = FRAMES,
    ) -> None:
        self._open_log = open_log
        self._partition = partition
        self._reader = reader
        self._start = start
        self._on_gone = on_gone
        self._on_trouble = on_trouble
        self._batch_size = batch_size
        self._topic = topic

    def list_parts(self) -> list[str]:
        """The one."""
        return [f"{self._topic}-{self._partition}"]

    def build_part(
        self, step_id: str, for_part: str, resume_state: Position | None
    ) -> _Partition:
        """Open the log, and go on where the state stands."""
        log = self._open_log()
        try:
            position = resume_state or self._start(log)
        except BaseException:
            log.close()
            raise
        return _Partition(
            log, self._topic, self._partition, position, self._reader, self._on_gone,
            self._on_trouble, self._batch_size,
        )  # fmt: skip


class _Partition(StatefulSourcePartition[Batch, Position]):
    def __init__(
        self,
        log: Log,
        topic: str,
        partition: int,
        position: Position,
        reader: str,
        on_gone: Callable[[OffsetGone], int],
        on_trouble: Callable[[str | None], None],
        batch_size: int,
    ) -> None:
        self._log = log
        self._topic = topic
        self._partition = partition
        self._frames, events = position
        self._events = list(events)
        self._reader = reader
        self._on_gone = on_gone
        self._on_trouble = on_trouble
        self._batch_size = batch_size
        self._troubled = False
        self._more = True
        self._stopping = False
        self._kept: Position = position
        self._store(position)

    def next_batch(self) -> list[Batch]:
        if self._stopping:
            raise StopIteration
        self._stopping = STOP.requested
        try:
            frames = self._read(self._topic, self._partition, self._frames)
            # Read later, handed on earlier: no event that came before them is missed.
            events, places = self._read_events()
        except LogError as trouble:
            self._more, self._troubled = False, True
            self._on_trouble(str(trouble))
            return []
        if self._troubled:
            self._troubled = False
            self._on_trouble(None)
        self._events = places
        if len(events) >= _MOST_BATCHES:
            # So many at once, and more may follow: frames have to wait for them.
            self._more = True
            return events
        self._more = frames is not None and len(frames.offsets) == self._batch_size
        if frames is None:
            return events
        self._frames = frames.next_offset
        return [*events, frames]

    def next_awake(self) -> datetime | None:
        return None if self._more else datetime.now(UTC) + _IDLE

    def snapshot(self) -> Position:
        # What the state counts must not be taken from the log by a power cut.
        self._log.sync()
        # The one before is in the engine's store by now, this one not yet.
        self._store(self._kept)
        self._kept = self._frames, tuple(self._events)
        return self._kept

    def close(self) -> None:
        self._log.close()

    def _read_events(self) -> tuple[list[Batch], list[int]]:
        """All events that there are, and where each partition goes on."""
        out: list[Batch] = []
        places = [*self._events]
        partitions = self._log.partitions(EVENTS)
        while len(places) < len(partitions):
            places.append(self._log.bounds(EVENTS, len(places))[0])
        for number in partitions:
            while len(out) < _MOST_BATCHES:
                batch = self._read(EVENTS, number, places[number])
                if batch is None:
                    break
                places[number] = batch.next_offset
                out.append(batch)
        return out, places

    def _read(self, topic: str, partition: int, offset: int) -> Batch | None:
        try:
            records = self._log.read(topic, partition, offset, self._batch_size)
        except OffsetGone as gone:
            after = self._on_gone(gone) if topic == self._topic else gone.first
            records = self._log.read(topic, partition, after, self._batch_size)
        return Batch.of(topic, partition, records) if records else None

    def _store(self, position: Position) -> None:
        frames, events = position
        try:
            self._log.store_position(self._reader, self._topic, self._partition, frames)
            for number, offset in enumerate(events):
                self._log.store_position(self._reader, EVENTS, number, offset)
        except LogError:
            # It only spares records from retention; the next snapshot tries again.
            pass
