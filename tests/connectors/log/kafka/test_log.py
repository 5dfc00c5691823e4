"""The log on Kafka keeps every promise of a log, on a real broker."""

from __future__ import annotations

import time
from collections.abc import Callable
from uuid import uuid4

import pytest
from confluent_kafka import KafkaError

from connectors.log.contract import FRAMES, SCHEMAS, LogError
from connectors.log.kafka.client import KafkaClient
from connectors.log.kafka.log import KafkaLog
from tests.connectors.log.contract_suite import (
    TOPIC,
    LogContract,
    everything,
    home,
    numbered,
)
from tests.connectors.log.factories import KafkaFactory
from tests.connectors.log.kafka.clusters import quick_client
from tests.kafka_broker import KafkaBroker
from tests.kit import until
from tests.mock_kafka import MockCluster, Request

pytestmark = pytest.mark.integration


@pytest.fixture
def log_factory(kafka: KafkaBroker) -> KafkaFactory:
    return KafkaFactory(kafka.bootstrap_servers, f"{uuid4().hex[:8]}.")


class TestKafka(LogContract):
    """The suite of every log."""


def test_records_of_many_keys_are_spread_and_each_key_stays_in_order(
    log_factory: KafkaFactory,
) -> None:
    log = log_factory.open()
    records = [(f"plant/area/m{n % 30}", str(n).encode()) for n in range(300)]
    log.append(FRAMES, records)
    used = [p for p in log.partitions(FRAMES) if log.bounds(FRAMES, p)[1]]
    assert used == [0, 1, 2]
    for key in {key for key, _ in records}:
        own = [r.value for r in everything(log, FRAMES) if r.key == key]
        assert own == [value for k, value in records if k == key]
    log.close()


def test_a_topic_made_anew_has_another_identity(log_factory: KafkaFactory) -> None:
    log = log_factory.open()
    log.append(TOPIC, numbered(1))
    before = log.identity(TOPIC)
    name = log_factory.client.topic(TOPIC)
    admin = log_factory.client.admin()
    admin.delete_topics([name])[name].result(10)
    again = log_factory.open()
    again.append(TOPIC, numbered(1))
    assert again.identity(TOPIC) != before
    again.close()
    log.close()


def test_a_committed_position_is_the_consumer_group_s(
    log_factory: KafkaFactory,
) -> None:
    log = log_factory.open()
    log.append(SCHEMAS, numbered(1, 2, 3))
    log.store_position("archive", SCHEMAS, 0, 2)
    client = log_factory.client
    admin = client.admin()
    groups = admin.list_consumer_groups().result(10).valid
    assert client.group("archive") in {group.group_id for group in groups}
    log.close()


def test_a_cluster_that_is_not_there_is_an_error_in_time() -> None:
    log = KafkaLog(KafkaClient(bootstrap_servers="127.0.0.1:1", timeout_seconds=0.5))
    with pytest.raises(LogError, match=r"Kafka [^ ]+: the cluster does not answer: "):
        log.append(TOPIC, numbered(1))
    log.close()


def test_a_position_that_the_cluster_refuses_is_told_the_next_time(
    mock: MockCluster,
) -> None:
    log = KafkaLog(quick_client(mock.bootstrap_servers))
    mock.push_request_errors(
        Request.OFFSET_COMMIT, KafkaError.GROUP_AUTHORIZATION_FAILED
    )
    with pytest.raises(LogError, match=r"cannot commit archive's position: .*uthoriz"):
        until(lambda: log.commit_soon("archive", TOPIC, 0, 1), "a refusal")
    log.commit_soon("archive", TOPIC, 0, 1)
    log.close()


def test_a_close_waits_a_moment_for_a_commit_that_nobody_answers(
    own_kafka: Callable[..., KafkaBroker],
) -> None:
    broker = own_kafka()
    log = KafkaFactory(broker.bootstrap_servers, "").open()
    log.append(TOPIC, numbered(1))
    log.store_position("archive", TOPIC, home(log), 0)
    broker.kill()
    log.commit_soon("archive", TOPIC, log.partitions(TOPIC)[0], 1)
    started = time.monotonic()
    log.close()
    # By librdkafka's own measure it would be 45 s.
    assert time.monotonic() - started < 10
