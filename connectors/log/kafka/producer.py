"""Records to Kafka in order, with every delivery accounted for."""

from __future__ import annotations

from collections.abc import Callable

from confluent_kafka import KafkaError, KafkaException, Message

from connectors.log.contract import LogError
from connectors.log.kafka.client import KafkaClient

__all__ = ["OrderedProducer", "TooLarge"]

_LOOK_SECONDS = 0.1
# What waits here while the cluster is away stands in the edge's log too.
_QUEUE_RECORDS = 100_000


class TooLarge(LogError):  # noqa: N818 - it says what happened
    """The record is larger than the cluster takes: no later attempt helps."""


class OrderedProducer:
    """An idempotent producer that keeps trying, and tells the first error it meets.

    A record is acknowledged by all in-sync replicas or not at all, records of one key
    keep their order, and none is given up while the cluster is away. After an error the
    producer is of no use: open another one.
    """

    def __init__(self, client: KafkaClient) -> None:
        self._client = client
        self._error: KafkaError | None = None
        self._ends: dict[tuple[str, int], int] = {}
        self._producer = client.producer(
            {
                "message.timeout.ms": 0,
                "queue.buffering.max.messages": _QUEUE_RECORDS,
                "error_cb": self._trouble_seen,
            }
        )
        self._away = False

    @property
    def trouble(self) -> str | None:
        """Why nothing can be sent now; None while all is well."""
        return self._client.away if self._away else None

    @property
    def ends(self) -> dict[tuple[str, int], int]:
        """By topic and partition, the offset after the last that was acknowledged."""
        return self._ends.copy()

    def send(
        self,
        topic: str,
        key: str,
        value: bytes,
        headers: list[tuple[str, bytes]],
        *,
        waiting: Callable[[], bool],
    ) -> bool:
        """Hand a record over; False where ``waiting`` has said to give up.

        ``waiting`` is asked every 0.1 s while the queue is full. TooLarge; LogError
        where an earlier record has failed for good.
        """
        name = self._client.topic(topic)
        while True:
            self.check()
            try:
                self._producer.produce(
                    name,
                    value,
                    key.encode(),
                    headers=headers,  # type: ignore[arg-type]  # a list is variant
                    on_delivery=self._delivered,
                )
            except BufferError:
                self._producer.poll(_LOOK_SECONDS)
                if not waiting():
                    return False
            except KafkaException as error:
                if error.args[0].code() == KafkaError.MSG_SIZE_TOO_LARGE:
                    raise TooLarge(str(self._client.error(error, name))) from error
                raise self._client.error(error, f"cannot send to {name}") from error
            else:
                return True

    def poll(self) -> None:
        """Take the reports that have come."""
        self._producer.poll(0)
        self.check()

    def flush(self, *, waiting: Callable[[], bool]) -> bool:
        """Wait until all is acknowledged; False where ``waiting`` said to give up."""
        while self._producer.flush(_LOOK_SECONDS):
            self.check()
            if not waiting():
                return False
        self.check()
        return True

    def check(self) -> None:
        """Raise the first error of a delivery, LogError, if there was one."""
        if self._error is not None:
            raise self._client.error(self._error, "a record was not delivered")

    def close(self) -> None:
        """Give up what is not acknowledged."""
        self._producer.purge()
        self._producer.flush(_LOOK_SECONDS)

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._error = self._error or error
            return
        self._away = False
        place = str(message.topic()), message.partition() or 0
        self._ends[place] = (message.offset() or 0) + 1

    def _trouble_seen(self, error: KafkaError) -> None:
        self._client.heard(error)
        if error.fatal():
            self._error = self._error or error
        elif error.code() == KafkaError._ALL_BROKERS_DOWN:
            self._away = True
