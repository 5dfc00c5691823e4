"""An MQTT broker only for demonstrations and tests: amqtt in a process of its own.

It keeps nothing, knows no password and speaks MQTT 3.1.1 only. A plant runs a real
server, such as mosquitto.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from dataflows.orphan import ENVIRONMENT, follow_supervisor

__all__ = ["DemoBroker", "main"]

_STOP_SECONDS = 5.0


class DemoBroker:
    """Only for demonstrations: a broker on loopback, as long as the ``with`` lasts.

    ``port`` 0 takes a free one; ``port`` says which after entering. RuntimeError where
    it does not start: amqtt is in the extra ``demo``.
    """

    host = "127.0.0.1"

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "dataflows.broker", "--port", str(self.port)]
        # It ends with this process, however that one ends.
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            command,
            env=os.environ | {ENVIRONMENT: "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        ready = self._process.stdout.readline().split()
        if not ready:
            code = self._process.wait()
            raise RuntimeError(f"the demo broker did not start (exit code {code})")
        self.port = int(ready[-1])
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


async def _serve(host: str, port: int) -> None:
    from amqtt.broker import Broker

    # amqtt does not say which port it was given, so a free one is chosen before.
    with socket.create_server((host, port)) as free:
        port = free.getsockname()[1]
    config = {
        "listeners": {"default": {"type": "tcp", "bind": f"{host}:{port}"}},
        "plugins": {
            "amqtt.plugins.authentication.AnonymousAuthPlugin": {
                "allow_anonymous": True
            }
        },
    }
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    broker = Broker(config)
    await broker.start()
    print(f"MQTT broker only for demonstrations, on port {port}", flush=True)
    await stop.wait()
    await broker.shutdown()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the demo broker until a signal; it prints its port when it is ready."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default=DemoBroker.host, help="Address to listen on.")
    parser.add_argument("--port", type=int, default=0, help="TCP port; 0: a free one.")
    given = parser.parse_args(arguments)
    follow_supervisor()
    asyncio.run(_serve(given.host, given.port))


if __name__ == "__main__":
    main()
