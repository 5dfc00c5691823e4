"""The historian reads Kafka: killed at random moments it writes what Kafka has."""

from __future__ import annotations

import random
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from connectors.log.contract import FRAMES
from connectors.log.kafka.log import KafkaLog
from connectors.log.schemas import publish_schemas
from dataflows.historian import READER
from dataflows.kafka import open_kafka
from dataflows.site import load_site
from tests.dataflows.historian_points import stored_lines
from tests.dataflows.processes import PM500, SITE, process, write_site
from tests.kafka_broker import KafkaBroker
from tests.kit import takes_stop, until
from tests.sinks.archive.making import EM24, ENERGY, REALTIME, frame
from tests.strict_influx import StrictInflux

pytestmark = [pytest.mark.integration, pytest.mark.slow]

RUN = (*PM500, "run", "historian")
KILLS = 5
SECONDS = range(300)
METERS = [f"plant1/hall1/m{n}" for n in range(6)]


@pytest.fixture
def influx() -> Iterator[StrictInflux]:
    with StrictInflux() as server:
        yield server


def site_of(folder: Path, kafka: KafkaBroker, influx: StrictInflux) -> Path:
    (folder / "token").write_text("the token\n", "utf-8")
    sections = f"""
        [kafka]
        bootstrap_servers = "{kafka.bootstrap_servers}"
        topic_prefix = "{uuid4().hex[:8]}."
        partitions = 3
        [influx]
        url = "{influx.url}"
        org = "plant"
        bucket = "meters"
        token_file = "token"
        batch_records = 50
        batch_seconds = 0.1
        """
    return write_site(folder, SITE + sections)


def is_done(log: KafkaLog) -> bool:
    """Whether the group of the historian is at the end of each partition."""
    parts = [
        (number, log.bounds(FRAMES, number)[1]) for number in log.partitions(FRAMES)
    ]
    return all((log.position(READER, FRAMES, n) or 0) == end for n, end in parts)


@pytest.mark.timeout(300)
def test_killed_again_and_again_it_writes_what_kafka_has(
    tmp_path: Path, kafka: KafkaBroker, influx: StrictInflux
) -> None:
    site = site_of(tmp_path, kafka, influx)
    dice = random.Random(7)
    log = open_kafka(load_site(site))
    assert isinstance(log, KafkaLog)
    try:
        log.identity(FRAMES)  # makes the topic
        publish_schemas(log, (REALTIME, ENERGY, EM24))
        seconds = iter(SECONDS)
        for _ in range(KILLS):
            with process(RUN, site) as historian:
                for second in seconds:
                    log.append(FRAMES, [(m, frame(REALTIME, second)) for m in METERS])
                    if second % (len(SECONDS) // KILLS) == 0:
                        break
                with pytest.raises(subprocess.TimeoutExpired):
                    historian.wait(dice.uniform(1.5, 4.0))
                historian.kill()
                assert historian.wait() == -signal.SIGKILL
        rest = [(m, frame(REALTIME, s)) for s in seconds for m in METERS]
        log.append(FRAMES, rest)
        with process(RUN, site) as historian:
            until(lambda: is_done(log), "all is written", 120, 0.2)
            until(lambda: takes_stop(historian), "it takes a stop")
            historian.terminate()
            assert historian.wait(30) == 0
    finally:
        log.close()
    stored = {identity for identity, _ in stored_lines(influx.points)}
    assert len(stored) == len(SECONDS) * len(METERS)
    assert {asset for asset, _, _ in stored} == set(METERS)
