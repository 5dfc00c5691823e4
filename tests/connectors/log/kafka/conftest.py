from __future__ import annotations

from collections.abc import Iterator

import pytest

from connectors.stop import STOP
from tests.mock_kafka import MockCluster


@pytest.fixture
def mock() -> Iterator[MockCluster]:
    with MockCluster() as cluster:
        yield cluster


@pytest.fixture
def no_stop() -> Iterator[None]:
    STOP.requested = False
    yield
    STOP.requested = False
