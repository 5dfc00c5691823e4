"""A strict InfluxDB that answers as a test asks: for what real ones do not say at will.

It takes ``/api/v2/write`` as InfluxDB 2 does and ``/write`` as InfluxDB 1.6.7 does, with
their codes and bodies. Both write to the same points.
"""

from __future__ import annotations

import dataclasses
import json
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.strict_influx_answers import (
    DISK_FULL,
    Answer,
    Behavior,
    Refusal,
    body_of,
    decide,
)
from tests.strict_influx_points import Points, Stored

__all__ = ["DISK_FULL", "Behavior", "Refusal", "Request", "StrictInflux"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A write as it came; code 0 stands for a connection closed without an answer."""

    at: float
    """Of time.monotonic(), when all of it had come."""
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    size: int
    """Bytes on the wire."""
    lines: int
    code: int


class StrictInflux:
    """The server on a port of its own; a context manager."""

    def __init__(self, *, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self._lock = threading.Condition()
        self._behavior = Behavior()
        self._points = Points(clock_ns)
        self._requests: list[Request] = []
        self._in_flight = 0
        self._most_in_flight = 0
        self._times_away = 0
        self._ended = False
        self._server = _Server(self)

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def points(self) -> Stored:
        """All fields by measurement, sorted tags and time in ns."""
        with self._lock:
            return self._points.copy()

    @property
    def requests(self) -> list[Request]:
        """The writes so far, in the order of their answers."""
        with self._lock:
            return list(self._requests)

    @property
    def most_in_flight(self) -> int:
        """How many writes were there at once, at most."""
        with self._lock:
            return self._most_in_flight

    def behave(self, **changes: Any) -> None:
        """Change fields of Behavior from the next request on; the others stay."""
        with self._lock:
            self._behavior = dataclasses.replace(self._behavior, **changes)
            away = self._behavior.away
            self._times_away += away
            self._lock.notify_all()
        if away:
            self._server.hang_up()

    def __enter__(self) -> StrictInflux:
        # The server looks that often whether it is to end.
        threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        ).start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._ended = True
            self._lock.notify_all()
        self._server.shutdown()
        self._server.server_close()
        self._server.hang_up()

    def is_away(self) -> bool:
        """Whether connections are to be closed just now."""
        return self._behavior.away

    def write(self, path: str, headers: dict[str, str], body: bytes) -> Answer:
        """Take a write; the answer comes when its time has come."""
        at = time.monotonic()
        parts = urlsplit(path)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        with self._lock:
            behavior = self._behavior
            times_away = self._times_away
            self._in_flight += 1
            self._most_in_flight = max(self._most_in_flight, self._in_flight)
            answer = decide(behavior, self._points, parts.path, query, headers, body)
            # Nobody waits for the answer of one that went away.
            self._lock.wait_for(
                lambda: self._ended or self._times_away != times_away,
                behavior.slow_seconds,
            )
            self._in_flight -= 1
            code = answer.code if times_away == self._times_away else 0
            self._requests.append(
                Request(
                    at=at,
                    path=parts.path,
                    query=query,
                    headers=headers,
                    size=len(body),
                    lines=answer.lines,
                    code=code,
                )
            )
        return answer._replace(code=code)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, influx: StrictInflux) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.influx = influx
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()

    def hang_up(self) -> None:
        """Close every connection there is."""
        with self._lock:
            for connection in self._connections:
                _shut(connection)

    def came(self, connection: socket.socket) -> None:
        with self._lock:
            self._connections.add(connection)

    def went(self, connection: socket.socket) -> None:
        with self._lock:
            self._connections.discard(connection)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body of an answer are two writes.
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.came(self.connection)

    def finish(self) -> None:
        self.server.went(self.connection)
        super().finish()

    def handle(self) -> None:
        # The client or hang_up may end the connection at any place.
        try:
            super().handle()
        except OSError:
            self.close_connection = True

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        path = urlsplit(self.path).path
        if len(body) < length:
            self.close_connection = True
            return
        if path not in ("/api/v2/write", "/write"):
            self._send(Answer(404, "path not found"), is_v2=True)
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.server.influx.write(self.path, headers, body)
        self._send(answer, is_v2=path != "/write")

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if self.server.influx.is_away():
            self._send(Answer(0), is_v2=True)
        elif path == "/ping":
            self._send(Answer(204), is_v2=True)
        elif path == "/health":
            health = {"name": "influxdb", "message": "ready", "status": "pass"}
            self._send_json(200, health)
        else:
            self._send(Answer(404, "path not found"), is_v2=True)

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing."""

    def _send(self, answer: Answer, *, is_v2: bool) -> None:
        if answer.code == 0:
            self.close_connection = True
            _shut(self.connection)
        elif answer.code == 204:
            self._send_json(204, None)
        else:
            line = " ".join(answer.text.splitlines()).encode("ascii", "replace")
            error = () if is_v2 else (("X-Influxdb-Error", line.decode()),)
            body = body_of(answer, is_v2=is_v2)
            self._send_json(answer.code, body, *error, *answer.headers)

    def _send_json(
        self, code: int, body: dict[str, str] | None, *headers: tuple[str, str]
    ) -> None:
        content = b"" if body is None else json.dumps(body).encode() + b"\n"
        self.send_response(code)
        self.send_header("X-Influxdb-Version", "strict")
        for name, value in headers:
            self.send_header(name, value)
        if body is not None:
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        # The other side was quicker.
        return
