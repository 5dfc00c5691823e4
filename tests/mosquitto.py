"""A real mosquitto on a free port; tests that need it skip where there is none."""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
from itertools import cycle, islice
from pathlib import Path
from types import TracebackType

from tests.kit import until

__all__ = ["MOSQUITTO", "Mosquitto", "free_port"]

MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/bin")


# Below the ports that the system hands out to clients: a server that is away for a
# while finds its port free again. Each worker of pytest-xdist has a thousand of its own.
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw11").removeprefix("gw")) % 12
_PORTS = cycle(
    random.sample(range(20000 + 1000 * _WORKER, 21000 + 1000 * _WORKER), 1000)
)


def free_port() -> int:
    """A port that nothing listens on just now, and that was not given out lately."""
    for port in islice(_PORTS, 1000):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")


class Mosquitto:
    """The broker as a process; a context manager."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.port = port or free_port()
        self._settings = folder / "mosquitto.conf"
        self._settings.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\n"
            "set_tcp_nodelay true\nmax_queued_messages 0\n",
            "utf-8",
        )

    def __enter__(self) -> Mosquitto:
        assert MOSQUITTO is not None
        self._process = subprocess.Popen(
            [MOSQUITTO, "-c", str(self._settings)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        until(self._answers, "mosquitto answers", 10)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait(30)

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0
