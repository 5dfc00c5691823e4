"""The site's Kafka cluster: its client, and a start that waits until it answers."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import structlog
from confluent_kafka import KafkaException

from connectors.log.contract import LogError
from connectors.log.kafka.client import KafkaClient, Setting
from connectors.log.kafka.log import KafkaLog
from connectors.log.kafka.topics import TopicRules, TopicState, look, make
from connectors.stop import STOP
from dataflows.site import Kafka, Site

if TYPE_CHECKING:
    from dataflows.runtime import FlowContext

__all__ = [
    "KafkaSettingsError",
    "kafka_client",
    "open_kafka",
    "patiently",
    "topic_rules",
    "wait_for",
]

T = TypeVar("T")

_PAUSE_SECONDS = 1.0
_LOOK_SECONDS = 0.05


class KafkaSettingsError(ValueError):
    """``[kafka]`` holds what no client takes; the text names the place."""


def kafka_client(site: Site, *, timeout_seconds: float = 10.0) -> KafkaClient:
    """The client that ``[kafka]`` describes. KafkaSettingsError."""
    assert site.kafka is not None
    client = KafkaClient(
        bootstrap_servers=site.kafka.bootstrap_servers,
        prefix=site.kafka.topic_prefix,
        settings=_settings(site.kafka, site.folder),
        timeout_seconds=timeout_seconds,
    )
    try:
        client.check()
    except (KafkaException, AttributeError, TypeError, ValueError) as error:
        raise KafkaSettingsError(f"kafka.client: {_line(error)}") from error
    return client


def topic_rules(site: Site) -> TopicRules:
    """How the site's topics are made."""
    assert site.kafka is not None
    return TopicRules(
        partitions=site.kafka.partitions,
        replication=site.kafka.replication,
        retention_hours=site.kafka.retention_hours,
    )


def open_kafka(site: Site, *, timeout_seconds: float = 10.0) -> KafkaLog:
    """A handle on the site's log in Kafka; nothing is asked of the cluster yet."""
    client = kafka_client(site, timeout_seconds=timeout_seconds)
    return KafkaLog(client, topic_rules(site))


def wait_for(context: FlowContext, ask: Callable[[], T]) -> T:
    """What ``ask`` gives once the cluster answers and has every topic.

    Topics that are missing are made. Until then the flow is held, which is said once,
    and a stop ends the process. Topics that break a promise of the log hold it too:
    ``pm500 topics`` shows them. Settings that no client takes end the process.
    """
    _try_client(context.site)
    plans = topic_rules(context.site).plans()

    def attempt() -> T:
        # A new one each time: a password that was mended meanwhile is read again.
        client = kafka_client(context.site, timeout_seconds=2.0)
        missing = [state.plan for state in look(client, plans) if not state.exists]
        if made := make(client, missing):
            structlog.get_logger().info("topics_made", topics=made)
        if wrong := _wrong(look(client, plans)):
            raise LogError(wrong)
        return ask()

    return patiently(context, "kafka", attempt)


def patiently(context: FlowContext, name: str, ask: Callable[[], T]) -> T:
    """What ``ask`` gives once it raises no LogError; until then ``name`` is held.

    A stop ends the process.
    """
    while not STOP.requested:
        context.health.progress(context.name)
        try:
            answer = ask()
        except (KafkaSettingsError, LogError) as error:
            context.health.hold(name, str(error))
        else:
            context.health.clear(name)
            return answer
        _pause()
    raise SystemExit(0)


def _try_client(site: Site) -> None:
    # Commands stand on this module too, and need no flow.
    from dataflows.runtime import refuse_site

    try:
        kafka_client(site)
    except KafkaSettingsError as error:
        refuse_site([str(error)])


def _wrong(states: tuple[TopicState, ...]) -> str:
    return "; ".join(
        f"topic {state.plan.name} {trouble}"
        for state in states
        for trouble in state.wrong
    )


def _pause() -> None:
    until = time.monotonic() + _PAUSE_SECONDS
    while time.monotonic() < until and not STOP.requested:
        time.sleep(_LOOK_SECONDS)


def _settings(kafka: Kafka, folder: Path) -> dict[str, Setting]:
    settings = dict(kafka.client)
    for name, path in (
        ("sasl.password", kafka.sasl_password_file),
        ("ssl.key.password", kafka.ssl_key_password_file),
    ):
        if path is not None:
            try:
                settings[name] = (folder / path).read_text("utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                key = name.replace(".", "_")
                raise KafkaSettingsError(f"kafka.{key}_file: {error}") from error
    return settings


def _line(error: Exception) -> str:
    cause = error.args[0] if error.args else error
    return str(cause.str() if hasattr(cause, "str") else cause)
