"""The demo's processes: started in groups of their own, stopped by SIGTERM, never left.

Ctrl-C reaches the demo alone, which then stops them in order. Their standard input is
the sign of the demo's life (``dataflows.orphan``).
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from dataflows.orphan import ENVIRONMENT
from dataflows.replica import VARIABLE

__all__ = ["Child", "DemoError", "Stopped"]

_LOOK_SECONDS = 0.1
_TAIL_LINES = 8


class DemoError(Exception):
    """The demo cannot go on; the text is for its user."""


class Stopped(Exception):  # noqa: N818 - no error
    """A stop was asked for while something was waited for."""


class Child:
    """A process of ours; what it says on standard error goes to ``log_path``."""

    def __init__(self, name: str, module: str, *arguments: str, log_path: Path) -> None:
        self.name = name
        self._log_path = log_path
        command = [sys.executable, "-m", "dataflows.demo.child", module, *arguments]
        with log_path.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own command
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=os.environ | {ENVIRONMENT: "1", VARIABLE: ""},
                process_group=0,
            )

    def lines(
        self, most: int | None, seconds: float, stop: Callable[[], bool]
    ) -> list[str]:
        """What it prints: ``most`` lines, or all until it closes its output.

        DemoError where it ends before the last of them or takes longer; Stopped.
        """
        assert self.process.stdout is not None
        descriptor = self.process.stdout.fileno()
        deadline = time.monotonic() + seconds
        text = b""
        while most is None or text.count(b"\n") < most:
            if stop():
                raise Stopped
            if time.monotonic() > deadline:
                raise DemoError(f"{self.name} is not ready after {seconds:g} s")
            if not select.select([descriptor], [], [], _LOOK_SECONDS)[0]:
                continue
            read = os.read(descriptor, 65536)
            if not read and most is not None:
                code = self.process.wait()
                raise DemoError(self.obituary(code))
            if not read:
                break
            text += read
        return text.decode(errors="replace").splitlines()

    def obituary(self, code: int) -> str:
        """How it ended, with its last words."""
        said = self._log_path.read_text("utf-8", "replace").splitlines()
        words = "".join(f"\n  {line}" for line in said[-_TAIL_LINES:])
        return f"{self.name} ended with exit code {code} ({self._log_path}){words}"

    @property
    def code(self) -> int | None:
        """The exit code; None while it runs."""
        return self.process.poll()

    def stop(self, seconds: float) -> int:
        """SIGTERM, then SIGKILL after so long; the exit code."""
        self.process.terminate()
        return self.wait(seconds)

    def wait(self, seconds: float) -> int:
        """Wait for its end, which comes by SIGKILL after so long; the exit code."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()
        return code
