"""What all tests share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, settings

from tests.influxdb import INFLUXDB, InfluxDb
from tests.kafka_broker import KafkaBroker
from tests.victoria import VICTORIA, VictoriaMetrics

# A busy machine is no mistake of the code: no example has a time limit of its own.
settings.register_profile(
    "pm500", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("pm500")


@pytest.fixture(autouse=True)
def logs_as_they_were() -> Iterator[None]:
    """No test speaks through what a command set up in an earlier one."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """A broker that all tests of this process share: nobody stops it or keeps topics.

    Skips, with the reason, where no broker can be had.
    """
    # Nobody kills it, so a busy machine may keep it waiting.
    patient = {"broker.session.timeout.ms": "9000"}
    with KafkaBroker(tmp_path_factory.mktemp("kafka"), properties=patient) as broker:
        yield broker


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[Callable[..., KafkaBroker]]:
    """Start a broker of the test's own, with the arguments of ``KafkaBroker``."""
    with ExitStack() as brokers:

        def start(**options: Any) -> KafkaBroker:
            return brokers.enter_context(KafkaBroker(tmp_path / "kafka", **options))

        yield start


@pytest.fixture(scope="session")
def influxdb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxDb]:
    """An InfluxDB 1.x that all tests of this process share: nobody stops it."""
    if INFLUXDB is None:
        pytest.skip("no influxdb")
    with InfluxDb(tmp_path_factory.mktemp("influxdb")) as server:
        yield server


@pytest.fixture(scope="session")
def victoria(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VictoriaMetrics]:
    """A VictoriaMetrics that all tests of this process share: nobody stops it."""
    if VICTORIA is None:
        pytest.skip("no victoria-metrics")
    with VictoriaMetrics(tmp_path_factory.mktemp("victoria")) as server:
        yield server
