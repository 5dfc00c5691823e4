"""A real Kafka broker of a test's own, which can be killed, paused and started again."""

from __future__ import annotations

import signal
import subprocess
import unittest
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.certificate import make_certificate
from tests.kit import until
from tests.mosquitto import free_port

__all__ = ["KafkaBroker", "KafkaMissing", "admin_of", "create_topic", "kafka_files"]

ROOT = Path(__file__).parents[1]
SERVICES = ROOT / "deploy" / "services"
FILES = ROOT / ".services"
# Compiled once only, and the simplest collector: the start takes 1.5 s instead of 1.9.
QUICK = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
TESTED = {
    # Retention shows within a test.
    "log.retention.check.interval.ms": "200",
    "log.initial.task.delay.ms": "200",
    # After a kill the node is let in again when its former session has ended. 1.4 s is
    # just before the fourth time that it asks, so a restart takes 3 s.
    "broker.session.timeout.ms": "1400",
    "broker.heartbeat.interval.ms": "350",
}
USERNAME = "pm500"
PASSWORD = "a password of the tests"


class KafkaMissing(unittest.SkipTest):
    """No broker can be had here, for the reason in its text; pytest skips the test."""


@cache
def kafka_files() -> Path:
    """The folder with ``java`` and ``kafka/*.jar``; got now where they are missing.

    Raises KafkaMissing in the words of ``deploy/services/kafka.sh get``.
    """
    done = subprocess.run(
        [str(SERVICES / "kafka.sh"), "get"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        reasons = [line for line in done.stderr.splitlines() if "no Kafka" in line]
        raise KafkaMissing((reasons or [done.stderr])[-1].removeprefix("pm500: "))
    return FILES


def admin_of(bootstrap_servers: str) -> AdminClient:
    """A client that comes back soon after the broker, and says nothing meanwhile."""
    return AdminClient(
        {
            "bootstrap.servers": bootstrap_servers,
            "reconnect.backoff.ms": 20,
            "reconnect.backoff.max.ms": 100,
            "log_level": 0,
        }
    )


def create_topic(
    bootstrap_servers: str, name: str, partitions: int = 1, **config: str
) -> None:
    """Make a topic; a setting such as retention.ms is written retention_ms."""
    settings = {key.replace("_", "."): value for key, value in config.items()}
    topic = NewTopic(name, partitions, 1, config=settings)
    admin = admin_of(bootstrap_servers)
    admin.create_topics([topic])[name].result(30)


class KafkaBroker:
    """One node on free ports, its files in ``folder``; a context manager.

    ``sasl`` adds a listener with TLS and a password (SASL_SSL, PLAIN), ``properties``
    are the broker's own, ``jvm`` are flags of Java: QUICK starts soonest, none at all
    is quickest in the long run.
    """

    def __init__(
        self,
        folder: Path,
        *,
        sasl: bool = False,
        properties: Mapping[str, str] | None = None,
        jvm: Sequence[str] = QUICK,
    ) -> None:
        self._files = kafka_files()
        self._folder = folder
        self._jvm = jvm
        self._sasl = sasl
        self._properties = properties or {}
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.controller_port = free_port()
        self.sasl_port = free_port() if sasl else 0
        self.username = USERNAME
        self.password = PASSWORD
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def bootstrap_servers(self) -> str:
        """The listener without security."""
        return f"127.0.0.1:{self.port}"

    @property
    def sasl_bootstrap_servers(self) -> str:
        """The listener with TLS and a password."""
        assert self._sasl
        return f"127.0.0.1:{self.sasl_port}"

    @property
    def ca_path(self) -> Path:
        """The certificate that clients of the listener with TLS must trust."""
        return self._folder / "ca.pem"

    @property
    def log_path(self) -> Path:
        """What the broker says: warnings and errors."""
        return self._folder / "kafka.log"

    @property
    def pid(self) -> int:
        """The process."""
        assert self._process
        return self._process.pid

    def __enter__(self) -> KafkaBroker:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self, seconds: float = 60.0) -> None:
        """Start on the same ports and data as before; return when it answers."""
        assert self._process is None
        if not self._data.exists():
            self._format()
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self._java("kafka.Kafka", "server.properties"),
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        admin = admin_of(self.bootstrap_servers)
        try:
            until(lambda: self._answers(admin), "Kafka answers", seconds)
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        """SIGKILL; nothing happens where it does not run."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM; its data is then whole without a recovery."""
        self._end(signal.SIGTERM)

    def pause(self) -> None:
        """SIGSTOP: connections stay, and nothing answers."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        assert self._process
        self._process.send_signal(signal.SIGCONT)

    def create_topic(self, name: str, partitions: int = 1, **config: str) -> None:
        """Make a topic; a setting such as retention.ms is written retention_ms."""
        create_topic(self.bootstrap_servers, name, partitions, **config)

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def _answers(self, admin: AdminClient) -> bool:
        assert self._process
        if self._process.poll() is not None:
            said = self.log_path.read_text("utf-8", "replace")[-2000:]
            raise AssertionError(f"Kafka ended by itself: {said}")
        try:
            return bool(admin.list_topics(timeout=1.0).brokers)
        except KafkaException:
            return False

    def _end(self, number: signal.Signals) -> None:
        if self._process:
            self._process.send_signal(number)
            self._process.wait(30)
            self._process = None

    def _java(self, *arguments: str) -> list[str]:
        settings = f"-Dlog4j.configuration=file:{SERVICES / 'kafka/log4j.properties'}"
        flags = ["-Xmx512m", "-XX:-UsePerfData", *self._jvm, settings]
        jars = f"{self._files / 'kafka'}/*"
        return [str(self._files / "java"), *flags, "-cp", jars, *arguments]

    def _format(self) -> None:
        if self._sasl:
            key = self._folder / "key.pem"
            make_certificate(self.ca_path, key)
            pair = key.read_text("utf-8") + self.ca_path.read_text("utf-8")
            (self._folder / "server.pem").write_text(pair, "utf-8")
        settings = self._settings()
        text = "".join(f"{name}={value}\n" for name, value in settings.items())
        common = (SERVICES / "kafka/server.properties").read_text("utf-8")
        (self._folder / "server.properties").write_text(common + text, "utf-8")
        identity = ["-t", "cG01MDAgdGVzdCBzZXJ2ZQ", "-c", "server.properties"]
        subprocess.run(
            self._java("kafka.tools.StorageTool", "format", *identity),
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            check=True,
        )

    def _settings(self) -> dict[str, str]:
        open_listener = f"PLAINTEXT://{self.bootstrap_servers}"
        controller = f"127.0.0.1:{self.controller_port}"
        listeners = [open_listener]
        settings = dict(TESTED)
        if self._sasl:
            listeners.append(f"SASL_SSL://{self.sasl_bootstrap_servers}")
            module = "org.apache.kafka.common.security.plain.PlainLoginModule"
            users = f'{module} required user_{USERNAME}="{PASSWORD}";'
            settings |= {
                "sasl.enabled.mechanisms": "PLAIN",
                "listener.name.sasl_ssl.plain.sasl.jaas.config": users,
                "ssl.keystore.type": "PEM",
                "ssl.keystore.location": "server.pem",
            }
        return {
            **settings,
            "listeners": ",".join([*listeners, f"CONTROLLER://{controller}"]),
            "advertised.listeners": ",".join(listeners),
            "controller.quorum.voters": f"1@{controller}",
            "log.dirs": "data",
            **self._properties,
        }
