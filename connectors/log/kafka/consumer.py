"""One consumer for all partitions of a worker, read as columns and without waiting."""

from __future__ import annotations

import json
import time
from collections import Counter, deque
from collections.abc import Callable

from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from connectors.log.contract import Batch, LogError, OffsetGone
from connectors.log.kafka.client import KafkaClient
from connectors.log.kafka.columns import Codes, Columns, runs

__all__ = ["Held", "SharedConsumer"]

# Messages are read in pieces: the objects of the next one take the memory of the last.
_PIECE = 2_000
_PIECES = 5
_QUEUED = 30_000
_PAUSE_SECONDS = 0.001
_TOLD_SECONDS = 30.0
_BOUNDS_SECONDS = 1.0

Held = Callable[[str | None], None]
Place = tuple[str, int]


class SharedConsumer:
    """Fetches the partitions that are assigned to it; a thread's own.

    ``held`` is told why nothing can be fetched now, and None when it can again: the
    client itself goes on trying. Memory is bounded by what is queued here (30,000
    records) and by librdkafka's own queue (``queued.max.messages.kbytes``).
    """

    def __init__(self, client: KafkaClient, reader: str, *, held: Held) -> None:
        self._client = client
        self._held = held
        self._troubles: dict[str, str] = {}
        self._since: dict[Place, float] = {}
        self._to_ask: set[Place] = set()
        self._queues: dict[Place, deque[Batch]] = {}
        self._asked: dict[Place, int] = {}
        self._refused: dict[Place, int] = {}
        self.closed = False
        self._queued = 0
        self._fetch_at = 0.0
        self._codes = Codes()
        self._shared: set[int] = set()
        self._names: dict[str, str] = {}
        self._consumer: Consumer = client.consumer(
            reader, {"statistics.interval.ms": 1000, "stats_cb": self._watch}
        )

    def assign(self, topic: str, partition: int, offset: int) -> None:
        """Read a partition from an offset on, also one that is read already."""
        place = topic, partition
        self._names[self._client.topic(topic)] = topic
        target = TopicPartition(self._client.topic(topic), partition, offset)
        if place in self._queues:
            self._forget(place)
            self._consumer.incremental_unassign([target])
        self._queues[place] = deque()
        self._asked[place] = offset
        numbers = Counter(number for _, number in self._queues)
        self._shared = {number for number, topics in numbers.items() if topics > 1}
        self._consumer.incremental_assign([target])

    def take(self, topic: str, partition: int) -> Batch | None:
        """The next records of a partition that have come; None while there are none.

        OffsetGone where retention has passed the position, LogError where it lies beyond
        the end; both only when all has been taken that came before.
        """
        place = topic, partition
        if not self._queues[place]:
            self._fetch()
        if not self._queues[place]:
            if place in self._refused:
                self._out_of_range(place, self._refused.pop(place))
            return None
        batch = self._queues[place].popleft()
        self._queued -= len(batch.values)
        self._asked[place] = batch.next_offset
        return batch

    def release(self, topic: str, partition: int) -> None:
        """Read a partition no more; the last one closes the consumer."""
        place = topic, partition
        self._forget(place)
        if self._queues:
            target = TopicPartition(self._client.topic(topic), partition)
            self._consumer.incremental_unassign([target])
        else:
            self.closed = True
            self._consumer.close()

    def _forget(self, place: Place) -> None:
        self._queued -= sum(len(batch.values) for batch in self._queues.pop(place))
        del self._asked[place]
        self._refused.pop(place, None)

    def _fetch(self) -> None:
        now = time.monotonic()
        if now < self._fetch_at or self._queued > _QUEUED:
            return
        columns: dict[Place, Columns] = {}
        total = 0
        for _ in range(_PIECES):
            total += (count := self._fetch_piece(columns))
            if count < _PIECE:
                break
        if not total:
            self._fetch_at = now + _PAUSE_SECONDS
        for place, found in columns.items():
            batch = found.batch()
            self._queues[place].append(batch)
            self._queued += len(batch.values)
        # Not before all that has come is in the queues.
        while self._to_ask:
            self._ask_again(self._to_ask.pop())

    def _fetch_piece(self, columns: dict[Place, Columns]) -> int:
        """Fetch what is there, up to a piece; how many there were."""
        messages = self._consumer.consume(_PIECE, 0)
        count = len(messages)
        failed: list[Message] = []
        if any(map(Message.error, messages)):
            failed = [m for m in messages if m.error() is not None]
            messages = [m for m in messages if m.error() is None]
        for run in runs(messages, self._shared):
            place = self._names[str(run[0].topic())], run[0].partition() or 0
            if not (wanted := self._wanted(place, run)):
                continue
            if self._troubles:
                self._say(f"{run[0].topic()}-{place[1]}", None)
            if place not in columns:
                columns[place] = Columns(*place, self._codes)
            columns[place].add(wanted)
        for message in failed:
            self._failed(message)
        return count

    def _wanted(self, place: Place, run: list[Message]) -> list[Message]:
        """Without what is of an assignment that is over."""
        if place not in self._queues:
            return []
        asked = self._asked[place]
        if (run[0].offset() or 0) >= asked:
            return run
        return [message for message in run if (message.offset() or 0) >= asked]

    def _failed(self, message: Message) -> None:
        error = message.error()
        assert error is not None
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            place = self._names[str(message.topic())], message.partition() or 0
            if place in self._queues:
                self._refused[place] = message.offset() or 0
        elif error.fatal():
            raise self._client.error(error, "the consumer has failed")
        else:
            where = f"{message.topic()}-{message.partition()}"
            self._say(where, f"Kafka {where}: {error.str()}")
            place = self._names[str(message.topic())], message.partition() or 0
            self._since[place] = time.monotonic()

    def _out_of_range(self, place: Place, asked: int) -> None:
        name = self._client.topic(place[0])
        try:
            first, following = self._consumer.get_watermark_offsets(
                TopicPartition(name, place[1]), timeout=_BOUNDS_SECONDS
            )
        except KafkaException:
            self.assign(*place, asked)  # it is refused again, once the broker is back
            return
        if asked < first:
            raise OffsetGone(*place, asked, first)
        raise LogError(
            f"Kafka: {name}-{place[1]}: offset {asked} lay beyond the end, which is"
            f" {following} now: the topic was cut back, or the position is another's"
        )

    def _watch(self, statistics: str) -> None:
        """Once a second, in the midst of a fetch: whether any broker is up."""
        brokers = json.loads(statistics)["brokers"].values()
        up = any(broker["state"] == "UP" for broker in brokers)
        self._say("", None if up else self._client.away)
        for place, since in list(self._since.items()):
            if up and time.monotonic() - since > _TOLD_SECONDS:
                del self._since[place]
                self._to_ask.add(place)

    def _ask_again(self, place: Place) -> None:
        """Of an idle partition nobody hears that it is well again: ask anew."""
        self._say(f"{self._client.topic(place[0])}-{place[1]}", None)
        if place in self._queues and not self._queues[place]:
            self.assign(*place, self._asked[place])

    def _say(self, where: str, trouble: str | None) -> None:
        """Tell the host what is wrong, all of it, whenever that changes."""
        if trouble == self._troubles.get(where):
            return
        if trouble is None:
            del self._troubles[where]
        else:
            self._troubles[where] = trouble
        self._held("; ".join(self._troubles.values()) or None)
