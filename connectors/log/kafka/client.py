"""How a cluster is reached, and its errors as ours."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient

from connectors.log.contract import LogError

__all__ = ["Heard", "KafkaClient", "Setting", "key_of", "transient"]

Setting = str | int | float | bool

_NONE: Mapping[str, Any] = {}

# librdkafka reports each attempt of each broker; who opens a client says it once.
_SILENT = logging.getLogger("librdkafka")
_SILENT.setLevel(logging.CRITICAL)


class Heard:
    """Why there is no connection, as brokers, TLS or the name service said it last.

    librdkafka tells it beside its calls, which only say that there is none.
    """

    def __init__(self) -> None:
        self._reason = ""
        self._at = 0.0

    def __call__(self, error: KafkaError) -> None:
        """Keep what librdkafka tells. Any thread may call it."""
        if error.code() in _TELLING:
            self._reason = _AROUND.sub("", error.str())
            self._at = time.monotonic()

    @property
    def reason(self) -> str:
        """Empty where nothing was said of late."""
        recent = time.monotonic() - self._at < _HEARD_SECONDS
        return self._reason if recent else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaClient:
    """A cluster and the settings that every client of it has.

    ``settings`` are librdkafka's own by name; ``prefix`` stands before every topic and
    consumer group; ``timeout_seconds`` bounds each request that is waited for.
    """

    bootstrap_servers: str
    prefix: str = ""
    settings: Mapping[str, Setting] = field(default_factory=dict)
    timeout_seconds: float = 10.0
    heard: Heard = field(default_factory=Heard, repr=False, compare=False)

    def topic(self, name: str) -> str:
        """A topic's name in the cluster."""
        return f"{self.prefix}{name}"

    def group(self, reader: str) -> str:
        """The consumer group under which a reader's positions are committed."""
        return f"{self.prefix}pm500.{reader}"

    def consumer(self, reader: str, more: Mapping[str, Any] = _NONE) -> Consumer:
        """A consumer that is assigned by hand and commits only when told."""
        return Consumer(
            self._settings(
                {
                    "group.id": self.group(reader),
                    "enable.auto.commit": False,
                    "enable.auto.offset.store": False,
                    "auto.offset.reset": "error",
                    "allow.auto.create.topics": False,
                    # It joins no group; but for so long a close waits for a commit.
                    "session.timeout.ms": 1000,
                    "heartbeat.interval.ms": 500,
                    # At the default of 100,000 messages wait in memory, not in cache.
                    "queued.min.messages": 10_000,
                    # At the default of 1000 ms a full queue stalls the fetcher.
                    "fetch.queue.backoff.ms": 5,
                },
                more,
            )
        )

    def producer(self, more: Mapping[str, Any] = _NONE) -> Producer:
        """An idempotent producer: acknowledged by all in-sync replicas, in order."""
        return Producer(
            self._settings(
                {
                    "enable.idempotence": True,
                    "acks": "all",
                    "compression.type": "zstd",
                    "linger.ms": 5,
                    # As Kafka's own clients do, so that a key has one partition.
                    "partitioner": "murmur2_random",
                },
                more,
            )
        )

    def admin(self) -> AdminClient:
        """A client that makes and describes topics."""
        return AdminClient(self._settings(_NONE, _NONE))

    def check(self) -> None:
        """Make one of each kind; KafkaException, TypeError and the like for a setting.

        Nothing is connected yet. Each kind refuses other values.
        """
        self.admin()
        self.consumer("check").close()
        self.producer()

    def error(self, error: KafkaException | KafkaError, what: str) -> LogError:
        """Kafka's error as the log's: what was tried, and why it could not be."""
        cause = error.args[0] if isinstance(error, KafkaException) else error
        text = cause.str() if isinstance(cause, KafkaError) else str(cause)
        if isinstance(cause, KafkaError) and cause.code() in _AWAY:
            text = self._no_broker
        return LogError(f"Kafka {self.bootstrap_servers}: {what}: {text}")

    @property
    def away(self) -> str:
        """What there is to say while there is no connection."""
        return f"Kafka {self.bootstrap_servers}: {self._no_broker}"

    @property
    def _no_broker(self) -> str:
        reason = self.heard.reason
        return f"no broker can be reached{': ' if reason else ''}{reason}"

    def _settings(
        self, own: Mapping[str, Any], more: Mapping[str, Any]
    ) -> dict[str, Any]:
        return {
            "client.id": "pm500",
            **self.settings,
            "bootstrap.servers": self.bootstrap_servers,
            "logger": _SILENT,
            "error_cb": self.heard,
            **own,
            **more,
        }


def transient(error: KafkaError) -> bool:
    """Whether it passes by itself, as while a broker starts or a leader changes."""
    return bool(error.retriable()) or error.code() in _TRANSIENT


_TRANSIENT = {
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NETWORK_EXCEPTION,
    KafkaError.NOT_COORDINATOR,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._DESTROY_BROKER,
    KafkaError._TRANSPORT,
    KafkaError._UNKNOWN_PARTITION,
    KafkaError._WAIT_COORD,
}


# What librdkafka says of a request while it has no connection.
_AWAY = {
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._DESTROY_BROKER,
    KafkaError._TRANSPORT,
    KafkaError._UNKNOWN_PARTITION,
}
_TELLING = {KafkaError._AUTHENTICATION, KafkaError._RESOLVE, KafkaError._SSL}
# Each attempt names the broker and how long it took; only the reason stays the same.
_AROUND = re.compile(r"^[a-z_]+://\S+: | \(after \d+ms in state [^)]*\)+")
# librdkafka tries again every 10 s or sooner.
_HEARD_SECONDS = 15.0


def key_of(message: Message) -> str:
    """A message's key as text; foreign messages may have none, or no text."""
    return (message.key() or b"").decode("utf-8", "replace")
