"""The log on Kafka where it is read again and again, as dead letters and schemas are."""

from __future__ import annotations

import time

import pytest
from confluent_kafka import KafkaError

from connectors.log.contract import SCHEMAS, LogError
from connectors.log.kafka.log import KafkaLog
from tests.connectors.log.contract_suite import numbered
from tests.connectors.log.kafka.clusters import numbers, put, quick_client
from tests.kafka_broker import KafkaBroker
from tests.kit import until
from tests.mock_kafka import MockCluster, Request


def test_a_record_is_read_though_the_end_was_heard_of_before_it(
    mock: MockCluster,
) -> None:
    client = quick_client(mock.bootstrap_servers, fetch_error_backoff_ms=500)
    mock.topic_create(client.topic(SCHEMAS))
    put(client, (SCHEMAS, 0), numbers(0))
    log = KafkaLog(client)
    assert len(log.read(SCHEMAS, 0, 0, 10)) == 1
    # Now it hears that the topic ends here, and then nothing for half a second.
    heard = time.monotonic() + 0.5
    until(lambda: time.monotonic() > heard, "it has heard")
    mock.push_request_errors(Request.FETCH, KafkaError.NOT_LEADER_FOR_PARTITION)
    put(client, (SCHEMAS, 0), numbers(1))
    assert [record.value for record in log.read(SCHEMAS, 0, 1, 10)] == [b"1"]
    log.close()


@pytest.mark.integration
def test_a_record_is_read_as_soon_as_it_was_appended(kafka: KafkaBroker) -> None:
    client = quick_client(kafka.bootstrap_servers)
    reader, writer = KafkaLog(client), KafkaLog(client)
    reader.append(SCHEMAS, numbered(0))
    found = [reader.read(SCHEMAS, 0, 0, 10)]
    for number in range(1, 150):
        writer.append(SCHEMAS, numbered(number))
        found.append(reader.read(SCHEMAS, 0, number, 10))
    assert [len(records) for records in found] == [1] * 150
    reader.close()
    writer.close()


def test_a_broker_that_goes_away_is_an_error_and_comes_back(mock: MockCluster) -> None:
    client = quick_client(mock.bootstrap_servers, socket_timeout_ms=1000)
    mock.topic_create(client.topic(SCHEMAS))
    put(client, (SCHEMAS, 0), numbers(1))
    log = KafkaLog(client)
    assert [record.value for record in log.read(SCHEMAS, 0, 0, 10)] == [b"1"]
    log.close()
    mock.set_down()
    hasty = KafkaLog(
        type(client)(
            bootstrap_servers=client.bootstrap_servers,
            prefix=client.prefix,
            settings=client.settings,
            timeout_seconds=0.5,
        )
    )
    with pytest.raises(LogError, match=r"Kafka [^ ]+: the cluster does not answer: "):
        hasty.read(SCHEMAS, 0, 0, 10)
    mock.set_up()

    def read() -> list[bytes]:
        try:
            return [record.value for record in hasty.read(SCHEMAS, 0, 0, 10)]
        except LogError:
            return []

    assert until(read, "the record") == [b"1"]
    hasty.close()


def test_a_topic_that_may_not_be_seen_is_an_error_and_no_empty_topic(
    mock: MockCluster,
) -> None:
    client = quick_client(mock.bootstrap_servers)
    mock.topic_create(client.topic(SCHEMAS))
    log = KafkaLog(client)
    until(lambda: log.partitions(SCHEMAS) == (0,), "it is known")
    log.close()
    another = KafkaLog(client)
    refusals = [KafkaError.TOPIC_AUTHORIZATION_FAILED] * 4
    mock.push_request_errors(Request.METADATA, *refusals)
    with pytest.raises(LogError, match="Topic authorization failed"):
        another.partitions(SCHEMAS)
    another.close()
