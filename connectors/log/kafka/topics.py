"""The topics there must be, made where they are not, and held against what there is."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # not in its __all__
    AdminClient,
    ConfigResource,
    NewTopic,
    ResourceType,
    TopicMetadata,
)

from connectors.log.contract import DEAD, EVENTS, SCHEMAS, TOPICS, LogError
from connectors.log.kafka.client import KafkaClient

__all__ = ["TopicPlan", "TopicRules", "TopicState", "look", "make", "topic_id"]

T = TypeVar("T")

_WHOLE = {SCHEMAS, EVENTS, DEAD}
_FOR_EVER = "-1"
_LOOK_SECONDS = 0.02
# Kafka's own default: room for a whole batch of the client's, 1,000,000 bytes.
_BATCH_BYTES = 1_048_588


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicPlan:
    """A topic as it should be; ``name`` is without the cluster's prefix."""

    name: str
    partitions: int
    replication: int
    settings: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicState:
    """A topic as it is; ``partitions`` is 0 where it does not exist.

    ``wrong`` breaks a promise of the log; ``differs`` is what was decided otherwise.
    """

    plan: TopicPlan
    partitions: int = 0
    replication: int = 0
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def exists(self) -> bool:
        """Whether it is there at all."""
        return self.partitions > 0

    @property
    def wrong(self) -> tuple[str, ...]:
        """What must be mended before records are safe in it."""
        return tuple(self._wrong())

    @property
    def differs(self) -> tuple[str, ...]:
        """What is not as planned and harms nothing."""
        return tuple(self._differs())

    def _wrong(self) -> Iterator[str]:
        if not self.exists:
            yield "does not exist"
            return
        wanted = self.plan.settings["cleanup.policy"]
        found = self.settings.get("cleanup.policy", "")
        if found != wanted:
            yield f"cleanup.policy is {found!r}, must be {wanted!r}"
        if self.settings.get("message.timestamp.type", "CreateTime") != "CreateTime":
            yield "message.timestamp.type must be 'CreateTime'"
        largest = self.settings.get("max.message.bytes", str(_BATCH_BYTES))
        if int(largest) < _BATCH_BYTES:
            yield f"max.message.bytes is {largest}, must be at least {_BATCH_BYTES}"

    def _differs(self) -> Iterator[str]:
        if not self.exists:
            return
        if self.partitions != self.plan.partitions:
            yield f"{self.partitions} partitions, planned {self.plan.partitions}"
        if self.replication != self.plan.replication:
            yield f"replication {self.replication}, planned {self.plan.replication}"
        for name, wanted in self.plan.settings.items():
            found = self.settings.get(name)
            if name != "cleanup.policy" and found != wanted:
                yield f"{name} is {found}, planned {wanted}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicRules:
    """How topics are made: frames and derived values by key, pm500's others whole."""

    partitions: int = 4
    replication: int = 1
    retention_hours: float = 168.0

    def plan(self, name: str) -> TopicPlan:
        """The plan of one topic, pm500's own or another such as a replay's."""
        keeps = name == SCHEMAS
        return TopicPlan(
            name=name,
            partitions=1 if name in _WHOLE else self.partitions,
            replication=self.replication,
            settings={
                "cleanup.policy": "compact" if keeps else "delete",
                "retention.ms": _FOR_EVER if keeps else self._retention_ms,
            },
        )

    def plans(self) -> tuple[TopicPlan, ...]:
        """All of pm500's own topics, the schemas first."""
        return tuple(self.plan(name) for name in TOPICS)

    @property
    def _retention_ms(self) -> str:
        return str(round(self.retention_hours * 3_600_000))


def make(client: KafkaClient, wanted: Iterable[TopicPlan]) -> tuple[str, ...]:
    """Make the topics that do not exist; the names of those made. LogError.

    They can be seen and used when this returns.
    """
    new = [
        NewTopic(
            client.topic(plan.name),
            num_partitions=plan.partitions,
            replication_factor=plan.replication,
            config=plan.settings,
        )
        for plan in wanted
    ]
    made = []
    if not new:
        return ()
    admin = client.admin()  # kept until all have been answered
    answers = admin.create_topics(new, operation_timeout=client.timeout_seconds)
    for name, answer in answers.items():
        try:
            answer.result(client.timeout_seconds)
        except KafkaException as error:
            # Another process may have made it between our look and our call.
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise client.error(error, f"topic {name} cannot be made") from error
        except TimeoutError as error:
            raise LogError(f"Kafka: topic {name} cannot be made: no answer") from error
        else:
            made.append(name)
    _wait_for(client, admin, set(answers))
    return tuple(made)


def look(client: KafkaClient, wanted: Sequence[TopicPlan]) -> tuple[TopicState, ...]:
    """Every topic as it is. LogError."""
    admin = client.admin()
    known = _listed(client, admin)
    there = [plan for plan in wanted if client.topic(plan.name) in known]
    resources = [
        ConfigResource(ResourceType.TOPIC, client.topic(plan.name)) for plan in there
    ]
    asked = admin.describe_configs(resources) if resources else {}
    settings = {}
    for resource, answer in asked.items():
        found = _result(answer, client, f"settings of {resource.name}")
        settings[resource.name] = {
            name: str(entry.value) for name, entry in found.items()
        }
    states = []
    for plan in wanted:
        name = client.topic(plan.name)
        if name not in known:
            states.append(TopicState(plan=plan))
            continue
        partitions = known[name].partitions
        states.append(
            TopicState(
                plan=plan,
                partitions=len(partitions),
                replication=len(partitions[0].replicas),
                settings=settings[name],
            )
        )
    return tuple(states)


def topic_id(client: KafkaClient, name: str) -> str:
    """What tells a topic from a later one of its name. LogError."""
    admin = client.admin()
    answers = admin.describe_topics(TopicCollection([client.topic(name)]))
    found = _result(answers[client.topic(name)], client, f"topic {client.topic(name)}")
    return str(found.topic_id)


def _wait_for(client: KafkaClient, admin: AdminClient, names: set[str]) -> None:
    """Until the brokers have heard of them from their controller."""
    deadline = time.monotonic() + client.timeout_seconds
    while unseen := names - set(_listed(client, admin)):
        if time.monotonic() > deadline:
            raise LogError(f"Kafka: topics made and not seen: {', '.join(unseen)}")
        time.sleep(_LOOK_SECONDS)


def _listed(client: KafkaClient, admin: AdminClient) -> Mapping[str, TopicMetadata]:
    try:
        found: Mapping[str, TopicMetadata] = admin.list_topics(
            timeout=client.timeout_seconds
        ).topics
    except KafkaException as error:
        admin.poll(0)  # where the reason is told
        raise client.error(error, "topics cannot be listed") from error
    return found


def _result(answer: Future[T], client: KafkaClient, what: str) -> T:
    """An answer, waited for. LogError."""
    try:
        return answer.result(client.timeout_seconds)
    except KafkaException as error:
        raise client.error(error, what) from error
    except TimeoutError as error:
        raise LogError(f"Kafka: {what}: no answer") from error
