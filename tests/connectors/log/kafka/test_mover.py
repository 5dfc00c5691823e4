"""The order in which an edge's log is moved on, which is what makes it exactly once."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from connectors.log.contract import FRAMES, Batch
from connectors.log.embedded import EmbeddedLog
from connectors.log.kafka.client import KafkaClient
from connectors.log.kafka.log import KafkaLog
from connectors.log.kafka.mover import READER, LogMover, spare, start_of
from connectors.log.kafka.topics import TopicRules, make
from tests.connectors.log.contract_suite import everything
from tests.kafka_broker import KafkaBroker
from tests.sinks.archive.making import REALTIME, frame, make_log

pytestmark = pytest.mark.integration

RULES = TopicRules(partitions=2)


@pytest.fixture
def client(kafka: KafkaBroker) -> KafkaClient:
    found = KafkaClient(
        bootstrap_servers=kafka.bootstrap_servers, prefix=f"{uuid4().hex[:8]}."
    )
    make(found, RULES.plans())
    return found


class Edge(EmbeddedLog):
    """Says what is done to it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.done: list[str] = []

    def sync(self) -> None:
        self.done.append("sync")
        super().sync()

    def store_position(
        self, reader: str, topic: str, partition: int, offset: int
    ) -> None:
        self.done.append(f"position {offset}")
        super().store_position(reader, topic, partition, offset)


def filled(path: Path, count: int) -> None:
    with make_log(path) as log:
        log.append(FRAMES, [("plant/hall/m", frame(REALTIME, n)) for n in range(count)])


def mover(client: KafkaClient, edge: EmbeddedLog, moved: set[int]) -> LogMover:
    return LogMover(client, edge, KafkaLog(client, RULES), FRAMES, moved)


def batch(edge: EmbeddedLog, start: int) -> Batch:
    return Batch.of(FRAMES, 0, edge.read(FRAMES, 0, start, 1000))


def test_records_are_on_the_edge_s_disk_before_they_are_sent(
    client: KafkaClient, tmp_path: Path
) -> None:
    filled(tmp_path / "edge.sqlite", 5)
    edge = Edge(tmp_path / "edge.sqlite")
    moving = mover(client, edge, set())
    assert moving.move(batch(edge, 0), waiting=lambda: True)
    assert edge.done == ["sync"]
    assert moving.settle(waiting=lambda: True)
    assert edge.done == ["sync", "position 5", "sync"]
    moving.close()


def test_what_was_moved_but_not_accounted_for_is_found_in_the_tail(
    client: KafkaClient, tmp_path: Path
) -> None:
    filled(tmp_path / "edge.sqlite", 100)
    kafka = KafkaLog(client, RULES)
    with EmbeddedLog(tmp_path / "edge.sqlite") as edge:
        assert start_of(client, edge, kafka, FRAMES).offset == 0
    # As a kill leaves it: acknowledged, and no position stored.
    killed = mover(client, EmbeddedLog(tmp_path / "edge.sqlite"), set())
    with EmbeddedLog(tmp_path / "edge.sqlite") as edge:
        first = Batch.of(FRAMES, 0, edge.read(FRAMES, 0, 0, 60))
        assert killed.move(first, waiting=lambda: True)
        assert killed._producer.flush(waiting=lambda: True)
        start = start_of(client, edge, kafka, FRAMES)
        assert (start.offset, set(start.moved)) == (0, set(range(60)))
        again = mover(client, EmbeddedLog(tmp_path / "edge.sqlite"), set(start.moved))
        assert again.move(batch(edge, 0), waiting=lambda: True)
        assert again.settle(waiting=lambda: True)
        assert edge.position(READER, FRAMES, 0) == 100
        values = [record.value for record in everything(kafka, FRAMES)]
        assert values == [record.value for record in edge.read(FRAMES, 0, 0, 1000)]
    again.close()
    killed.close()
    kafka.close()


def test_moving_never_begins_before_what_was_archived_without_kafka(
    tmp_path: Path,
) -> None:
    filled(tmp_path / "edge.sqlite", 100)
    with EmbeddedLog(tmp_path / "edge.sqlite") as edge:
        assert spare(edge, FRAMES) == 0
        assert spare(edge, FRAMES, 40) == 40
        assert edge.position(READER, FRAMES, 0) == 40
        assert spare(edge, FRAMES, 10) == 40
        assert spare(edge, FRAMES, 1000) == 100
