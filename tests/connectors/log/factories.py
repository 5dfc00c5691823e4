"""Ways to a log that can be handed to another process (they are pickled)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from confluent_kafka import TopicPartition

from connectors.log.contract import Log
from connectors.log.embedded import EmbeddedLog
from connectors.log.kafka.client import KafkaClient
from connectors.log.kafka.log import KafkaLog
from connectors.log.kafka.topics import TopicRules


class LogFactory(Protocol):
    """One log, empty at first: what an implementation brings to the contract suite."""

    def open(self) -> Log:
        """A fresh handle; every process and thread opens its own."""

    def truncate(self, topic: str, partition: int, before_offset: int) -> None:
        """Remove the records below an offset, as retention does."""

    def another(self) -> LogFactory:
        """Another log of the same kind."""


@dataclass(frozen=True)
class EmbeddedFactory:
    path: Path

    def open(self) -> EmbeddedLog:
        return EmbeddedLog(self.path)

    def truncate(self, topic: str, partition: int, before_offset: int) -> None:
        assert partition == 0
        with self.open() as log:
            log.take(topic, before_offset)

    def another(self) -> EmbeddedFactory:
        return EmbeddedFactory(self.path.with_name("another.sqlite"))


@dataclass(frozen=True)
class KafkaFactory:
    """A log of its own in a cluster that is shared, by the prefix of its topics."""

    bootstrap_servers: str
    prefix: str

    @property
    def client(self) -> KafkaClient:
        return KafkaClient(bootstrap_servers=self.bootstrap_servers, prefix=self.prefix)

    def open(self) -> KafkaLog:
        return KafkaLog(self.client, TopicRules(partitions=3))

    def truncate(self, topic: str, partition: int, before_offset: int) -> None:
        place = TopicPartition(self.client.topic(topic), partition, before_offset)
        admin = self.client.admin()
        (answer,) = admin.delete_records([place]).values()
        answer.result(10)

    def another(self) -> KafkaFactory:
        return KafkaFactory(self.bootstrap_servers, f"another-{self.prefix}")
