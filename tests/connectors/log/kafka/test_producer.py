"""Records to Kafka in order: nothing lost, nothing twice, every error told."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import KafkaError

from connectors.log.contract import LogError
from connectors.log.kafka.client import KafkaClient
from connectors.log.kafka.log import KafkaLog
from connectors.log.kafka.producer import OrderedProducer, TooLarge
from tests.connectors.log.contract_suite import everything
from tests.connectors.log.kafka.clusters import quick_client
from tests.kafka_broker import KafkaBroker
from tests.kit import until
from tests.mock_kafka import MockCluster, Request

KEY = "plant/area/one"
TOPIC = "frames"


def patient() -> bool:
    return True


def times(count: int) -> Callable[[], bool]:
    """Wait so many times, then give up."""
    answers = iter([True] * count)
    return lambda: next(answers, False)


def values(client: KafkaClient) -> list[bytes]:
    log = KafkaLog(client)
    try:
        return [record.value for record in everything(log, TOPIC)]
    finally:
        log.close()


@pytest.fixture
def client(mock: MockCluster) -> KafkaClient:
    client = quick_client(mock.bootstrap_servers)
    mock.topic_create(client.topic(TOPIC))
    return client


@pytest.fixture
def producer(client: KafkaClient) -> Iterator[OrderedProducer]:
    producer = OrderedProducer(client)
    yield producer
    producer.close()


def send(producer: OrderedProducer, *those: bytes, key: str = KEY) -> None:
    for value in those:
        assert producer.send(TOPIC, key, value, [], waiting=patient)


def numbered(start: int, end: int) -> list[bytes]:
    return [str(number).encode() for number in range(start, end)]


def test_what_was_flushed_is_in_the_log_and_its_end_is_known(
    client: KafkaClient, producer: OrderedProducer
) -> None:
    send(producer, *numbered(0, 1000))
    assert producer.flush(waiting=patient)
    assert values(client) == numbered(0, 1000)
    assert producer.ends == {(client.topic(TOPIC), 0): 1000}


@pytest.mark.parametrize(
    "code",
    [
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.NOT_ENOUGH_REPLICAS,
        KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError._TRANSPORT,
    ],
)
def test_an_error_that_passes_costs_neither_a_record_nor_the_order(
    client: KafkaClient, mock: MockCluster, producer: OrderedProducer, code: int
) -> None:
    mock.push_request_errors(Request.PRODUCE, code, 0, code, code)
    for start in range(0, 1000, 100):
        send(producer, *numbered(start, start + 100))
        producer.poll()
    assert producer.flush(waiting=patient)
    assert values(client) == numbered(0, 1000)


def test_a_broker_that_is_away_is_told_and_waited_for(
    client: KafkaClient, mock: MockCluster, producer: OrderedProducer
) -> None:
    send(producer, *numbered(0, 10))
    assert producer.flush(waiting=patient)
    assert producer.trouble is None
    mock.set_down()
    send(producer, *numbered(10, 20))
    assert not producer.flush(waiting=lambda: producer.trouble is None)
    reason = f"Kafka {client.bootstrap_servers}: no broker can be reached"
    assert producer.trouble == reason
    mock.set_up()
    assert producer.flush(waiting=patient)
    assert producer.trouble is None
    assert values(client) == numbered(0, 20)


def test_a_full_queue_waits_until_it_is_told_to_give_up(
    client: KafkaClient, mock: MockCluster, producer: OrderedProducer
) -> None:
    mock.set_down()
    sent = 0
    while producer.send(TOPIC, KEY, str(sent).encode(), [], waiting=times(3)):
        sent += 1
    assert sent == 100_000
    mock.set_up()
    # It goes on where it was refused.
    send(producer, *numbered(sent, sent + 10))
    assert producer.flush(waiting=patient)
    assert producer.ends == {(client.topic(TOPIC), 0): sent + 10}


def test_a_record_larger_than_the_client_takes_is_too_large_at_once(
    producer: OrderedProducer, client: KafkaClient
) -> None:
    with pytest.raises(TooLarge, match="Message size too large"):
        producer.send(TOPIC, KEY, bytes(1_000_001), [], waiting=patient)
    # It was never taken, so that the next ones go their way.
    send(producer, b"small")
    assert producer.flush(waiting=patient)
    assert values(client) == [b"small"]


def test_a_topic_that_is_not_there_is_told_at_the_flush_and_ever_after(
    kafka: KafkaBroker,
) -> None:
    client = quick_client(
        kafka.bootstrap_servers, topic_metadata_propagation_max_ms=200
    )
    producer = OrderedProducer(client)
    send(producer, b"1")
    with pytest.raises(LogError, match=r"a record was not delivered: .*nknown topic"):
        producer.flush(waiting=patient)
    with pytest.raises(LogError, match="a record was not delivered"):
        producer.send(TOPIC, KEY, b"2", [], waiting=patient)
    with pytest.raises(LogError, match="a record was not delivered"):
        producer.poll()
    producer.close()


@pytest.mark.integration
def test_a_record_larger_than_its_topic_takes_is_told_at_the_flush_and_ever_after(
    kafka: KafkaBroker,
) -> None:
    client = quick_client(kafka.bootstrap_servers)
    kafka.create_topic(client.topic(TOPIC), max_message_bytes="2000")
    producer = OrderedProducer(client)
    send(producer, os.urandom(10_000))
    with pytest.raises(LogError, match=r"a record was not delivered: .*too large"):
        producer.flush(waiting=patient)
    with pytest.raises(LogError, match=r"a record was not delivered: .*too large"):
        producer.send(TOPIC, KEY, b"2", [], waiting=patient)
    producer.close()


@pytest.mark.integration
def test_a_close_gives_up_at_once_while_the_broker_is_away(
    client: KafkaClient, mock: MockCluster
) -> None:
    producer = OrderedProducer(client)
    mock.set_down()
    send(producer, *numbered(0, 1000))
    closing = threading.Thread(target=producer.close)
    closing.start()
    closing.join(2.0)
    assert not closing.is_alive()


@pytest.mark.integration
def test_a_broker_killed_under_load_loses_nothing_and_keeps_the_order_of_each_key(
    own_kafka: Callable[..., KafkaBroker],
) -> None:
    broker = own_kafka()
    client = quick_client(broker.bootstrap_servers)
    broker.create_topic(client.topic(TOPIC), partitions=3)
    producer = OrderedProducer(client)
    acknowledged = [0]
    over = threading.Event()

    def disturb() -> None:
        for _ in range(3):
            before = acknowledged[0]
            until(lambda: acknowledged[0] > before + 2000, "some more", pause=0.001)  # noqa: B023
            broker.kill()
            broker.start()
        over.set()

    trouble = threading.Thread(target=disturb)
    trouble.start()
    sent = 0
    while not over.is_set() or sent < 20_000:
        for number in range(sent, sent + 50):
            key = f"plant/area/m{number % 7}"
            value = str(number).encode()
            assert producer.send(TOPIC, key, value, [], waiting=patient)
        sent += 50
        producer.poll()
        acknowledged[0] = sum(producer.ends.values())
    assert producer.flush(waiting=patient)
    trouble.join()
    log = KafkaLog(client)
    found = everything(log, TOPIC)
    for meter in range(7):
        own = [int(r.value) for r in found if r.key == f"plant/area/m{meter}"]
        assert own == list(range(meter, sent, 7))
    assert len(found) == sent
    log.close()
    producer.close()
