"""Strangers read our frames in Kafka, by the schemas that stand there."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from connectors.log.contract import FRAMES
from connectors.log.embedded import EmbeddedLog
from connectors.log.schemas import publish_schemas
from dataflows.kafka import open_kafka
from dataflows.site import load_site
from tests.dataflows.processes import PM500, SITE, process, write_site
from tests.integration import foreign_reader
from tests.kafka_broker import KafkaBroker
from tests.kit import until
from tests.sinks.archive.making import EM24, ENERGY, NOON_US, REALTIME, frame

pytestmark = pytest.mark.integration

READER = Path(str(foreign_reader.__file__))
SECONDS = 40
M1, EM = "plant1/hall1/m1", "plant1/hall1/em"
ROWS = [
    row
    for second in range(SECONDS)
    for row in (
        (M1, frame(REALTIME, second, status=2 * (second == 7))),
        (EM, frame(EM24, second)),
    )
] + [(M1, frame(ENERGY, 0, period_us=10_000_000))]


@pytest.fixture
def site(tmp_path: Path, kafka: KafkaBroker) -> Path:
    """A site whose frames have been moved on to Kafka, schemas and all."""
    sections = f"""
        [kafka]
        bootstrap_servers = "{kafka.bootstrap_servers}"
        topic_prefix = "{uuid4().hex[:8]}."
        partitions = 3
        """
    path = write_site(tmp_path, SITE + sections)
    with EmbeddedLog(tmp_path / "data/log/edge.sqlite") as edge:
        publish_schemas(edge, (REALTIME, ENERGY, EM24))
        edge.append(FRAMES, ROWS)
    log = open_kafka(load_site(path))

    def moved() -> bool:
        ends = [log.bounds(FRAMES, n)[1] for n in log.partitions(FRAMES)]
        return sum(ends) == len(ROWS)

    with process((*PM500, "run", "forward"), path) as flow:
        until(moved, "all frames are in Kafka")
        flow.terminate()
        assert flow.wait(30) == 0
    log.close()
    return path


def place_of(site: Path) -> tuple[str, str]:
    """Servers and prefix."""
    kafka = load_site(site).kafka
    assert kafka is not None
    return kafka.bootstrap_servers, kafka.topic_prefix


def test_the_stranger_knows_nothing_of_this_project() -> None:
    tree = ast.parse(READER.read_text("utf-8"))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
        )
    }
    assert imported == {"io", "json", "sys", "typing", "confluent_kafka", "fastavro"}


def test_a_plain_consumer_with_fastavro_reads_every_frame(site: Path) -> None:
    servers, prefix = place_of(site)
    done = subprocess.run(
        [sys.executable, "-I", str(READER), servers, prefix, str(len(ROWS))],
        cwd=site.parent,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    edge_offsets = [int(_edge_offset(each["headers"])) for each in found]
    assert sorted(edge_offsets) == list(range(len(ROWS)))
    by_offset = dict(zip(edge_offsets, found, strict=True))
    assert [by_offset[n]["key"] for n in range(len(ROWS))] == [key for key, _ in ROWS]
    # Second 1 of m1: every reading under its own name.
    one = by_offset[2]["frame"]
    assert (one["seq"], one["slot"]) == (NOON_US // 1_000_000 + 1, NOON_US + 1_000_000)
    assert one["period"] == 1_000_000
    assert one["status"] == 0
    assert one["quality"] == "00" * len(REALTIME.columns)
    names = [column.name for column in REALTIME.columns]
    assert {name: one[name] for name in names[:3]} == {
        names[0]: 1.0,
        names[1]: 1.125,
        names[2]: 1.25,
    }
    # A poll that failed is a frame too.
    assert by_offset[14]["frame"]["status"] == 2
    for key in (M1, EM):
        own = [each for each in found if each["key"] == key]
        assert len({each["partition"] for each in own}) == 1
        slots = [each["frame"]["slot"] for each in own if "voltageAN" in each["frame"]]
        assert slots == sorted(slots)


def _edge_offset(headers: dict[str, str]) -> str:
    assert list(headers) == ["edge_offset"]
    log_id, _, offset = headers["edge_offset"].partition("/")
    assert len(log_id) == 36
    return offset


@pytest.mark.skipif(shutil.which("kcat") is None, reason="kcat is not installed")
def test_kcat_reads_keys_headers_values_and_schemas(site: Path) -> None:
    servers, prefix = place_of(site)

    def kcat(topic: str, form: str, *options: str) -> bytes:
        command = ["kcat", "-C", "-e", "-q", "-b", servers, "-t", f"{prefix}{topic}"]
        done = subprocess.run(
            [*command, "-f", form, *options],
            capture_output=True,
            check=True,
            timeout=60,
        )
        return done.stdout

    places: dict[int, tuple[str, ...]] = {}
    for line in kcat("pm500.frames", r"%h|%k|%p|%o\n", "-o", "beginning").splitlines():
        header, *place = line.decode().split("|")
        name, _, text = header.partition("=")
        assert name == "edge_offset"
        places[int(text.rpartition("/")[2])] = tuple(place)
    assert [places[n][0] for n in range(len(ROWS))] == [key for key, _ in ROWS]
    _, partition, offset = places[14]
    only = ("-p", partition, "-o", offset, "-c", "1")
    assert kcat("pm500.frames", "%s", *only) == ROWS[14][1]
    texts = kcat("pm500.schemas", r"%s\n", "-o", "beginning").splitlines()
    assert {json.loads(text)["name"] for text in texts} >= {
        "Frame_pm500__realtime",
        "Frame_pm500__energy",
        "Frame_em24__realtime",
    }
