"""One consumer for many partitions: what it hands over, and what it says of trouble."""

from __future__ import annotations

import time
from itertools import cycle

import pytest
from confluent_kafka import KafkaError, TopicPartition

from connectors.log.contract import LogError, OffsetGone
from connectors.log.kafka import consumer as kafka_consumer
from connectors.log.kafka.client import KafkaClient
from connectors.log.kafka.columns import Columns
from connectors.log.kafka.consumer import SharedConsumer
from tests.connectors.log.kafka.clusters import (
    Told,
    numbers,
    offsets_of,
    put,
    quick_client,
    taken,
    values_of,
)
from tests.kafka_broker import KafkaBroker
from tests.kit import until
from tests.mock_kafka import MockCluster, Request

P, Q = ("frames", 0), ("events", 0)


@pytest.fixture
def client(mock: MockCluster) -> KafkaClient:
    client = quick_client(mock.bootstrap_servers)
    for topic in ("frames", "events"):
        mock.topic_create(client.topic(topic), partitions=2)
    return client


@pytest.fixture
def real_client(kafka: KafkaBroker) -> KafkaClient:
    client = quick_client(kafka.bootstrap_servers)
    for topic in ("frames", "events"):
        kafka.create_topic(client.topic(topic), partitions=2)
    return client


def delete_before(client: KafkaClient, topic: str, partition: int, offset: int) -> None:
    place = TopicPartition(client.topic(topic), partition, offset)
    admin = client.admin()  # kept until it has been answered
    (answer,) = admin.delete_records([place]).values()
    answer.result(10)


def test_partitions_of_several_topics_are_read_by_one_consumer_each_in_its_order(
    client: KafkaClient,
) -> None:
    places = [(topic, number) for topic in ("frames", "events") for number in (0, 1)]
    for start, place in enumerate(places):
        put(client, place, numbers(*range(start, 4000, 4)))
    consumer = SharedConsumer(client, "test", held=Told())
    for place in places:
        consumer.assign(*place, 0)
    for start, place in enumerate(places):
        batches = taken(consumer, place, 1000)
        assert {(batch.topic, batch.partition) for batch in batches} == {place}
        assert offsets_of(batches) == list(range(1000))
        assert values_of(batches) == numbers(*range(start, 4000, 4))
    for place in places:
        consumer.release(*place)


def test_it_begins_where_it_is_told_and_goes_on_where_another_ended(
    client: KafkaClient,
) -> None:
    put(client, P, numbers(*range(10)))
    consumer = SharedConsumer(client, "test", held=Told())
    consumer.assign(*P, 7)
    (batch,) = taken(consumer, P, 3)
    assert (list(batch.offsets), batch.next_offset) == ([7, 8, 9], 10)
    consumer.release(*P)
    put(client, P, numbers(10, 11))
    another = SharedConsumer(client, "test", held=Told())
    another.assign(*P, batch.next_offset)
    assert offsets_of(taken(another, P, 2)) == [10, 11]
    another.release(*P)


def test_a_partition_that_is_assigned_again_is_read_from_there(
    client: KafkaClient,
) -> None:
    put(client, P, numbers(*range(10)))
    consumer = SharedConsumer(client, "test", held=Told())
    consumer.assign(*P, 0)
    taken(consumer, P, 10)
    consumer.assign(*P, 4)
    assert offsets_of(taken(consumer, P, 6)) == [4, 5, 6, 7, 8, 9]
    consumer.release(*P)


def test_a_partition_that_is_released_leaves_the_others_alone(
    client: KafkaClient,
) -> None:
    consumer = SharedConsumer(client, "test", held=Told())
    consumer.assign(*P, 0)
    consumer.assign(*Q, 0)
    consumer.release(*P)
    put(client, Q, numbers(1))
    assert values_of(taken(consumer, Q, 1)) == [b"1"]
    consumer.release(*Q)


def test_messages_of_strangers_may_lack_key_and_value(client: KafkaClient) -> None:
    put(client, P, [b"1", None], key=None)
    put(client, P, [b"2", None], key=b"\xff")
    consumer = SharedConsumer(client, "test", held=Told())
    consumer.assign(*P, 0)
    batches = taken(consumer, P, 4)
    keys = [key for batch in batches for key in batch.keys]
    assert keys == ["", "", "\N{REPLACEMENT CHARACTER}", "\N{REPLACEMENT CHARACTER}"]
    assert values_of(batches) == [b"1", b"", b"2", b""]
    consumer.release(*P)


def test_asking_anew_in_the_midst_of_a_fetch_loses_nothing(
    client: KafkaClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(client, P, numbers(*range(9000)))
    consumer = SharedConsumer(client, "test", held=Told())
    consumer.assign(*P, 0)
    fetch_piece, sizes = consumer._fetch_piece, cycle([300, 170, 90, 410, 230, 77])
    due = cycle([False, False, True, False, False, False, False, False, False])

    def interrupted(columns: dict[tuple[str, int], Columns]) -> int:
        # The client calls back in the midst of a consume: trouble is long past.
        monkeypatch.setattr(kafka_consumer, "_PIECE", next(sizes))
        if (count := fetch_piece(columns)) and next(due):
            consumer._since[P] = time.monotonic() - 100
            consumer._watch('{"brokers": {"1": {"state": "UP"}}}')
        return count

    monkeypatch.setattr(consumer, "_fetch_piece", interrupted)
    assert offsets_of(taken(consumer, P, 9000)) == list(range(9000))
    consumer.release(*P)


def test_an_idle_partition_that_is_asked_anew_goes_on_where_it_was(
    client: KafkaClient,
) -> None:
    put(client, P, numbers(*range(3000)))
    consumer = SharedConsumer(client, "test", held=Told())
    consumer.assign(*P, 0)
    assert offsets_of(taken(consumer, P, 3000)) == list(range(3000))
    consumer._since[P] = time.monotonic() - 100
    consumer._watch('{"brokers": {"1": {"state": "UP"}}}')
    put(client, P, numbers(*range(3000, 6000)))
    assert offsets_of(taken(consumer, P, 3000)) == list(range(3000, 6000))
    consumer.release(*P)


def test_nothing_to_take_is_said_at_once(client: KafkaClient) -> None:
    consumer = SharedConsumer(client, "test", held=Told())
    consumer.assign(*P, 0)
    quickest = 1.0
    for _ in range(100):
        started = time.perf_counter()
        assert consumer.take(*P) is None
        quickest = min(quickest, time.perf_counter() - started)
    assert quickest < 0.005
    consumer.release(*P)


def test_a_broker_that_is_away_at_the_start_is_said_once_and_waited_for(
    client: KafkaClient, mock: MockCluster
) -> None:
    put(client, P, numbers(1, 2, 3))
    mock.set_down()
    told = Told()
    consumer = SharedConsumer(client, "test", held=told)
    consumer.assign(*P, 0)
    until(lambda: consumer.take(*P) or told.said, "it says so", pause=0.001)
    ended = time.monotonic() + 2.5
    while time.monotonic() < ended:
        assert consumer.take(*P) is None
    expected = f"Kafka {client.bootstrap_servers}: no broker can be reached"
    assert told.said == [expected]
    mock.set_up()
    assert values_of(taken(consumer, P, 3)) == [b"1", b"2", b"3"]
    until(lambda: consumer.take(*P) or told.said[1:], "it says so", pause=0.001)
    assert told.said == [expected, None]
    consumer.release(*P)


def test_a_broker_that_goes_away_in_flight_loses_nothing(
    client: KafkaClient, mock: MockCluster
) -> None:
    told = Told()
    consumer = SharedConsumer(client, "test", held=told)
    consumer.assign(*P, 0)
    for round_ in range(3):
        put(client, P, numbers(round_))
        assert values_of(taken(consumer, P, 1)) == numbers(round_)
        mock.set_down()
        until(
            lambda: consumer.take(*P) or len(told.said) % 2, "it says so", pause=0.001
        )
        mock.set_up()
        until(
            lambda: consumer.take(*P) or not len(told.said) % 2,
            "it is over",
            pause=0.001,
        )
    reason = f"Kafka {client.bootstrap_servers}: no broker can be reached"
    assert told.said == [reason, None] * 3
    consumer.release(*P)


@pytest.mark.parametrize(
    "code",
    [
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.REPLICA_NOT_AVAILABLE,
        KafkaError.KAFKA_STORAGE_ERROR,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.UNKNOWN,
        KafkaError._TRANSPORT,
    ],
)
def test_errors_that_pass_cost_nothing(
    client: KafkaClient, mock: MockCluster, code: int
) -> None:
    told = Told()
    consumer = SharedConsumer(client, "test", held=told)
    consumer.assign(*P, 0)
    put(client, P, numbers(0))
    assert values_of(taken(consumer, P, 1)) == [b"0"]
    mock.push_request_errors(Request.FETCH, *[code] * 3)
    put(client, P, numbers(*range(1, 100)))
    assert values_of(taken(consumer, P, 99)) == numbers(*range(1, 100))
    # Whatever was said of it is taken back.
    assert told.said[-1:] in ([], [None])
    consumer.release(*P)


def test_what_had_come_before_a_failure_is_handed_over_first(
    client: KafkaClient, mock: MockCluster
) -> None:
    put(client, P, numbers(*range(10)))
    put(client, Q, numbers(0))
    consumer = SharedConsumer(client, "test", held=Told())
    consumer.assign(*P, 0)
    consumer.assign(*Q, 0)
    taken(consumer, Q, 1)
    # One request may ask for both partitions, or two for one each.
    mock.push_request_errors(Request.FETCH, *[KafkaError.OFFSET_OUT_OF_RANGE] * 2)
    with pytest.raises(LogError, match=r"events-0"):
        until(lambda: consumer.take(*Q), "the failure", pause=0.001)
    assert values_of(taken(consumer, P, 10)) == numbers(*range(10))
    with pytest.raises(LogError, match=r"frames-0"):
        until(lambda: consumer.take(*P), "the failure", pause=0.001)
    consumer.release(*P)
    consumer.release(*Q)


def test_a_position_beyond_the_end_is_another_log_s(client: KafkaClient) -> None:
    put(client, P, numbers(*range(3)))
    consumer = SharedConsumer(client, "test", held=Told())
    consumer.assign(*P, 4)
    name = client.topic("frames")
    with pytest.raises(
        LogError, match=rf"{name}-0: offset 4 lay beyond the end, which is 3 now: "
    ):
        until(lambda: consumer.take(*P), "the failure", pause=0.001)
    consumer.release(*P)


def test_the_bounds_of_a_failure_are_asked_again_where_the_broker_goes_away(
    client: KafkaClient, mock: MockCluster
) -> None:
    put(client, P, numbers(*range(3)))
    consumer = SharedConsumer(client, "test", held=Told())
    consumer.assign(*P, 4)
    transport = [KafkaError._TRANSPORT, KafkaError.REQUEST_TIMED_OUT]
    mock.push_request_errors(Request.LIST_OFFSETS, *transport * 2)
    with pytest.raises(LogError, match="lay beyond the end, which is 3 now"):
        until(lambda: consumer.take(*P), "the failure", pause=0.001)
    consumer.release(*P)


def test_it_ends_at_once_while_the_broker_is_away(
    client: KafkaClient, mock: MockCluster
) -> None:
    told = Told()
    consumer = SharedConsumer(client, "test", held=told)
    consumer.assign(*P, 0)
    consumer.assign(*Q, 0)
    mock.set_down()
    until(lambda: consumer.take(*P) or told.said, "it says so", pause=0.001)
    started = time.perf_counter()
    consumer.release(*P)
    consumer.release(*Q)
    # A close that waits for the broker takes the session's time-out: 45 s.
    assert time.perf_counter() - started < 5.0


@pytest.mark.integration
def test_what_retention_took_is_said_and_the_others_flow(
    real_client: KafkaClient,
) -> None:
    put(real_client, P, numbers(*range(10)))
    put(real_client, Q, numbers(*range(10)))
    delete_before(real_client, *P, 6)
    consumer = SharedConsumer(real_client, "test", held=Told())
    consumer.assign(*P, 2)
    consumer.assign(*Q, 2)
    assert offsets_of(taken(consumer, Q, 8)) == list(range(2, 10))
    with pytest.raises(OffsetGone) as gone:
        until(lambda: consumer.take(*P), "the failure", pause=0.001)
    asked = gone.value
    assert (asked.topic, asked.partition, asked.asked, asked.first) == (
        "frames",
        0,
        2,
        6,
    )
    consumer.assign(*P, asked.first)
    assert offsets_of(taken(consumer, P, 4)) == [6, 7, 8, 9]
    put(real_client, Q, numbers(10))
    assert offsets_of(taken(consumer, Q, 1)) == [10]
    consumer.release(*P)
    consumer.release(*Q)
