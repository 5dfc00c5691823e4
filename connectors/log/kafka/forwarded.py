"""What of an edge's log has been moved on already, read back from Kafka itself.

Every record that forward moves carries the header ``edge_offset``: the id of the edge's
log and the record's offset there. Between two stored positions a crash leaves records
that are in Kafka but not accounted for at the edge; they stand at the tail of their
partitions, behind what was acknowledged when the position was stored.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import cast

from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from connectors.log.contract import Log, LogError
from connectors.log.kafka.client import KafkaClient, transient

__all__ = ["EDGE_OFFSET", "edge_header", "forwarded", "tail_starts"]

EDGE_OFFSET = "edge_offset"

_BATCH = 10_000
_LOOK_SECONDS = 0.1
# A request of a process that was killed may still be in the broker's hands.
_SETTLE_SECONDS = 0.5


def edge_header(log_id: str, offset: int) -> list[tuple[str, bytes]]:
    """The header of one record: ``<log id>/<offset>`` as text."""
    return [(EDGE_OFFSET, f"{log_id}/{offset}".encode())]


def tail_starts(
    client: KafkaClient, log: Log, reader: str, topic: str, *, since_us: int
) -> dict[int, int]:
    """Where each partition's tail begins: at what ``reader`` committed of it.

    Where that has expired, at the first record that was made after ``since_us``.
    LogError.
    """
    starts = {}
    for partition in log.partitions(topic):
        first, end = log.bounds(topic, partition)
        known = log.position(reader, topic, partition)
        if known is None:
            known = _offset_at(client, topic, partition, since_us, end)
        starts[partition] = min(max(known, first), end)
    return starts


def forwarded(
    client: KafkaClient,
    log: Log,
    topic: str,
    starts: Mapping[int, int],
    *,
    log_id: str,
    alive: Callable[[], bool] = lambda: True,
) -> set[int]:
    """The offsets of this edge's records that stand in the tails. LogError.

    Ends when all partitions have been read to their end, and half a second has brought
    nothing more.
    """
    found: set[int] = set()
    mark = f"{log_id}/".encode()
    name = client.topic(topic)
    consumer = client.consumer("forwarded", {"enable.partition.eof": True})
    try:
        consumer.assign([TopicPartition(name, p, at) for p, at in starts.items()])
        at = dict(starts)
        settled = time.monotonic() + _SETTLE_SECONDS
        deadline = time.monotonic() + client.timeout_seconds
        while True:
            if not alive():
                raise LogError(f"Kafka: {name}: stopped while the tail was read")
            messages = consumer.consume(_BATCH, 0) or consumer.consume(1, _LOOK_SECONDS)
            for message in messages:
                partition, offset = message.partition() or 0, message.offset() or 0
                error = message.error()
                if error is None:
                    at[partition] = offset + 1
                    deadline = time.monotonic() + client.timeout_seconds
                    found.update(_own_offset(message, mark))
                elif error.code() == KafkaError._PARTITION_EOF:
                    at[partition] = offset  # behind what no record stands at
                elif not transient(error):
                    raise client.error(error, f"{name}: cannot read the tail")
            now = time.monotonic()
            if (
                not messages
                and now >= settled
                and all(log.bounds(topic, p)[1] <= place for p, place in at.items())
            ):
                return found
            if now > deadline:
                raise LogError(f"Kafka: {name}: no answer for the tail at {at}")
    except KafkaException as error:
        raise client.error(error, f"{name}: cannot read the tail") from error
    finally:
        consumer.close()


def _own_offset(message: Message, mark: bytes) -> list[int]:
    # The client's types know a mapping too, which it gives to nobody.
    headers = cast("list[tuple[str, bytes | None]]", message.headers() or [])
    return [
        int(value[len(mark) :])
        for header, value in headers
        if header == EDGE_OFFSET
        and value is not None
        and value.startswith(mark)
        and value[len(mark) :].isdigit()
    ]


def _offset_at(
    client: KafkaClient, topic: str, partition: int, since_us: int, end: int
) -> int:
    place = TopicPartition(client.topic(topic), partition, max(0, since_us // 1000))
    consumer = client.consumer("forwarded")
    try:
        (found,) = consumer.offsets_for_times([place], timeout=client.timeout_seconds)
    except KafkaException as error:
        raise client.error(
            error, f"{place.topic}-{partition}: cannot find a time"
        ) from error
    finally:
        consumer.close()
    return end if found.offset < 0 else int(found.offset)
