"""The contract of every log, on Kafka: for commands, dead letters and positions.

Flows that read whole topics use ``connectors.log.kafka.source``, which is faster.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)

from connectors.log.contract import LogError, OffsetGone, Record
from connectors.log.kafka.client import KafkaClient, key_of, transient
from connectors.log.kafka.topics import TopicRules, make, topic_id

__all__ = ["KafkaLog"]

_NEVER_STORED = -1001  # RD_KAFKA_OFFSET_INVALID
_LOOK_SECONDS = 0.1
_NO_TOPIC = {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC}

T = TypeVar("T")


class KafkaLog:
    """A handle on the log in a cluster; implements ``connectors.log.contract.Log``.

    Topics that an append finds missing are made by ``rules``. An append that failed may
    have left a part of its records, or all: what is appended again then stands twice.
    Every call is answered within the client's ``timeout_seconds`` or raises LogError.
    """

    def __init__(self, client: KafkaClient, rules: TopicRules | None = None) -> None:
        self._client = client
        self._rules = rules or TopicRules()
        self._partitions: dict[str, tuple[int, ...]] = {}
        self._identities: dict[str, str] = {}
        self._keepers: dict[str, Consumer] = {}
        self._not_kept: KafkaError | None = None
        self._reading: dict[tuple[str, int], _Reading] = {}
        self._producer: Producer | None = None
        self._asker: Consumer | None = None

    def identity(self, topic: str) -> str:
        """Cluster id and topic id: a topic made anew is another one."""
        if topic not in self._identities:
            if topic not in self._known(topic):
                self._make(topic)
            cluster = self._metadata().cluster_id
            self._identities[topic] = f"{cluster}/{topic_id(self._client, topic)}"
        return self._identities[topic]

    def append(self, topic: str, records: Sequence[tuple[str, bytes]]) -> list[int]:
        """Append in order by key; the offset of each in its partition. LogError."""
        if not records:
            return []
        if topic not in self._known(topic):
            self._make(topic)
        producer = self._open_producer()
        delivered = _Deliveries(len(records))
        name = self._client.topic(topic)
        try:
            for place, (key, value) in enumerate(records):
                report = delivered.report(place)
                while True:
                    try:
                        producer.produce(name, value, key.encode(), on_delivery=report)
                        break
                    except BufferError:
                        producer.poll(_LOOK_SECONDS)
        except KafkaException as error:
            raise self._client.error(error, f"{name}: cannot append") from error
        finally:
            left = producer.flush(self._client.timeout_seconds)
        if delivered.error is not None:
            raise self._client.error(delivered.error, f"{name}: cannot append")
        if left:
            raise LogError(f"Kafka: {name}: {left} records are not acknowledged")
        return delivered.offsets

    def read(
        self, topic: str, partition: int, from_offset: int, maximum: int
    ) -> list[Record]:
        """Up to ``maximum`` records from an offset on; OffsetGone, LogError."""
        first, following = self.bounds(topic, partition)
        if from_offset < first:
            raise OffsetGone(topic, partition, from_offset, first)
        if from_offset > following:
            raise LogError(
                f"Kafka: {self._client.topic(topic)}-{partition}: offset {from_offset}"
                f" lies beyond the end, {following}: the position is another's"
            )
        if from_offset == following or maximum <= 0:
            return []
        reading = self._reading.get((topic, partition))
        if reading is None:
            reading = _Reading(self._client, topic, partition)
            self._reading[topic, partition] = reading
        return reading.read(from_offset, following, maximum)

    def partitions(self, topic: str) -> tuple[int, ...]:
        """The partitions of a topic; (0,) for one that does not exist yet."""
        return self._known(topic).get(topic, (0,))

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """The first offset that can be read and the next that will be written."""
        if topic not in self._known(topic):
            return 0, 0
        self._check_partition(topic, partition)
        place = TopicPartition(self._client.topic(topic), partition)
        first, following = self._retried(
            lambda: self._ask().get_watermark_offsets(
                place, timeout=self._client.timeout_seconds
            ),
            f"bounds of {place.topic}-{partition}",
        )
        return first, following

    def position(self, reader: str, topic: str, partition: int) -> int | None:
        """The reader's committed offset; None if it never committed one."""
        self._check_partition(topic, partition)
        place = TopicPartition(self._client.topic(topic), partition)
        (found,) = self._retried(
            lambda: _without_errors(
                self._keeper(reader).committed(
                    [place], timeout=self._client.timeout_seconds
                )
            ),
            f"position of {reader} in {place.topic}-{partition}",
        )
        return None if found.offset == _NEVER_STORED else int(found.offset)

    def store_position(
        self, reader: str, topic: str, partition: int, offset: int
    ) -> None:
        """Commit a reader's next offset under its consumer group. LogError."""
        self._check_partition(topic, partition)
        place = TopicPartition(self._client.topic(topic), partition, offset)
        self._retried(
            lambda: _without_errors(
                self._keeper(reader).commit(offsets=[place], asynchronous=False)
            ),
            f"cannot commit {reader}'s position in {place.topic}-{partition}",
        )

    def commit_soon(self, reader: str, topic: str, partition: int, offset: int) -> None:
        """As ``store_position``, without waiting for the answer.

        For positions that the next one replaces, and behind which nothing is done twice
        that does harm. LogError where the request cannot be made, or where an earlier
        one has been refused meanwhile; this one is then made all the same.
        """
        place = TopicPartition(self._client.topic(topic), partition, offset)
        what = f"cannot commit {reader}'s position"
        keeper = self._keeper(reader)
        try:
            keeper.commit(offsets=[place], asynchronous=True)
            keeper.poll(0)  # where answers are heard
        except KafkaException as error:
            raise self._client.error(error, what) from error
        refused, self._not_kept = self._not_kept, None
        if refused is not None:
            raise self._client.error(refused, what)

    def _kept(self, error: KafkaError | None, places: list[TopicPartition]) -> None:
        """An answer to a commit; each place may have an error of its own."""
        errors = (error, *(place.error for place in places))
        self._not_kept = next(filter(None, errors), self._not_kept)

    def sync(self) -> None:
        """Nothing to do: what can be read is on all in-sync replicas."""

    def close(self) -> None:
        """Give back the connections; a second call does nothing."""
        consumers = [*self._keepers.values()]
        consumers += [reading.consumer for reading in self._reading.values()]
        consumers += [self._asker] if self._asker is not None else []
        self._asker = None
        self._keepers.clear()
        self._reading.clear()
        for consumer in consumers:
            consumer.close()

    def _ask(self) -> Consumer:
        """A client that never fetches: no request on it waits behind a fetch."""
        if self._asker is None:
            self._asker = self._client.consumer("ask")
        return self._asker

    def _metadata(self, topic: str | None = None) -> Any:
        try:
            return self._ask().list_topics(topic, timeout=self._client.timeout_seconds)
        except KafkaException as error:
            self._ask().poll(0)  # where the reason is told
            raise self._client.error(error, "the cluster does not answer") from error

    def _known(self, topic: str) -> dict[str, tuple[int, ...]]:
        """The partitions by topic, asked again while this one is not known."""
        if topic not in self._partitions:
            name = self._client.topic(topic)
            found = self._metadata(name).topics[name]
            if found.error is not None and found.error.code() not in _NO_TOPIC:
                raise self._client.error(found.error, name)
            if found.partitions:
                self._partitions[topic] = tuple(sorted(found.partitions))
        return self._partitions

    def _make(self, topic: str) -> None:
        make(self._client, [self._rules.plan(topic)])
        deadline = time.monotonic() + self._client.timeout_seconds
        while topic not in self._known(topic):
            if time.monotonic() > deadline:
                raise LogError(f"Kafka: {self._client.topic(topic)}: made, not seen")
            time.sleep(_LOOK_SECONDS / 5)

    def _check_partition(self, topic: str, partition: int) -> None:
        known = self.partitions(topic)
        if partition not in known:
            raise LogError(
                f"Kafka: {self._client.topic(topic)} has no partition {partition},"
                f" only {known[0]} to {known[-1]}"
            )

    def _keeper(self, reader: str) -> Consumer:
        if reader not in self._keepers:
            more = {"on_commit": self._kept}
            self._keepers[reader] = self._client.consumer(reader, more)
        return self._keepers[reader]

    def _retried(self, call: Callable[[], T], what: str) -> T:
        """The answer of a broker; a new one must find leader and coordinator first."""
        deadline = time.monotonic() + self._client.timeout_seconds
        while True:
            try:
                return call()
            except KafkaException as error:
                if not transient(error.args[0]) or time.monotonic() > deadline:
                    raise self._client.error(error, what) from error
                time.sleep(_LOOK_SECONDS)

    def _open_producer(self) -> Producer:
        if self._producer is None:
            limit_ms = round(self._client.timeout_seconds * 1000)
            self._producer = self._client.producer({"message.timeout.ms": limit_ms})
        return self._producer


def _without_errors(places: list[TopicPartition]) -> list[TopicPartition]:
    for place in places:
        if place.error is not None:
            raise KafkaException(place.error)
    return places


class _Deliveries:
    """The delivery reports of one append."""

    def __init__(self, count: int) -> None:
        self.offsets = [-1] * count
        self.error: KafkaError | None = None

    def report(self, place: int) -> Any:
        def done(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                self.error = self.error or error
            else:
                self.offsets[place] = message.offset() or 0

        return done


class _Reading:
    """One partition read on and on by a consumer of its own."""

    def __init__(self, client: KafkaClient, topic: str, partition: int) -> None:
        # A fetch that waits at the end holds up a read from elsewhere.
        self.consumer = client.consumer(
            "read", {"enable.partition.eof": True, "fetch.wait.max.ms": 50}
        )
        self._client = client
        self._topic = topic
        self._partition = partition
        self._at = -1

    def read(self, start: int, end: int, maximum: int) -> list[Record]:
        """Up to ``maximum`` records from ``start`` on, waited for as there are some."""
        if start != self._at:
            name = self._client.topic(self._topic)
            self.consumer.assign([TopicPartition(name, self._partition, start)])
        self._at = -1  # until all has gone well
        deadline = time.monotonic() + self._client.timeout_seconds
        records: list[Record] = []
        while len(records) < maximum and start < end:
            left = maximum - len(records)
            messages = self.consumer.consume(left, 0)
            messages = messages or self.consumer.consume(1, _LOOK_SECONDS)
            records += [self._record(m) for m in messages if m.error() is None]
            start = records[-1].offset + 1 if records else start
            if self._at_end(messages, start, end):
                break
            if not messages and time.monotonic() > deadline:
                raise LogError(
                    f"Kafka: {self._client.topic(self._topic)}-{self._partition}:"
                    f" no answer for offset {start}, the end is {end}"
                )
        self._at = start
        return records

    def _at_end(self, messages: Sequence[Message], start: int, end: int) -> bool:
        for message in messages:
            error = message.error()
            if error is None:
                continue
            if error.code() == KafkaError._PARTITION_EOF:
                # One may be left from when the topic ended earlier.
                if (message.offset() or 0) >= end:
                    return True
                continue
            if error.code() == KafkaError._AUTO_OFFSET_RESET:
                raise OffsetGone(self._topic, self._partition, start, start + 1)
            if not transient(error):
                raise self._client.error(
                    error, f"{self._topic}-{self._partition}: cannot read"
                )
        return False

    def _record(self, message: Message) -> Record:
        _, time_ms = message.timestamp()
        return Record(
            message.offset() or 0,
            time_ms * 1000,
            key_of(message),
            message.value() or b"",
        )
