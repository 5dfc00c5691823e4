"""Servers whose answers do not end."""

from __future__ import annotations

import socket
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from sinks.influx.answer import Answer
from sinks.influx.server import InfluxServer, Target

HEADERS = b"HTTP/1.1 500 No\r\nContent-Type: text/plain\r\n"


@contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[InfluxServer]:
    """A client of a server that gives each connection to ``answer``."""

    def work() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                with suppress(OSError):  # the client goes away
                    answer(connection)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        server = InfluxServer(
            Target(url=url, version=1, bucket="b", timeout_seconds=0.3)
        )
        yield server
        server.close()
        listening.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def test_an_answer_that_drips_is_heard_for_as_long_as_the_server_may_take() -> None:
    ended = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.sendall(HEADERS + b"Content-Length: 100000\r\n\r\n")
        while not ended.wait(0.05):
            connection.sendall(b"x")

    with answering(drip) as server:
        with pytest.raises(Answer, match=r"^500 x+$"):
            server.post(b"m f=1 1")
        ended.set()


def test_of_an_answer_without_end_the_beginning_is_kept() -> None:
    chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"

    def pour(connection: socket.socket) -> None:
        connection.sendall(HEADERS + b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(200):
            connection.sendall(chunk)

    with answering(pour) as server:
        tracemalloc.start()
        try:
            with pytest.raises(Answer, match=r"^500 x+$"):
                server.post(b"m f=1 1")
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 4_000_000


def test_a_connection_serves_many_batches() -> None:
    connections: list[object] = []

    class Kept(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            connections.append(self.client_address)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Kept) as http:
        threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True).start()
        url = f"http://127.0.0.1:{http.server_port}"
        server = InfluxServer(Target(url=url, version=1, bucket="b"))
        for _ in range(5):
            server.post(b"m f=1 1")
        server.close()
        http.shutdown()
    assert len(connections) == 1
