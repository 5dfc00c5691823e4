"""Kafka with TLS and a password: settings pass through, and a wrong one is said."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import polars as pl
import pytest

from connectors.log.contract import EVENTS, FRAMES, LogError
from connectors.log.embedded import EmbeddedLog
from connectors.log.kafka.producer import OrderedProducer
from connectors.log.schemas import publish_schemas
from dataflows.kafka import kafka_client, open_kafka
from dataflows.site import load_site
from tests.connectors.log.contract_suite import everything, numbered
from tests.dataflows.commands.pm500 import run
from tests.dataflows.processes import (
    PM500,
    SITE,
    events,
    found,
    get,
    process,
    wait_for,
    write_site,
)
from tests.kafka_broker import KafkaBroker
from tests.sinks.archive.making import REALTIME, frame

pytestmark = pytest.mark.integration

ROWS = [("plant1/hall1/m1", frame(REALTIME, second)) for second in range(100)]
REFUSED = "Authentication failed: Invalid username or password"


def secured(folder: Path, broker: KafkaBroker) -> Path:
    """A site with the broker's password in a file beside it."""
    (folder / "kafka.password").write_text(f"{broker.password}\n")
    sections = f"""
        [archive]
        roll_seconds = 0.3
        [kafka]
        bootstrap_servers = "{broker.sasl_bootstrap_servers}"
        topic_prefix = "{uuid4().hex[:8]}."
        sasl_password_file = "kafka.password"
        partitions = 2
        [kafka.client]
        "security.protocol" = "sasl_ssl"
        "sasl.mechanism" = "PLAIN"
        "sasl.username" = "{broker.username}"
        "ssl.ca.location" = "{broker.ca_path}"
        """
    return write_site(folder, SITE + sections)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    with KafkaBroker(tmp_path_factory.mktemp("sasl"), sasl=True) as broker:
        yield broker


def fill_edge(folder: Path) -> None:
    with EmbeddedLog(folder / "data/log/edge.sqlite") as edge:
        publish_schemas(edge, (REALTIME,))
        edge.append(FRAMES, ROWS)


def moved(site: Path) -> list[tuple[str, bytes]]:
    """All frames in Kafka."""
    log = open_kafka(load_site(site))
    try:
        return [(record.key, record.value) for record in everything(log, FRAMES)]
    finally:
        log.close()


def archived(site: Path) -> int:
    table = site.parent / "data/archive/frames/realtime"
    if not (table / "_delta_log").is_dir():
        return 0
    return int(pl.scan_delta(str(table)).select(pl.len()).collect().item())


def test_frames_go_from_the_edge_into_the_archive_over_tls_and_a_password(
    tmp_path: Path, broker: KafkaBroker
) -> None:
    site = secured(tmp_path, broker)
    fill_edge(tmp_path)
    with (
        process((*PM500, "run", "forward"), site) as forward,
        process((*PM500, "run", "archive"), site) as archive,
    ):
        wait_for(lambda: archived(site) == len(ROWS), 60)
        for flow in (forward, archive):
            flow.terminate()
        assert [flow.wait(30) for flow in (forward, archive)] == [0, 0]
    assert moved(site) == ROWS


def test_a_wrong_password_is_one_line(tmp_path: Path, broker: KafkaBroker) -> None:
    site = secured(tmp_path, broker)
    (tmp_path / "kafka.password").write_text("wrong")
    for words in (("topics",), ("tail", "--log", "kafka")):
        done = run(site, *words)
        assert (done.returncode, done.stdout) == (1, "")
        assert REFUSED in done.stderr
        assert done.stderr.count("\n") == 1
    assert broker.password not in site.read_text()


def test_a_wrong_password_holds_a_flow_until_its_file_is_mended(
    tmp_path: Path, broker: KafkaBroker
) -> None:
    site = secured(tmp_path, broker)
    password = tmp_path / "kafka.password"
    password.write_text("wrong")
    fill_edge(tmp_path)
    with process((*PM500, "run", "forward"), site) as forward:
        flow = found(site, "forward")
        wait_for(lambda: REFUSED in get(flow, "/readyz")[1])
        assert get(flow, "/readyz")[0] == 503
        assert get(flow, "/healthz")[0] == 200
        password.write_text(broker.password)
        wait_for(lambda: get(flow, "/readyz")[0] == 200)
        wait_for(lambda: moved(site) == ROWS)
        (held,) = events(site, "held")
        assert REFUSED in held["reason"]
        assert len(events(site, "hold_over")) == 1
        forward.terminate()
        assert forward.wait(30) == 0
    assert broker.password not in (tmp_path / "stderr.log").read_text("utf-8")


def test_a_producer_with_a_wrong_password_says_so_while_it_waits(
    tmp_path: Path, broker: KafkaBroker
) -> None:
    site = secured(tmp_path, broker)
    (tmp_path / "kafka.password").write_text("wrong")
    producer = OrderedProducer(kafka_client(load_site(site)))
    assert producer.send(EVENTS, "key", b"value", [], waiting=lambda: True)
    assert not producer.flush(waiting=lambda: producer.trouble is None)
    assert producer.trouble is not None
    assert REFUSED in producer.trouble
    producer.close()


def test_a_certificate_that_is_not_trusted_is_one_line(
    tmp_path: Path, broker: KafkaBroker
) -> None:
    site = secured(tmp_path, broker)
    lines = site.read_text().splitlines()
    site.write_text("\n".join(line for line in lines if "ssl.ca" not in line))
    log = open_kafka(load_site(site))
    with pytest.raises(LogError, match="certificate verify failed"):
        log.append(EVENTS, numbered(1))
    log.close()
