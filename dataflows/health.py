"""What a flow says of itself over HTTP: ``/metrics``, ``/healthz``, ``/readyz``."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer

import structlog
from prometheus_client import CONTENT_TYPE_LATEST

__all__ = ["STALE_SECONDS", "Health", "serve_health"]

STALE_SECONDS = 30.0  # an epoch takes 1 s, or 10 s by bytewax.run: three of those


class Health:
    """Whether the flow is alive (it makes progress) and ready (nothing is held).

    Any thread may call it. A hold is logged when it begins, when its reason changes
    and when it ends, however often it is said in between.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._holds: dict[str, tuple[str, float]] = {}
        self._progress: dict[str, float] = {}
        self._log = structlog.get_logger()

    def hold(self, name: str, reason: str) -> None:
        """Say that ``name`` cannot go on now, and why: /readyz turns 503."""
        with self._lock:
            before = self._holds.get(name)
            since = before[1] if before else self._clock()
            self._holds[name] = (reason, since)
        if before is None or before[0] != reason:
            self._log.warning("held", name=name, reason=reason)

    def clear(self, name: str) -> None:
        """Say that ``name`` goes on; nothing happens where it was not held."""
        with self._lock:
            before = self._holds.pop(name, None)
        if before is not None:
            held = round(self._clock() - before[1], 3)
            self._log.info("hold_over", name=name, held_seconds=held)

    def progress(self, name: str) -> None:
        """Say that ``name`` is alive: it must say so again within STALE_SECONDS."""
        self._progress[name] = self._clock()

    def holds(self) -> dict[str, str]:
        """What is held, and why."""
        with self._lock:
            return {name: reason for name, (reason, _) in self._holds.items()}

    def stale(self) -> dict[str, float]:
        """What has made no progress for too long, and for how many seconds."""
        now = self._clock()
        ages = {name: now - at for name, at in self._progress.copy().items()}
        return {name: age for name, age in ages.items() if age > STALE_SECONDS}


def serve_health(
    host: str, port: int, health: Health, metrics: Callable[[], bytes]
) -> int:
    """Serve in a thread that ends with the process; the bound port.

    OSError where the address cannot be had.
    """

    class Handler(BaseHTTPRequestHandler):
        timeout = 5.0  # a silent client does not keep its thread

        def do_GET(self) -> None:
            match self.path.partition("?")[0]:
                case "/metrics":
                    self._answer(200, CONTENT_TYPE_LATEST, metrics())
                case "/healthz":
                    stale = {n: round(age, 1) for n, age in health.stale().items()}
                    self._verdict(not stale, stale_seconds=stale)
                case "/readyz":
                    holds = health.holds()
                    self._verdict(not holds, held=holds)
                case _:
                    self._answer(404, "text/plain", b"/metrics /healthz /readyz\n")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Requests are not logged: they come every few seconds."""

        def _verdict(self, good: bool, **why: object) -> None:
            body = json.dumps({"ok": good} | why) + "\n"
            self._answer(200 if good else 503, "application/json", body.encode())

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    class Server(ThreadingTCPServer):
        # Not http.server's own: that one asks the name service for the host.
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        allow_reuse_address = True
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that went away is no trouble of ours."""

    server = Server((host, port), Handler)
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    bound: int = server.server_address[1]
    return bound
