"""Two archive processes on the same partitions of a real broker: one of them ends."""

from __future__ import annotations

import json
import time
from itertools import pairwise
from pathlib import Path
from uuid import uuid4

import pytest
from deltalake import DeltaTable

from connectors.log.contract import FRAMES
from connectors.log.kafka.client import KafkaClient
from connectors.log.kafka.log import KafkaLog
from connectors.log.kafka.topics import TopicRules, make
from connectors.log.schemas import publish_schemas
from tests.integration.accounts import archived
from tests.kafka_broker import KafkaBroker
from tests.kit import Plant, until
from tests.sinks.archive.making import REALTIME, frame

pytestmark = pytest.mark.integration

PARTITIONS = 2
KEYS = [f"plant/hall/m{n}" for n in range(8)]


@pytest.mark.timeout(200)
def test_of_two_archives_on_one_partition_one_ends_and_no_row_is_doubled(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    prefix = f"{uuid4().hex[:8]}."
    client = KafkaClient(bootstrap_servers=kafka.bootstrap_servers, prefix=prefix)
    rules = TopicRules(partitions=PARTITIONS)
    make(client, rules.plans())
    log = KafkaLog(client, rules)
    publish_schemas(log, [REALTIME])
    sections = {
        "kafka": {
            "bootstrap_servers": kafka.bootstrap_servers,
            "topic_prefix": prefix,
            "partitions": PARTITIONS,
        },
        "archive": {"path": str(tmp_path / "archive"), "roll_seconds": 0.2},
    }
    meter: dict[str, object] = {"asset": "hall/m0", "host": "127.0.0.1"}
    # Of two machines, so that no lock keeps them apart.
    plants = [Plant(tmp_path / f"machine{n}", [meter], sections) for n in (1, 2)]
    flows = [plant.start("run", "archive") for plant in plants]
    sent = 0
    try:
        deadline = time.monotonic() + 60
        while all(flow.process.poll() is None for flow in flows):
            assert time.monotonic() < deadline, "both live"
            log.append(FRAMES, [(key, frame(REALTIME, sent)) for key in KEYS])
            sent += 1
        lost = next(
            n for n, flow in enumerate(flows) if flow.process.poll() is not None
        )
        assert flows[lost].process.returncode == 1
        assert "another process writes" in flows[lost].text()
        wanted = sent * len(KEYS)

        def all_there() -> bool:
            if flows[1 - lost].process.poll() is not None:
                # Each lost a partition to the other; a supervisor starts it again.
                assert "another process writes" in flows[1 - lost].text()
                flows[1 - lost] = plants[1 - lost].start("run", "archive")
            return archived(tmp_path / "archive").total() >= wanted

        until(all_there, "all rows", 60, 0.2)
        assert flows[1 - lost].stop() == 0, flows[1 - lost].text()[-3000:]
    finally:
        for plant in plants:
            plant.close()
        log.close()
    rows = archived(tmp_path / "archive")
    assert rows.total() == wanted
    assert max(rows.values()) == 1
    for positions in _positions(tmp_path / "archive" / "frames" / "realtime"):
        assert all(before <= after for before, after in pairwise(positions))


def _positions(table: Path) -> list[list[int]]:
    """What each partition's position was in each version of the table."""
    found: dict[str, list[int]] = {}
    latest = DeltaTable(table).version()
    for number in range(latest + 1):
        version = DeltaTable(table, version=number)
        for app_id in _app_ids(table):
            at = version.transaction_version(app_id)
            if at is not None:
                found.setdefault(app_id, []).append(at)
    assert len(found) == PARTITIONS
    return list(found.values())


def _app_ids(table: Path) -> list[str]:
    ids: set[str] = set()
    for commit in (table / "_delta_log").glob("*.json"):
        for line in commit.read_text("utf-8").splitlines():
            ids.update(a["appId"] for n, a in json.loads(line).items() if n == "txn")
    return sorted(ids)
