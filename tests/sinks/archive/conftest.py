"""Where the archive's tests put their tables: a folder, and a bucket."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sinks.archive.store import Store
from tests.s3 import S3Server


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """A server that all tests of this process share; each takes a bucket of its own."""
    with S3Server() as server:
        yield server


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """An empty place, of both kinds in turn."""
    if request.param == "folder":
        return Store.of(tmp_path / "archive")
    server: S3Server = request.getfixturevalue("s3")
    return server.store(server.bucket())
