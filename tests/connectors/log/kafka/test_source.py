"""Flows that read Kafka: every record once, whatever happens to broker and retention."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import bytewax.operators as op
import pytest
from bytewax.dataflow import Dataflow
from bytewax.testing import TestingSink
from confluent_kafka import Consumer, KafkaError, TopicPartition

from connectors.log.contract import Batch, OffsetGone
from connectors.log.kafka.client import KafkaClient
from connectors.log.kafka.source import Consumers, KafkaSource
from connectors.stop import STOP
from tests.connectors.log.engine import run_flow
from tests.connectors.log.kafka.clusters import (
    Place,
    Told,
    numbers,
    offsets_of,
    put,
    quick_client,
    values_of,
)
from tests.kafka_broker import KafkaBroker
from tests.kit import until
from tests.mock_kafka import MockCluster, Request

pytestmark = pytest.mark.usefixtures("no_stop")

PARTITIONS = range(3)
FROM_START = dict.fromkeys(PARTITIONS, 0)


def refuse(gone: OffsetGone) -> int:
    raise gone


@dataclass
class Run:
    """A flow over topics of one cluster, which stops when it has seen enough."""

    client: KafkaClient
    topics: tuple[str, ...] = ("frames", "events")
    starts: Mapping[int, int] = field(default_factory=FROM_START.copy)
    on_gone: Callable[[OffsetGone], int] = refuse
    told: Told = field(default_factory=Told)
    out: list[Batch] = field(default_factory=list)

    def until(self, records: int, *, workers: int = 1) -> None:
        """Run the flow until so many records have come."""

        def watch(batch: Batch) -> Batch:
            self.out.append(batch)
            STOP.requested = STOP.requested or self.count >= records
            return batch

        flow = Dataflow("reads")
        consumers = Consumers(self.client, "test", held=self.told)
        streams = [
            op.input(
                topic,
                flow,
                KafkaSource(consumers, topic, self.starts, on_gone=self.on_gone),
            )
            for topic in self.topics
        ]
        merged = op.map("watch", op.merge("all", *streams), watch)
        op.output("out", merged, TestingSink([]))
        run_flow(flow, workers=workers)

    @property
    def count(self) -> int:
        return sum(len(batch.values) for batch in self.out)

    def of(self, place: Place) -> list[Batch]:
        """The batches of one partition."""
        return [b for b in self.out if (b.topic, b.partition) == place]


def create(client: KafkaClient, cluster: MockCluster | KafkaBroker) -> None:
    for topic in ("frames", "events"):
        if isinstance(cluster, MockCluster):
            cluster.topic_create(client.topic(topic), partitions=len(PARTITIONS))
        else:
            cluster.create_topic(client.topic(topic), partitions=len(PARTITIONS))


@pytest.fixture
def client(mock: MockCluster) -> KafkaClient:
    client = quick_client(mock.bootstrap_servers)
    create(client, mock)
    return client


@pytest.fixture
def real_client(kafka: KafkaBroker) -> KafkaClient:
    client = quick_client(kafka.bootstrap_servers)
    create(client, kafka)
    return client


PLACES = [(topic, number) for topic in ("frames", "events") for number in PARTITIONS]


@pytest.mark.integration
@pytest.mark.parametrize("workers", [1, 2])
def test_every_record_comes_once_and_in_order_with_any_number_of_workers(
    real_client: KafkaClient, workers: int
) -> None:
    for place in PLACES:
        put(real_client, place, numbers(*range(2000)))
    run = Run(real_client)
    run.until(12_000, workers=workers)
    for place in PLACES:
        assert offsets_of(run.of(place)) == list(range(2000))
        assert values_of(run.of(place)) == numbers(*range(2000))


@pytest.mark.parametrize("workers", [1, 2])
def test_each_worker_has_one_consumer(
    client: KafkaClient, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    makers: list[int] = []
    make = KafkaClient.consumer

    def counted(self: KafkaClient, *arguments: object) -> Consumer:
        makers.append(threading.get_ident())
        return make(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(KafkaClient, "consumer", counted)
    for place in PLACES:
        put(client, place, numbers(1))
    Run(client).until(6, workers=workers)
    assert len(makers) == len(set(makers)) == workers


def test_it_goes_on_where_it_is_told(client: KafkaClient) -> None:
    for number in PARTITIONS:
        put(client, ("frames", number), numbers(*range(10)))
    run = Run(client, topics=("frames",), starts={0: 9, 1: 8, 2: 7})
    run.until(6)
    assert [offsets_of(run.of(("frames", number))) for number in PARTITIONS] == [
        [9],
        [8, 9],
        [7, 8, 9],
    ]


@pytest.mark.integration
def test_what_retention_took_is_asked_about_and_the_rest_is_read(
    real_client: KafkaClient,
) -> None:
    for place in PLACES:
        put(real_client, place, numbers(*range(10)))
    admin = real_client.admin()
    cut = TopicPartition(real_client.topic("frames"), 1, 4)
    (answer,) = admin.delete_records([cut]).values()
    answer.result(10)
    asked: list[OffsetGone] = []

    def on_gone(gone: OffsetGone) -> int:
        asked.append(gone)
        return gone.first + 1  # wherever the answer says

    run = Run(real_client, on_gone=on_gone)
    run.until(55)
    (gone,) = asked
    assert (gone.topic, gone.partition, gone.asked, gone.first) == ("frames", 1, 0, 4)
    assert offsets_of(run.of(("frames", 1))) == [5, 6, 7, 8, 9]
    for place in PLACES:
        if place != ("frames", 1):
            assert offsets_of(run.of(place)) == list(range(10))


def test_a_cluster_that_fails_now_and_then_loses_nothing(
    client: KafkaClient, mock: MockCluster
) -> None:
    for code in (
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError._TRANSPORT,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.REQUEST_TIMED_OUT,
    ):
        mock.push_request_errors(Request.FETCH, code, 0, code)
    for place in PLACES:
        put(client, place, numbers(*range(500)))
    run = Run(client)
    run.until(3000)
    for place in PLACES:
        assert values_of(run.of(place)) == numbers(*range(500))


def test_a_stop_ends_it_at_once_while_the_broker_is_away(
    client: KafkaClient, mock: MockCluster
) -> None:
    mock.set_down()
    run = Run(client)
    asked: list[float] = []

    def ask() -> None:
        until(lambda: run.told.said, "it is held")
        asked.append(time.monotonic())
        STOP.requested = True

    asker = threading.Thread(target=ask)
    asker.start()
    run.until(1)
    asker.join()
    assert time.monotonic() - asked[0] < 8.0
    reason = f"Kafka {client.bootstrap_servers}: no broker can be reached"
    assert run.told.said == [reason]


@pytest.mark.integration
def test_a_broker_that_is_killed_and_started_again_costs_a_flow_nothing(
    own_kafka: Callable[..., KafkaBroker],
) -> None:
    broker = own_kafka()
    client = quick_client(broker.bootstrap_servers)
    create(client, broker)
    for place in PLACES:
        put(client, place, numbers(*range(1000)))
    run = Run(client)

    def disturb() -> None:
        until(lambda: run.count == 6000, "all of them have come")
        broker.kill()
        until(lambda: run.told.said, "it is held")
        broker.start()
        for place in PLACES:
            put(client, place, numbers(*range(1000, 2000)))

    trouble = threading.Thread(target=disturb)
    trouble.start()
    run.until(12_000)
    trouble.join()
    for place in PLACES:
        assert values_of(run.of(place)) == numbers(*range(2000))
    reason = f"Kafka {client.bootstrap_servers}: no broker can be reached"
    assert run.told.said == [reason, None]
