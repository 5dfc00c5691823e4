from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from tests.kafka_broker import KafkaBroker

SITE = """
[site]
name = "plant"

[[meter]]
asset = "hall/press"
host = "127.0.0.1"
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    path = tmp_path / "site.toml"
    path.write_text(SITE)
    return path


@pytest.fixture
def kafka_site(site: Path, kafka: KafkaBroker) -> Path:
    """The same with Kafka, its topics among none of others; no topic exists yet."""
    site.write_text(f"""
        {SITE}
        [kafka]
        bootstrap_servers = "{kafka.bootstrap_servers}"
        topic_prefix = "{uuid4().hex[:8]}."
        partitions = 3
        """)
    return site


@pytest.fixture
def away_site(site: Path) -> Path:
    """A site whose cluster is not there; its own settings make that known soon."""
    site.write_text(f"""
        {SITE}
        [kafka]
        bootstrap_servers = "127.0.0.1:1"
        """)
    return site
