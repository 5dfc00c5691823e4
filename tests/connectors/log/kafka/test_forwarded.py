"""What of an edge's log stands in Kafka already, found among what others wrote."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from confluent_kafka import Producer, TopicPartition

from connectors.log.contract import FRAMES, LogError
from connectors.log.kafka.client import KafkaClient
from connectors.log.kafka.forwarded import edge_header, forwarded, tail_starts
from connectors.log.kafka.log import KafkaLog
from tests.connectors.log.kafka.clusters import QUICK, numbers, put, quick_client
from tests.kafka_broker import KafkaBroker
from tests.mock_kafka import MockCluster

pytestmark = pytest.mark.integration

EDGE = "0b9c4f6e-edge"
READER = f"forward.{EDGE}"


@pytest.fixture
def client(kafka: KafkaBroker) -> KafkaClient:
    client = quick_client(kafka.bootstrap_servers)
    kafka.create_topic(client.topic(FRAMES), partitions=2)
    return client


@pytest.fixture
def log(client: KafkaClient) -> Iterator[KafkaLog]:
    log = KafkaLog(client)
    yield log
    log.close()


def put_own(client: KafkaClient, partition: int, *offsets: int) -> None:
    producer = client.producer()
    for offset in offsets:
        producer.produce(
            client.topic(FRAMES),
            b"x",
            b"key",
            partition=partition,
            headers=edge_header(EDGE, offset),  # type: ignore[arg-type] # a list is variant
        )
    assert producer.flush(10) == 0


def test_its_own_offsets_are_found_among_the_others(
    client: KafkaClient, log: KafkaLog
) -> None:
    put(client, (FRAMES, 0), numbers(1, 2))
    put_own(client, 0, 5, 6)
    put(client, (FRAMES, 1), [b"x"], headers=edge_header("another-edge", 7))
    put(client, (FRAMES, 1), [b"x"], headers=edge_header(f"{EDGE}-2", 8))
    put_own(client, 1, 9)
    for strange in (b"", b"junk", f"{EDGE}/".encode(), f"{EDGE}/x".encode(), b"\xff"):
        put(client, (FRAMES, 0), [None], key=None, headers=[("edge_offset", strange)])
    put(client, (FRAMES, 0), [b"x"], headers=[("other", f"{EDGE}/10".encode())])
    found = forwarded(client, log, FRAMES, {0: 0, 1: 0}, log_id=EDGE)
    assert found == {5, 6, 9}


def test_only_the_tails_are_read(client: KafkaClient, log: KafkaLog) -> None:
    put_own(client, 0, *range(10))
    put_own(client, 1, *range(10, 20))
    found = forwarded(client, log, FRAMES, {0: 7, 1: 10}, log_id=EDGE)
    assert found == {7, 8, 9}


def test_nothing_is_found_in_an_empty_topic(client: KafkaClient, log: KafkaLog) -> None:
    assert forwarded(client, log, FRAMES, {0: 0, 1: 0}, log_id=EDGE) == set()


def test_a_tail_begins_at_what_was_committed(
    client: KafkaClient, log: KafkaLog
) -> None:
    put_own(client, 0, *range(10))
    put_own(client, 1, *range(10))
    log.store_position(READER, FRAMES, 0, 4)
    log.store_position(READER, FRAMES, 1, 10)
    starts = tail_starts(client, log, READER, FRAMES, since_us=0)
    assert starts == {0: 4, 1: 10}


def test_without_a_commit_a_tail_begins_at_the_first_record_since_a_time(
    client: KafkaClient, log: KafkaLog
) -> None:
    hour_ago_ms = time.time_ns() // 1_000_000 - 3_600_000
    producer = client.producer()
    for number in range(4):
        producer.produce(
            client.topic(FRAMES),
            str(number).encode(),
            b"key",
            partition=0,
            timestamp=hour_ago_ms + number * 1000,
        )
    assert producer.flush(10) == 0

    def first_since(ms: int) -> dict[int, int]:
        return tail_starts(client, log, READER, FRAMES, since_us=ms * 1000)

    # Nothing stands in the second one: its tail is empty.
    assert first_since(hour_ago_ms + 1500) == {0: 2, 1: 0}
    assert first_since(hour_ago_ms + 9000) == {0: 4, 1: 0}
    # A clock before the epoch is no time that Kafka knows.
    assert first_since(-5000) == {0: 0, 1: 0}


def test_a_commit_that_retention_has_passed_begins_at_what_is_left(
    client: KafkaClient, log: KafkaLog
) -> None:
    put_own(client, 0, *range(10))
    log.store_position(READER, FRAMES, 0, 2)
    admin = client.admin()
    cut = TopicPartition(client.topic(FRAMES), 0, 6)
    (answer,) = admin.delete_records([cut]).values()
    answer.result(10)
    starts = tail_starts(client, log, READER, FRAMES, since_us=0)
    assert starts[0] == 6
    found = forwarded(client, log, FRAMES, starts, log_id=EDGE)
    assert found == {6, 7, 8, 9}


def test_offsets_without_a_record_do_not_end_the_search(
    client: KafkaClient, log: KafkaLog, kafka: KafkaBroker
) -> None:
    # The end of a transaction takes an offset of its own, as a compacted record leaves
    # one; here one stands in the middle and one at the very end.
    stranger = Producer(
        {
            "bootstrap.servers": kafka.bootstrap_servers,
            "transactional.id": client.prefix,
            **QUICK,
        }
    )
    stranger.init_transactions(20)
    for owned in ((1, 2), (3,)):
        put_own(client, 0, *owned)
        stranger.begin_transaction()
        stranger.produce(client.topic(FRAMES), b"x", b"key", partition=0)
        stranger.commit_transaction(20)
    assert log.bounds(FRAMES, 0) == (0, 7)
    assert forwarded(client, log, FRAMES, {0: 0, 1: 0}, log_id=EDGE) == {1, 2, 3}


def test_a_cluster_that_goes_away_is_an_error_in_time(mock: MockCluster) -> None:
    client = KafkaClient(
        bootstrap_servers=mock.bootstrap_servers, settings=QUICK, timeout_seconds=1.0
    )
    mock.topic_create(FRAMES)
    put_own(client, 0, 1)
    log = KafkaLog(client)
    assert forwarded(client, log, FRAMES, {0: 0}, log_id=EDGE) == {1}
    mock.set_down()
    with pytest.raises(LogError, match=r"Kafka [^ ]+: "):
        forwarded(client, log, FRAMES, {0: 0}, log_id=EDGE)
    log.close()
