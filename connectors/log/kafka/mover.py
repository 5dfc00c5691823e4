"""Moves an edge's log on to Kafka: in order, exactly once, schemas before records."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

import structlog

from connectors.log.contract import Batch, Log, LogError, OffsetGone
from connectors.log.dead import Place, bury
from connectors.log.kafka.client import KafkaClient
from connectors.log.kafka.forwarded import edge_header, forwarded, tail_starts
from connectors.log.kafka.log import KafkaLog
from connectors.log.kafka.producer import OrderedProducer, TooLarge
from connectors.log.schemas import copy_schemas
from transforms.codec.framing import HEADER_BYTES
from transforms.model.metrics import NO_METRICS, Metrics

__all__ = ["READER", "LogMover", "Start", "skipped", "spare", "start_of"]

READER = "forward"

_EDGE_PARTITION = 0
# The clock of the edge may have been set back between append and sending.
_CLOCK_US = 3_600_000_000
_LOOK_SECONDS = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Where moving a topic begins, and which records from there on are moved already."""

    offset: int
    moved: Collection[int]


def spare(edge: Log, topic: str, begin: int = 0) -> int:
    """The position at the edge, kept from now on: its retention takes nothing before it.

    It is never before ``begin``, nor before the oldest record that is left. LogError.
    """
    first, end = edge.bounds(topic, _EDGE_PARTITION)
    stored = edge.position(READER, topic, _EDGE_PARTITION)
    at = max(first, min(max(stored or 0, begin), end))
    if at != stored:
        edge.store_position(READER, topic, _EDGE_PARTITION, at)
    return at


def start_of(
    client: KafkaClient,
    edge: Log,
    kafka: Log,
    topic: str,
    begin: int = 0,
    *,
    alive: Callable[[], bool] = lambda: True,
) -> Start:
    """Compare the position at the edge with the tail of the topic in Kafka. LogError.

    Nothing before ``begin`` is moved. ``alive`` is asked while the tail is read, and
    ends that by an answer that is false.
    """
    offset = spare(edge, topic, begin)
    oldest = edge.read(topic, _EDGE_PARTITION, offset, 1)
    if not oldest:
        return Start(offset=offset, moved=())
    log_id = edge.identity(topic)
    since_us = oldest[0].time_us - _CLOCK_US
    starts = tail_starts(client, kafka, _group(log_id), topic, since_us=since_us)
    moved = forwarded(client, kafka, topic, starts, log_id=log_id, alive=alive)
    owed = {number for number in moved if number >= offset}
    structlog.get_logger().info(
        "forward_starts", topic=topic, offset=offset, already_moved=len(owed)
    )
    return Start(offset=offset, moved=owed)


class LogMover:
    """Moves one topic of ``edge``; both logs and the producer are closed with it.

    ``dead`` is where a record goes that no cluster takes: the edge's own dead letters.
    """

    def __init__(
        self,
        client: KafkaClient,
        edge: Log,
        kafka: KafkaLog,
        topic: str,
        moved: Collection[int],
        *,
        metrics: Metrics = NO_METRICS,
    ) -> None:
        self._edge = edge
        self._kafka = kafka
        self._topic = topic
        self._moved = moved
        self._metrics = metrics
        self._log_id = edge.identity(topic)
        self._producer = OrderedProducer(client)
        self._next: int | None = None
        self._headers: set[bytes] = set()
        self._kept: dict[tuple[str, int], int] = {}
        self._trouble: str | None = None

    @property
    def trouble(self) -> str | None:
        """Why nothing can be sent now; None while all is well."""
        return self._trouble or self._producer.trouble

    def move(self, batch: Batch, *, waiting: Callable[[], bool]) -> bool:
        """Hand the records over; False where ``waiting`` said to give up. LogError.

        They are brought to the edge's disk first: should a power cut take them there,
        their offsets would be given to others, which then passed for moved.
        """
        new = {value[:HEADER_BYTES] for value in batch.values} - self._headers
        if not self._retried(self._edge.sync, waiting):
            return False
        if new and not self._retried(self._copy_schemas, waiting):
            return False
        self._headers |= new
        sent = 0
        for offset, key, value in zip(
            batch.offsets, batch.keys, batch.values, strict=True
        ):
            if offset in self._moved:
                continue
            header = edge_header(self._log_id, offset)
            try:
                if not self._producer.send(
                    self._topic, key, value, header, waiting=waiting
                ):
                    return False
            except TooLarge as error:
                place = Place(self._topic, batch.partition, offset)
                bury(
                    self._edge, READER, place, key, value, error, metrics=self._metrics
                )
            sent += 1
        self._next = batch.next_offset
        self._metrics.count("pm500_forwarded_total", sent, topic=self._topic)
        self._producer.poll()
        return True

    def settle(self, *, waiting: Callable[[], bool]) -> bool:
        """Wait for all acknowledgments, then keep the position. LogError.

        The edge's position comes first: should the commit in Kafka be lost, the next
        start reads more of the tail, no less.
        """
        if not self._producer.flush(waiting=waiting):
            return False
        if self._next is not None:
            try:
                self._edge.store_position(
                    READER, self._topic, _EDGE_PARTITION, self._next
                )
                self._edge.sync()
            except LogError as error:
                # A full disk at the edge: the tail in Kafka tells the next start.
                structlog.get_logger().warning("position_not_stored", error=str(error))
                return True
            self._next = None
        self._keep_ends()
        return True

    def close(self) -> None:
        """Give up what is not acknowledged."""
        self._producer.close()
        self._kafka.close()
        self._edge.close()

    def _copy_schemas(self) -> None:
        """See that Kafka has the schema of every record before the record."""
        if copied := copy_schemas(self._edge, self._kafka):
            structlog.get_logger().info("schemas_forwarded", schemas=copied)

    def _retried(self, act: Callable[[], None], waiting: Callable[[], bool]) -> bool:
        while True:
            try:
                act()
            except LogError as error:
                self._trouble = str(error)
                time.sleep(_LOOK_SECONDS)
                if not waiting():
                    return False
            else:
                self._trouble = None
                return True

    def _keep_ends(self) -> None:
        for (name, partition), end in self._producer.ends.items():
            if self._kept.get((name, partition)) == end:
                continue
            try:
                self._kafka.commit_soon(
                    _group(self._log_id), self._topic, partition, end
                )
            except LogError as error:
                structlog.get_logger().warning("tail_not_kept", reason=str(error))
                return
            self._kept[name, partition] = end


def skipped(gone: OffsetGone) -> int:
    """Go on behind what the edge's retention took; its own event tells of the loss."""
    structlog.get_logger().error(
        "records_lost_to_retention",
        topic=gone.topic,
        records=gone.first - gone.asked,
        reader=READER,
    )
    return gone.first


def _group(log_id: str) -> str:
    return f"{READER}.{log_id}"
