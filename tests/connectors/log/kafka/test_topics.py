"""Topics: made once, and held against what they should be."""

from __future__ import annotations

import threading

import pytest
from confluent_kafka import KafkaException

from connectors.log.contract import DEAD, DERIVED, EVENTS, FRAMES, SCHEMAS, LogError
from connectors.log.kafka.client import KafkaClient
from connectors.log.kafka.topics import TopicRules, TopicState, look, make
from tests.connectors.log.kafka.clusters import quick_client
from tests.kafka_broker import KafkaBroker
from tests.kit import until

RULES = TopicRules(partitions=3, retention_hours=2.0)
HOURS_MS = {"retention.ms": "7200000", "cleanup.policy": "delete"}


def state(**settings: str) -> TopicState:
    named = {name.replace("_", "."): value for name, value in settings.items()}
    return TopicState(
        plan=RULES.plan(FRAMES),
        partitions=3,
        replication=1,
        settings=HOURS_MS | named,
    )


def test_frames_and_derived_values_are_spread_and_schemas_kept() -> None:
    plans = {plan.name: plan for plan in RULES.plans()}
    assert list(plans) == [SCHEMAS, FRAMES, EVENTS, DERIVED, DEAD]
    assert [plans[name].partitions for name in plans] == [1, 3, 1, 3, 1]
    assert plans[FRAMES].settings == HOURS_MS
    assert plans[SCHEMAS].settings == {
        "retention.ms": "-1",
        "cleanup.policy": "compact",
    }


def test_a_topic_as_planned_is_neither_wrong_nor_different() -> None:
    assert (state().wrong, state().differs) == ((), ())


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        (
            {"cleanup_policy": "compact"},
            "cleanup.policy is 'compact', must be 'delete'",
        ),
        (
            {"message_timestamp_type": "LogAppendTime"},
            "message.timestamp.type must be 'CreateTime'",
        ),
        (
            {"max_message_bytes": "2000"},
            "max.message.bytes is 2000, must be at least 1048588",
        ),
    ],
)
def test_what_would_lose_records_or_their_time_is_wrong(
    settings: dict[str, str], wrong: str
) -> None:
    assert state(**settings).wrong == (wrong,)


def test_what_was_decided_otherwise_is_a_difference() -> None:
    found = TopicState(
        plan=RULES.plan(FRAMES),
        partitions=8,
        replication=3,
        settings=HOURS_MS | {"retention.ms": "1000"},
    )
    assert found.wrong == ()
    assert found.differs == (
        "8 partitions, planned 3",
        "replication 3, planned 1",
        "retention.ms is 1000, planned 7200000",
    )


@pytest.mark.integration
def test_topics_are_made_once_as_planned(kafka: KafkaBroker) -> None:
    client = quick_client(kafka.bootstrap_servers)
    plans = RULES.plans()
    assert [s.wrong for s in look(client, plans)] == [("does not exist",)] * 5
    assert set(make(client, plans)) == {client.topic(plan.name) for plan in plans}
    found = look(client, plans)
    assert [(s.wrong, s.differs) for s in found] == [((), ())] * 5
    assert make(client, plans) == ()


@pytest.mark.integration
def test_several_processes_may_make_the_same_topics_at_once(
    kafka: KafkaBroker,
) -> None:
    client = quick_client(kafka.bootstrap_servers)
    made: list[str] = []
    threads = [
        threading.Thread(target=lambda: made.extend(make(client, RULES.plans())))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == sorted(client.topic(p.name) for p in RULES.plans())


@pytest.mark.integration
def test_a_topic_of_another_make_shows_what_is_wrong_with_it(
    kafka: KafkaBroker,
) -> None:
    client = quick_client(kafka.bootstrap_servers)
    kafka.create_topic(client.topic(SCHEMAS), partitions=2)
    plans = [RULES.plan(SCHEMAS)]
    until(lambda: look(client, plans)[0].exists, "the broker has heard of it")
    (found,) = look(client, plans)
    assert found.wrong == ("cleanup.policy is 'delete', must be 'compact'",)
    assert found.differs == (
        "2 partitions, planned 1",
        "retention.ms is 604800000, planned -1",
    )


@pytest.mark.integration
def test_what_the_cluster_refuses_is_an_error_with_the_topic(
    kafka: KafkaBroker,
) -> None:
    client = quick_client(kafka.bootstrap_servers)
    plan = TopicRules(replication=3).plan(FRAMES)
    name = client.topic(FRAMES)
    with pytest.raises(LogError, match=rf"topic {name} cannot be made: .*replication"):
        make(client, [plan])


def test_a_cluster_that_does_not_answer_is_an_error() -> None:
    client = KafkaClient(bootstrap_servers="127.0.0.1:1", timeout_seconds=0.3)
    with pytest.raises(LogError, match=r"Kafka [^ ]+: topics cannot be listed: "):
        look(client, RULES.plans())
    with pytest.raises(LogError, match=r"cannot be made"):
        make(client, RULES.plans())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("no.such.setting", 1),
        ("socket.timeout.ms", "soon"),
        ("max.poll.interval.ms", 500),
        ("max.in.flight", 100),
    ],
)
def test_a_setting_that_any_kind_of_client_refuses_is_found_without_a_cluster(
    name: str, value: str | int
) -> None:
    client = KafkaClient(bootstrap_servers="127.0.0.1:1", settings={name: value})
    with pytest.raises(KafkaException):
        client.check()


def test_right_settings_pass_without_a_cluster() -> None:
    KafkaClient(
        bootstrap_servers="127.0.0.1:1",
        settings={"socket.keepalive.enable": True, "metadata.max.age.ms": 60_000},
    ).check()
