"""What the tests of Kafka's parts share: quick clients, records, bounded waits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import uuid4

from connectors.log.contract import Batch
from connectors.log.kafka.client import KafkaClient, Setting
from connectors.log.kafka.consumer import SharedConsumer
from tests.kit import until

QUICK: dict[str, Setting] = {
    "reconnect.backoff.ms": 20,
    "reconnect.backoff.max.ms": 100,
    "topic.metadata.refresh.fast.interval.ms": 50,
    "retry.backoff.ms": 20,
    "retry.backoff.max.ms": 100,
    "fetch.error.backoff.ms": 20,
    "fetch.wait.max.ms": 50,
}
Place = tuple[str, int]
Header = tuple[str, bytes]


def quick_client(bootstrap_servers: str, **settings: Setting) -> KafkaClient:
    """A client that comes back soon after its broker, among topics of its own."""
    named = {name.replace("_", "."): value for name, value in settings.items()}
    return KafkaClient(
        bootstrap_servers=bootstrap_servers,
        prefix=f"{uuid4().hex[:8]}.",
        settings=QUICK | named,
        timeout_seconds=10.0,
    )


def put(
    client: KafkaClient,
    place: Place,
    values: Iterable[bytes | None],
    *,
    key: bytes | None = b"plant/area/one",
    headers: Sequence[Header] = (),
) -> None:
    """Append to one partition, whatever the key is."""
    producer = client.producer()
    topic, partition = place
    for value in values:
        producer.produce(
            client.topic(topic),
            value,
            key,
            partition=partition,
            headers=list(headers),
        )
    assert producer.flush(10) == 0


def numbers(*those: int) -> list[bytes]:
    return [str(number).encode() for number in those]


class Told:
    """What a consumer says of being held."""

    def __init__(self) -> None:
        self.said: list[str | None] = []

    def __call__(self, trouble: str | None) -> None:
        self.said.append(trouble)


def taken(consumer: SharedConsumer, place: Place, count: int) -> list[Batch]:
    """The batches of a partition, taken until there are so many records."""
    found: list[Batch] = []

    def enough() -> bool:
        if (batch := consumer.take(*place)) is not None:
            found.append(batch)
        return sum(len(batch.values) for batch in found) >= count

    until(enough, f"{count} records of {place}", pause=0.001)
    return found


def values_of(batches: Iterable[Batch]) -> list[bytes]:
    return [value for batch in batches for value in batch.values]


def offsets_of(batches: Iterable[Batch]) -> list[int]:
    return [offset for batch in batches for offset in batch.offsets]
