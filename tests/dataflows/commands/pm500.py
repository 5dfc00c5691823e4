"""The command ``pm500`` in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def environment(site: Path) -> dict[str, str]:
    return os.environ | {"PM500_SITE": str(site), "PYTHONPATH": str(ROOT)}


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "dataflows", *words]


def run(site: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*words),
        env=environment(site),
        cwd=site.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
