"""Real processes for tests, always ended, and bounded waits on what they do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.error import HTTPError
from urllib.request import urlopen

import psutil

from dataflows.instance import Run, running

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
PM500 = (sys.executable, "-m", "dataflows")
TINY = (sys.executable, "-m", "tests.dataflows.tiny")

SITE = """
[site]
name = "plant1"
[[meter]]
asset = "hall1/m1"
host = "127.0.0.1"
[observe]
base_port = 0
"""


def write_site(folder: Path, text: str = SITE) -> Path:
    path = folder / "site.toml"
    path.write_text(text, "utf-8")
    return path


def wait_for(what: Callable[[], T | None], seconds: float = 60.0) -> T:
    """What ``what`` gives once it is true; AssertionError after ``seconds``."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(0.02)
    raise AssertionError(f"waited {seconds} s in vain")


@contextmanager
def process(
    command: Sequence[str], site: Path, **environment: str
) -> Iterator[subprocess.Popen[str]]:
    """A process and, at the end, the end of it and of its children."""
    running = subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | {"PM500_SITE": str(site)} | environment,
        stderr=(site.parent / "stderr.log").open("a"),
        text=True,
    )
    family = psutil.Process(running.pid)
    try:
        yield running
    finally:
        if running.poll() is None:
            children = family.children(recursive=True)
            for each in (*children, family):
                each.kill()
        running.wait()


def found(site: Path, name: str) -> Run:
    """Where the flow is, once it runs."""
    return wait_for(lambda: running(site.parent / "data" / "run").get(name))


def gone(pid: int) -> bool:
    """Whether a process has ended, reaped or not."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def get(run: Run, path: str) -> tuple[int, str]:
    """Status and body of the flow's health server."""
    try:
        with urlopen(f"http://{run.host}:{run.port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


def events(site: Path, name: str) -> list[dict[str, Any]]:
    """The JSON log lines of one event."""
    lines = (site.parent / "stderr.log").read_text("utf-8").splitlines()
    parsed = [json.loads(line) for line in lines if line.startswith("{")]
    return [each for each in parsed if each["event"] == name]
