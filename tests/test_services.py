"""The servers' scripts, and the brokers that tests start for themselves."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)

from tests.certificate import make_certificate
from tests.influxdb import INFLUXDB
from tests.kafka_broker import KafkaBroker, admin_of, create_topic, kafka_files
from tests.kit import until
from tests.mock_kafka import MockCluster, Request
from tests.mosquitto import MOSQUITTO, free_port
from tests.victoria import VICTORIA

ROOT = Path(__file__).parents[1]

StartKafka = Callable[..., KafkaBroker]

integration = pytest.mark.integration


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The scripts in a folder whose name has a space; it has no servers yet."""
    folder = tmp_path / "our meters"
    shutil.copytree(ROOT / "deploy", folder / "deploy")
    return folder


def services(clone: Path, *words: str, **environment: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [str(clone / "deploy" / "services.sh"), *words],
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        text=True,
        timeout=240,
    )
    return done.returncode, done.stdout, done.stderr


def send(servers: str, topic: str, value: bytes, **settings: str | int) -> Message:
    """Produce one message; what the broker said of it."""
    heard: list[tuple[KafkaError | None, Message]] = []
    producer = Producer(
        {
            "bootstrap.servers": servers,
            "acks": "all",
            "reconnect.backoff.ms": 20,
            "reconnect.backoff.max.ms": 100,
            "log_level": 0,
            **{name.replace("_", "."): setting for name, setting in settings.items()},
        }
    )
    producer.produce(
        topic, value, on_delivery=lambda error, sent: heard.append((error, sent))
    )
    assert producer.flush(20) == 0
    [(error, sent)] = heard
    if error:
        raise KafkaException(error)
    return sent


def read(servers: str, topic: str, wanted: int = 1) -> list[bytes]:
    """The first values of partition 0."""
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "nobody",
            "log_level": 0,
        }
    )
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    values: list[bytes] = []

    def all_read() -> bool:
        for message in consumer.consume(wanted, 0.2):
            assert not message.error(), message.error()
            values.append(message.value() or b"")
        return len(values) >= wanted

    try:
        until(all_read, f"{wanted} messages of {topic}", 30)
    finally:
        consumer.close()
    return values


@integration
@pytest.mark.skipif(MOSQUITTO is None, reason="no mosquitto")
def test_mosquitto_starts_once_answers_and_stops(clone: Path) -> None:
    absent = (1, "mosquitto  not running\n", "")
    assert services(clone, "status", "mosquitto") == absent
    try:
        code, first, _ = services(clone, "start", "mosquitto")
        assert code == 0
        assert first.startswith("mosquitto  mqtt://127.0.0.1:")
        assert services(clone, "start", "mosquitto") == (0, first, "")
        assert services(clone, "status", "mosquitto") == (0, first, "")
    finally:
        assert services(clone, "stop") == (0, "", "pm500: mosquitto stopped\n")
    assert services(clone, "status", "mosquitto") == absent


@integration
@pytest.mark.skipif(INFLUXDB is None, reason="no influxdb")
def test_influxdb_starts_with_a_database_and_keeps_it(clone: Path) -> None:
    port = str(free_port())
    start = partial(services, clone, "start", "influxdb", INFLUXDB_PORT=port)
    try:
        code, first, _ = start()
        assert code == 0
        assert first.startswith(f"influxdb   http://127.0.0.1:{port}  pid ")
        assert start() == (0, first, "")
        assert services(clone, "status", "influxdb") == (0, first, "")
        write = f"http://127.0.0.1:{port}/write?db=pm500"
        with urllib.request.urlopen(write, b"m kW=1 1", timeout=20) as answer:
            assert answer.status == 204
        assert services(clone, "stop") == (0, "", "pm500: influxdb stopped\n")
        assert start()[0] == 0
        query = f"http://127.0.0.1:{port}/query?db=pm500&q=SELECT+kW+FROM+m"
        with urllib.request.urlopen(query, timeout=20) as answer:
            [result] = json.load(answer)["results"]
        assert result["series"][0]["values"] == [["1970-01-01T00:00:00.000000001Z", 1]]
    finally:
        services(clone, "stop")
    absent = (1, "influxdb   not running\n", "")
    assert services(clone, "status", "influxdb") == absent


def retention_of(port: str) -> list[tuple[str, str, bool]]:
    """Name, duration and whether it is the default, of every policy of the database."""
    query = f"http://127.0.0.1:{port}/query?q=SHOW+RETENTION+POLICIES+ON+pm500"
    with urllib.request.urlopen(query, timeout=20) as answer:
        [result] = json.load(answer)["results"]
    return [(row[0], row[1], row[-1]) for row in result["series"][0]["values"]]


@integration
@pytest.mark.skipif(INFLUXDB is None, reason="no influxdb")
def test_influxdb_keeps_points_as_long_as_it_is_told(clone: Path) -> None:
    port = str(free_port())
    start = partial(services, clone, "start", "influxdb", INFLUXDB_PORT=port)
    kept = []
    try:
        for settings in ({}, {"INFLUXDB_RETENTION": "2h"}, {}):
            assert start(**settings)[0] == 0
            kept += retention_of(port)
            services(clone, "stop", "influxdb")
        assert start(INFLUXDB_RETENTION="INF")[0] == 0
        kept += retention_of(port)
    finally:
        services(clone, "stop")
    durations = ["0s", "2h0m0s", "2h0m0s", "0s"]
    assert kept == [("autogen", duration, True) for duration in durations]


@integration
@pytest.mark.skipif(INFLUXDB is None, reason="no influxdb")
@pytest.mark.parametrize(
    ("retention", "said"),
    [
        ("90 days", "pm500: INFLUXDB_RETENTION is no duration, such as 90d: 90 days\n"),
        (
            "5m",
            "pm500: influxdb stopped\npm500: INFLUXDB_RETENTION=5m:"
            " retention policy duration must be at least 1h0m0s\n",
        ),
    ],
)
def test_a_retention_that_influxdb_does_not_take_is_told(
    clone: Path, retention: str, said: str
) -> None:
    told = services(
        clone, "start", "influxdb",
        INFLUXDB_PORT=str(free_port()), INFLUXDB_RETENTION=retention,
    )  # fmt: skip
    assert told == (1, "", said)
    absent = (1, "influxdb   not running\n", "")
    assert services(clone, "status", "influxdb") == absent


@integration
@pytest.mark.skipif(VICTORIA is None, reason="no victoria-metrics")
def test_victoria_starts_once_answers_and_stops(clone: Path) -> None:
    absent = (1, "victoria   not running\n", "")
    assert services(clone, "status", "victoria") == absent
    try:
        code, first, _ = services(clone, "start", "victoria")
        assert code == 0
        assert first.startswith("victoria   http://127.0.0.1:")
        assert services(clone, "start", "victoria") == (0, first, "")
    finally:
        assert services(clone, "stop") == (0, "", "pm500: victoria stopped\n")
    assert services(clone, "status", "victoria") == absent


@integration
def test_kafka_is_got_starts_once_answers_and_stops(clone: Path) -> None:
    kafka_files()
    absent = (1, "kafka      not running\n", "")
    assert services(clone, "status", "kafka") == absent
    assert services(clone, "get", "kafka") == (0, "", "pm500: getting Kafka by Maven\n")
    assert services(clone, "get", "kafka") == (0, "", "")
    port = str(free_port())
    start = partial(services, clone, "start", "kafka", KAFKA_PORT=port)
    try:
        with ThreadPoolExecutor() as threads:
            both = [threads.submit(start) for _ in range(2)]
        first = both[0].result()
        assert both[1].result() == first
        code, line, said = first
        assert (code, said) == (0, "")
        assert line.startswith(f"kafka      127.0.0.1:{port}  pid ")
        assert (clone / ".services" / "kafka.port").read_text() == f"{port}\n"
        assert services(clone, "status", "kafka") == first

        servers = f"127.0.0.1:{port}"
        create_topic(servers, "meters")
        send(servers, "meters", b"237 V")
        assert read(servers, "meters") == [b"237 V"]
    finally:
        stopped = services(clone, "stop")
    assert stopped == (0, "", "pm500: kafka stopped\n")
    assert services(clone, "status", "kafka") == absent


@integration
def test_a_port_that_is_taken_is_named(clone: Path) -> None:
    (clone / ".services").mkdir()
    for name in ("java", "kafka"):
        (clone / ".services" / name).symlink_to(kafka_files() / name)
    with socket.create_server(("127.0.0.1", free_port())) as server:
        port = str(server.getsockname()[1])
        code, _, said = services(clone, "start", "kafka", KAFKA_PORT=port)
    assert code == 1
    assert said.splitlines()[-1] == (
        f"pm500: port {port} is taken: name another by KAFKA_PORT"
    )


@integration
def test_what_cannot_be_had_is_said_and_no_reason_to_fail(clone: Path) -> None:
    files = kafka_files()
    # A system with a Java, but neither Maven nor apt-get.
    tools = clone / "bin"
    tools.mkdir()
    for name in "bash cat cmp cp dirname flock grep id ln mkdir mv rm sed sh".split():
        found = shutil.which(name)
        assert found
        (tools / name).symlink_to(found)
    (tools / "java").symlink_to((files / "java").resolve())
    code, output, said = services(clone, "get", "kafka", PATH=str(tools))
    assert (code, output) == (0, "")
    assert said.splitlines() == [
        "pm500: no kcat: this system has no apt-get;"
        " the test that reads with it will be skipped",
        "pm500: no Kafka: Maven is needed: this system has no apt-get",
        "pm500: the tests that need a Kafka broker will be skipped",
    ]
    assert services(clone, "start", "kafka", PATH=str(tools))[0] == 1
    assert services(clone, "status", "kafka")[0] == 1


@integration
def test_a_database_that_cannot_be_had_is_said(clone: Path) -> None:
    tools = clone / "bin"
    tools.mkdir()
    for name in "bash cat dirname flock id mkdir".split():
        found = shutil.which(name)
        assert found
        (tools / name).symlink_to(found)
    # The scripts look into these too.
    common = clone / "deploy" / "services" / "server.sh"
    common.write_text(common.read_text().replace("PATH=$PATH:", "elsewhere="))
    both = services(clone, "get", "influxdb", "victoria", PATH=str(tools))
    assert both[:2] == (0, "")
    assert both[2].splitlines() == [
        "pm500: no influxdb: this system has no apt-get;"
        " run as root: apt-get install influxdb",
        "pm500: the tests that need an InfluxDB server will be skipped",
        "pm500: no victoria-metrics: this system has no apt-get;"
        " run as root: apt-get install victoria-metrics",
        "pm500: the tests that need a VictoriaMetrics server will be skipped",
    ]


def test_a_server_that_nobody_knows_is_refused(clone: Path) -> None:
    usage = (
        "pm500: usage: deploy/services.sh get|start|stop|status"
        " [mosquitto|kafka|influxdb|victoria]..."
    )
    for words in [("start", "redis"), ("get", "../setup"), ("get", "server"), ("run",)]:
        assert services(clone, *words) == (1, "", f"{usage}\n")


@integration
def test_a_killed_broker_comes_back_with_its_data(own_kafka: StartKafka) -> None:
    broker = own_kafka()
    broker.create_topic("meters")
    send(broker.bootstrap_servers, "meters", b"before")
    first = broker.pid
    broker.kill()
    with pytest.raises(KafkaException):
        admin_of(broker.bootstrap_servers).list_topics(timeout=0.2)
    broker.start()
    assert broker.pid != first
    send(broker.bootstrap_servers, "meters", b"after")
    assert read(broker.bootstrap_servers, "meters", 2) == [b"before", b"after"]
    broker.stop()
    broker.start()
    assert read(broker.bootstrap_servers, "meters", 2) == [b"before", b"after"]


@integration
def test_a_paused_broker_is_silent_until_it_is_resumed(own_kafka: StartKafka) -> None:
    broker = own_kafka()
    broker.create_topic("meters")
    broker.pause()
    with pytest.raises(KafkaException):
        admin_of(broker.bootstrap_servers).list_topics(timeout=0.3)
    broker.resume()
    assert send(broker.bootstrap_servers, "meters", b"237 V").offset() == 0


@integration
def test_retention_takes_old_records_within_a_test(own_kafka: StartKafka) -> None:
    broker = own_kafka()
    broker.create_topic("short", retention_ms="500")
    send(broker.bootstrap_servers, "short", b"old")
    consumer = Consumer(
        {"bootstrap.servers": broker.bootstrap_servers, "group.id": "nobody"}
    )

    def gone() -> bool:
        low, _ = consumer.get_watermark_offsets(TopicPartition("short", 0), timeout=5)
        return low == 1

    until(gone, "the record is gone", 20)
    consumer.close()


@integration
@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl")
def test_tls_and_a_password_are_asked_for(own_kafka: StartKafka) -> None:
    broker = own_kafka(sasl=True)
    broker.create_topic("meters")

    soon: dict[str, str | int] = {"message_timeout_ms": 1000}

    def sent(**different: str | int) -> int | None:
        settings: dict[str, str | int] = {
            "security_protocol": "SASL_SSL",
            "ssl_ca_location": str(broker.ca_path),
            "sasl_mechanism": "PLAIN",
            "sasl_username": broker.username,
            "sasl_password": broker.password,
            "message_timeout_ms": 10000,
        }
        servers = broker.sasl_bootstrap_servers
        return send(servers, "meters", b"secret", **settings | different).offset()

    assert sent() == 0
    with pytest.raises(KafkaException):
        sent(sasl_password="wrong", **soon)
    with pytest.raises(KafkaException):
        sent(security_protocol="PLAINTEXT", **soon)
    # Nobody but the holder of the certificate.
    other = broker.ca_path.with_name("other.pem")
    make_certificate(other, other.with_suffix(".key"))
    with pytest.raises(KafkaException):
        sent(ssl_ca_location=str(other), **soon)
    assert read(broker.bootstrap_servers, "meters") == [b"secret"]


@integration
def test_the_shared_broker_answers(kafka: KafkaBroker) -> None:
    assert admin_of(kafka.bootstrap_servers).list_topics(timeout=10).brokers


@integration
def test_the_mock_cluster_keeps_messages_and_has_faults() -> None:
    with MockCluster(brokers=1) as cluster:
        servers = cluster.bootstrap_servers
        cluster.topic_create("meters", 3)
        topics = admin_of(servers).list_topics(timeout=10).topics
        assert len(topics["meters"].partitions) == 3
        cluster.topic_create("one")
        assert send(servers, "one", b"237 V").offset() == 0
        assert read(servers, "one") == [b"237 V"]

        cluster.set_down()
        with pytest.raises(KafkaException):
            send(servers, "one", b"lost", message_timeout_ms=300)
        cluster.set_up()
        assert send(servers, "one", b"238 V").offset() == 1

        cluster.set_rtt(150)
        begin = time.monotonic()
        send(servers, "one", b"239 V")
        assert time.monotonic() - begin >= 0.3
        cluster.set_rtt(0)

        cluster.push_request_errors(Request.PRODUCE, KafkaError.MSG_SIZE_TOO_LARGE)
        with pytest.raises(KafkaException) as raised:
            send(servers, "one", b"refused")
        assert raised.value.args[0].code() == KafkaError.MSG_SIZE_TOO_LARGE
        assert read(servers, "one", 3) == [b"237 V", b"238 V", b"239 V"]

        with pytest.raises(ValueError, match="the mock cluster refused"):
            cluster.topic_create("one")


def test_mock_brokers_go_down_one_by_one() -> None:
    with MockCluster(brokers=2) as cluster:
        cluster.set_down(1)
        assert len(cluster.bootstrap_servers.split(",")) == 2
        assert admin_of(cluster.bootstrap_servers).list_topics(timeout=10).brokers
