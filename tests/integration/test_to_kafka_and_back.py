"""A site that gets Kafka, and gives it up again: no row lost, none doubled."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest
import tomli_w

from connectors.log.contract import FRAMES
from connectors.log.embedded import EmbeddedLog
from tests.integration.accounts import archived, logged
from tests.kafka_broker import KafkaBroker
from tests.kit import Plant, until
from tests.sinks.archive.making import REALTIME, frame, make_log

pytestmark = pytest.mark.integration

METER: dict[str, object] = {"asset": "hall/m0", "host": "127.0.0.1"}
ARCHIVE: dict[str, object] = {"archive": {"roll_seconds": 0.3}}


@pytest.mark.timeout(200)
def test_a_site_with_kafka_for_a_while_has_every_frame_once(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    cluster: dict[str, object] = {
        "kafka": {
            "bootstrap_servers": kafka.bootstrap_servers,
            "topic_prefix": f"{uuid4().hex[:8]}.",
        }
    }
    plant = Plant(tmp_path, [METER], ARCHIVE)
    log = make_log(plant.log_path)
    try:
        run_archive(plant, log, range(100), "archive")
        with_kafka = Plant(tmp_path, [METER], ARCHIVE | cluster)
        run_archive(with_kafka, log, range(100, 200), "forward", "archive")
        assert log.position("forward", FRAMES, 0) == 200
        plant.site.write_text(tomli_w.dumps(site_of(plant)), "utf-8")
        run_archive(plant, log, range(200, 300), "archive")
        again = Plant(tmp_path, [METER], ARCHIVE | cluster)
        run_archive(again, log, range(300, 400), "forward", "archive")
    finally:
        log.close()
        plant.close()
    assert archived(plant.archive) == logged(plant.log_path)
    assert logged(plant.log_path).total() == 400


def site_of(plant: Plant) -> dict[str, object]:
    return {"site": {"name": plant.name}, **ARCHIVE, "meter": plant.meters}


def run_archive(plant: Plant, log: EmbeddedLog, seconds: range, *names: str) -> None:
    """Append frames and run the flows until all that the log has is archived."""
    log.append(FRAMES, [("plant/hall/m0", frame(REALTIME, s)) for s in seconds])
    flows = [plant.start("run", name) for name in names]
    try:
        wanted = seconds.stop
        until(
            lambda: archived(plant.archive).total() >= wanted, f"{wanted} rows", 60, 0.2
        )
        assert [flow.stop() for flow in flows] == [0] * len(flows)
    finally:
        for flow in flows:
            flow.kill()
