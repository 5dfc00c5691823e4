"""A real server with an HTTP interface: a process on a port and a folder of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, Self

from tests.kit import until
from tests.mosquitto import free_port

__all__ = ["HttpServer"]


class HttpServer:
    """Started by ``with``; may be killed, stopped and started again as often as asked.

    A kind of server says how it is run and when it is ready.
    """

    name: str

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.port = port or free_port()
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log_path(self) -> Path:
        """What it says."""
        return self._folder / f"{self.name}.log"

    @property
    def pid(self) -> int:
        """The process."""
        assert self._process
        return self._process.pid

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self, seconds: float = 30.0) -> None:
        """Start on the same port and data as before; return when it answers."""
        assert self._process is None
        command, environment = self.command()
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                env=os.environ | environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            until(self._answers, f"{self.name} answers", seconds)
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        """SIGKILL; nothing happens where it does not run."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM."""
        self._end(signal.SIGTERM)

    def command(self) -> tuple[list[str], dict[str, str]]:
        """What runs it, and what is added to its environment."""
        raise NotImplementedError

    def is_ready(self) -> bool:
        """Ask whether clients may come; OSError and False both say not yet."""
        raise NotImplementedError

    def get(self, path: str, **parameters: str) -> bytes:
        """The body of the answer; HTTPError where that is no good one."""
        return self._open(path, parameters, None)

    def get_json(self, path: str, **parameters: str) -> Any:
        """The same, parsed: of any shape."""
        return json.loads(self.get(path, **parameters))

    def post(self, path: str, body: bytes = b"", **parameters: str) -> bytes:
        """Post this body; HTTPError where the answer is no good one."""
        return self._open(path, parameters, body)

    def _open(self, path: str, parameters: dict[str, str], body: bytes | None) -> bytes:
        url = f"{self.url}{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, body, timeout=20) as answer:
            content: bytes = answer.read()
        return content

    def _answers(self) -> bool:
        assert self._process
        if self._process.poll() is not None:
            said = self.log_path.read_text("utf-8", "replace")[-2000:]
            raise AssertionError(f"{self.name} ended by itself: {said}")
        try:
            return self.is_ready()
        except OSError:
            return False

    def _end(self, number: signal.Signals) -> None:
        if self._process:
            self._process.send_signal(number)
            self._process.wait(30)
            self._process = None
