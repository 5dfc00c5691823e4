from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from sinks.influx.probe import probe_influx
from sinks.influx.server import Target
from tests.influxdb import InfluxDb
from tests.mosquitto import free_port
from tests.sinks.influx.making import target
from tests.strict_influx import Refusal, StrictInflux
from tests.victoria import VictoriaMetrics


@pytest.fixture
def influx() -> Iterator[StrictInflux]:
    with StrictInflux() as server:
        yield server


@pytest.mark.parametrize("version", [1, 2])
def test_a_server_that_takes_points_passes_and_gets_none(
    influx: StrictInflux, version: int
) -> None:
    assert probe_influx(target(influx, version)).wrong is None
    assert influx.points == {}


def test_a_server_that_is_not_there_is_told() -> None:
    to = Target(url=f"http://127.0.0.1:{free_port()}", version=2, bucket="b", org="o")
    found = probe_influx(to)
    assert found.wrong is not None
    assert found.wrong.startswith("no answer: ")
    assert "Connection refused" in found.wrong


def test_a_wrong_token_is_told(influx: StrictInflux) -> None:
    found = probe_influx(target(influx, secret="another"))
    assert found.wrong is not None
    assert found.wrong.startswith("401 ")
    assert found.wrong.endswith(": the token is not known to it")


@pytest.mark.parametrize("version", [1, 2])
def test_a_bucket_that_is_not_there_is_told(influx: StrictInflux, version: int) -> None:
    found = probe_influx(target(influx, version, bucket="elsewhere"))
    assert found.wrong is not None
    assert found.wrong.startswith("404 ")
    assert "elsewhere" in found.wrong
    assert found.wrong.endswith(": make it there, or name another")


def test_a_token_without_rights_is_told(influx: StrictInflux) -> None:
    influx.behave(refuses=Refusal(403, "forbidden"))
    assert "the token may not write there" in str(probe_influx(target(influx)).wrong)


@pytest.mark.parametrize("version", [1, 2])
def test_a_server_that_is_glad_of_everything_is_no_influxdb(version: int) -> None:
    class Portal(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "5")
            self.end_headers()
            self.wfile.write(b"hello")

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Portal) as server:
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        found = probe_influx(Target(url=url, version=version, bucket="b", org="o"))
        server.shutdown()
    assert found.wrong == "200 no InfluxDB answers there"


@pytest.mark.integration
def test_influxdb_1_passes_and_says_its_version(influxdb: InfluxDb) -> None:
    found = probe_influx(Target(url=influxdb.url, version=1, bucket="pm500"))
    assert found.wrong is None
    assert found.version.startswith("1.")


@pytest.mark.integration
def test_influxdb_1_says_that_the_database_is_not_there(influxdb: InfluxDb) -> None:
    found = probe_influx(Target(url=influxdb.url, version=1, bucket="elsewhere"))
    assert "make it there" in str(found.wrong)


@pytest.mark.integration
def test_influxdb_1_does_not_know_the_path_of_version_2(influxdb: InfluxDb) -> None:
    to = Target(url=influxdb.url, version=2, bucket="pm500", org="plant")
    assert "is it influx.version = 1?" in str(probe_influx(to).wrong)


@pytest.mark.integration
def test_victoria_metrics_passes_as_version_2(victoria: VictoriaMetrics) -> None:
    to = Target(url=victoria.url, version=2, bucket="any", org="any")
    assert probe_influx(to).wrong is None
