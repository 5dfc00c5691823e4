from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def site(tmp_path: Path) -> Path:
    path = tmp_path / "site.toml"
    path.write_text(
        '[site]\nname = "plant"\n\n[[meter]]\nasset = "hall/press"\nhost = "127.0.0.1"\n'
    )
    return path
