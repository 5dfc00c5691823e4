"""A plant for tests and benchmarks: simulated meters, a site file, real flows."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import tomli_w

__all__ = ["Flow", "Plant", "takes_stop", "until"]

T = TypeVar("T")


def until(
    found: Callable[[], T | None], what: str, seconds: float = 60.0, pause: float = 0.05
) -> T:
    """Ask until there is an answer that is true; AssertionError after ``seconds``."""
    end = time.monotonic() + seconds
    while True:
        answer = found()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(pause)


def takes_stop(process: subprocess.Popen[Any]) -> bool:
    """Whether SIGTERM asks it to stop, or it has ended; one that starts dies of it."""
    if process.poll() is not None:
        return True
    status = Path(f"/proc/{process.pid}/status").read_text()
    caught = int(status.partition("SigCgt:")[2].split()[0], 16)
    return bool(caught >> (signal.SIGTERM - 1) & 1)


class Flow:
    """A real process of pm500 whose output goes to a file."""

    def __init__(
        self, arguments: Sequence[str], site: Path, output: Path, **environment: str
    ) -> None:
        self.output = output
        with output.open("ab") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "dataflows", *arguments],
                env=os.environ | {"PM500_SITE": str(site)} | environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process."""
        return self.process.pid

    def stop(self, seconds: float = 30.0) -> int:
        """SIGTERM, as soon as the process takes it, and the exit code."""
        until(lambda: takes_stop(self.process), "it takes a stop")
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def kill(self) -> None:
        """SIGKILL to its whole process group."""
        if self.process.poll() is None:
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait(30)

    def text(self) -> str:
        """What it has said so far."""
        return self.output.read_text("utf-8", "replace")


@dataclass
class Plant:
    """A site in a folder; flows started here are killed by ``close``."""

    folder: Path
    meters: list[dict[str, object]]
    sections: Mapping[str, object] = field(default_factory=dict)
    name: str = "plant"
    flows: list[Flow] = field(default_factory=list)

    def __post_init__(self) -> None:
        site: dict[str, Any] = {
            "site": {"name": self.name},
            "observe": {"base_port": 0, "log_format": "json"},
            **self.sections,
            "meter": self.meters,
        }
        # The clock of the machine that runs the tests is no part of them.
        site["poll"] = {"check_clock": False} | dict(site.get("poll", {}))
        self.folder.mkdir(parents=True, exist_ok=True)
        self.site.write_text(tomli_w.dumps(site), "utf-8")

    @property
    def site(self) -> Path:
        """The site file."""
        return self.folder / "site.toml"

    @property
    def log_path(self) -> Path:
        """The embedded log."""
        return self.folder / "data" / "log" / "edge.sqlite"

    @property
    def archive(self) -> Path:
        """The Delta tables."""
        return self.folder / "data" / "archive"

    def start(self, *arguments: str, **environment: str) -> Flow:
        """Start ``pm500`` with these arguments on this site."""
        words = (word for word in arguments if word.isalpha())
        output = self.folder / f"{'-'.join(words)}.log"
        flow = Flow(arguments, self.site, output, **environment)
        self.flows.append(flow)
        return flow

    def close(self) -> None:
        """Leave no process behind."""
        for flow in self.flows:
            flow.kill()
