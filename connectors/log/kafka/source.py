"""A Bytewax source of one topic in Kafka: whole batches, at once, never waiting.

As with the embedded log's source, a position is not the engine's: it is stored by the
log under the reader's name, or by the sink itself, after the sink's yes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition

from connectors.log.contract import Batch, OffsetGone
from connectors.log.kafka.client import KafkaClient
from connectors.log.kafka.consumer import Held, SharedConsumer
from connectors.stop import STOP

__all__ = ["Consumers", "KafkaSource"]

_IDLE = timedelta(milliseconds=3)
_LAST_SECONDS = 0.2


class Consumers:
    """The one consumer of each worker, shared by all its partitions of all topics."""

    def __init__(self, client: KafkaClient, reader: str, *, held: Held) -> None:
        self._client = client
        self._reader = reader
        self._held = held
        # Not a threading.local: the engine's threads are not Python's, and forget it.
        self._own: dict[int, SharedConsumer] = {}

    def get(self) -> SharedConsumer:
        """The one of this thread."""
        thread = threading.get_ident()
        if thread not in self._own or self._own[thread].closed:
            self._own[thread] = SharedConsumer(
                self._client, self._reader, held=self._held
            )
        return self._own[thread]


class KafkaSource(FixedPartitionedSource[Batch, None]):
    """The batches of some partitions of a topic, each from its offset on, for ever.

    Partitions are named ``<topic>-<partition>``. ``on_gone`` says where to go on where
    retention was faster, and may tell of it. A requested stop ends the source after 0.2 s
    more, so that what was appended just before is not left behind; of a backlog the
    rest waits in the log.
    """

    def __init__(
        self,
        consumers: Consumers,
        topic: str,
        starts: Mapping[int, int],
        *,
        on_gone: Callable[[OffsetGone], int],
    ) -> None:
        self._consumers = consumers
        self._topic = topic
        self._starts = starts
        self._on_gone = on_gone

    def list_parts(self) -> list[str]:
        """One for each of the partitions."""
        return [f"{self._topic}-{number}" for number in sorted(self._starts)]

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> _Partition:
        """Assign the partition to the worker's consumer."""
        number = int(for_part.rpartition("-")[2])
        consumer = self._consumers.get()
        consumer.assign(self._topic, number, self._starts[number])
        return _Partition(consumer, self._topic, number, self._on_gone)


class _Partition(StatefulSourcePartition[Batch, None]):
    def __init__(
        self,
        consumer: SharedConsumer,
        topic: str,
        number: int,
        on_gone: Callable[[OffsetGone], int],
    ) -> None:
        self._consumer = consumer
        self._topic = topic
        self._number = number
        self._on_gone = on_gone
        self._idle = False
        self._ends_at: float | None = None

    def next_batch(self) -> list[Batch]:
        if self._ends_at is None and STOP.requested:
            self._ends_at = time.monotonic() + _LAST_SECONDS
        if self._ends_at is not None and time.monotonic() >= self._ends_at:
            raise StopIteration
        try:
            batch = self._consumer.take(self._topic, self._number)
        except OffsetGone as gone:
            self._consumer.assign(gone.topic, gone.partition, self._on_gone(gone))
            return []
        self._idle = batch is None
        return [] if batch is None else [batch]

    def next_awake(self) -> datetime | None:
        return datetime.now(UTC) + _IDLE if self._idle else None

    def snapshot(self) -> None:
        return None

    def close(self) -> None:
        self._consumer.release(self._topic, self._number)
