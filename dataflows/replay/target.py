"""Where a replay goes: a topic of Kafka, or of the edge's log where there is no Kafka."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from connectors.log.contract import Log, LogError
from connectors.log.kafka.client import KafkaClient
from connectors.log.kafka.producer import OrderedProducer

__all__ = ["KafkaTarget", "LogTarget", "Target"]

_AWAY_SECONDS = 30.0
_STOP_SECONDS = 10.0


class Target(Protocol):
    """Takes records in order; ``acknowledged`` counts those that will not be lost."""

    @property
    def acknowledged(self) -> int:
        """Records that survive whatever comes now."""

    def send(self, keys: Sequence[str], values: Sequence[bytes]) -> bool:
        """Hand records over; False where a stop came first. LogError."""

    def settle(self) -> None:
        """Wait until all is acknowledged, not for ever. LogError."""

    def close(self) -> None:
        """Give up what is not acknowledged."""


class LogTarget:
    """A topic of a log that acknowledges each append, as the edge's does."""

    def __init__(self, log: Log, topic: str) -> None:
        self._log = log
        self._topic = topic
        self._count = 0

    @property
    def acknowledged(self) -> int:
        """All that was sent."""
        return self._count

    def send(self, keys: Sequence[str], values: Sequence[bytes]) -> bool:
        """Append them; LogFull, LogError."""
        self._log.append(self._topic, list(zip(keys, values, strict=True)))
        self._count += len(keys)
        return True

    def settle(self) -> None:
        """Make it survive a power cut too."""
        self._log.sync()

    def close(self) -> None:
        """The log is its owner's."""


class KafkaTarget:
    """A topic in Kafka, made by the rules of ``log`` where it does not exist.

    LogError where the cluster has acknowledged nothing for ``away_seconds``.
    """

    def __init__(
        self,
        client: KafkaClient,
        log: Log,
        topic: str,
        *,
        stopping: Callable[[], bool],
        away_seconds: float = _AWAY_SECONDS,
    ) -> None:
        log.identity(topic)
        self._begun = {n: log.bounds(topic, n)[1] for n in log.partitions(topic)}
        self._topic = topic
        self._stopping = stopping
        self._away_seconds = away_seconds
        self._sent = 0
        self._settled = False
        self._producer = OrderedProducer(client)

    @property
    def acknowledged(self) -> int:
        """What was sent, or what the partitions have grown by."""
        if self._settled:
            return self._sent
        ends = self._producer.ends.items()
        return sum(end - self._begun[number] for (_, number), end in ends)

    def send(self, keys: Sequence[str], values: Sequence[bytes]) -> bool:
        """Hand records over; False where a stop came first. LogError."""
        wait = _Wait(self._producer, self._away_seconds)
        self._settled = False
        for key, value in zip(keys, values, strict=True):
            if not self._producer.send(
                self._topic,
                key,
                value,
                [],
                waiting=lambda: not self._stopping() and wait.goes_on(),
            ):
                if self._stopping():
                    return False
                raise self._away()
            self._sent += 1
        self._producer.poll()
        return True

    def settle(self) -> None:
        """Wait for the acknowledgments; LogError."""
        wait = _Wait(
            self._producer, _STOP_SECONDS if self._stopping() else self._away_seconds
        )
        self._settled = self._producer.flush(waiting=wait.goes_on)
        if not self._settled:
            raise self._away()

    def close(self) -> None:
        """Give up what is not acknowledged."""
        self._producer.close()

    def _away(self) -> LogError:
        left = self._sent - self.acknowledged
        trouble = self._producer.trouble or "the cluster does not answer"
        return LogError(
            f"{self._topic}: {left} records are not acknowledged: {trouble}"
        )


class _Wait:
    """Patience that starts anew with each acknowledgment."""

    def __init__(self, producer: OrderedProducer, seconds: float) -> None:
        self._producer = producer
        self._seconds = seconds
        self._ends = producer.ends
        self._until = time.monotonic() + seconds

    def goes_on(self) -> bool:
        """Whether waiting may help."""
        if self._ends != (ends := self._producer.ends):
            self._ends = ends
            self._until = time.monotonic() + self._seconds
        return time.monotonic() < self._until
