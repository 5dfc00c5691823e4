from __future__ import annotations

from pathlib import Path

import pytest

from tests.connectors.log.contract_suite import LogContract
from tests.connectors.log.factories import EmbeddedFactory, LogFactory


class TestEmbeddedLog(LogContract):
    @pytest.fixture
    def log_factory(self, tmp_path: Path) -> LogFactory:
        return EmbeddedFactory(tmp_path / "log" / "edge.sqlite")
