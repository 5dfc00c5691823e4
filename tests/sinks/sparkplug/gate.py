"""A door between a client and a server: shut, it drops every connection."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress


class Gate:
    """Forwards a free port of loopback to another, while it is open."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._pairs: list[socket.socket] = []
        self._listen(0)
        self.port: int = self._server.getsockname()[1]

    def shut(self) -> None:
        """Drop every connection, and new ones as soon as they are made."""
        self._is_open = False
        for end in self._pairs:
            _end(end)
        self._pairs.clear()

    def open(self) -> None:
        self._is_open = True

    def close(self) -> None:
        """Nothing listens any more: connections are refused."""
        self.shut()
        _end(self._server)

    def reopen(self) -> None:
        """Listen again after ``close``, on the same port."""
        self._listen(self.port)

    def _listen(self, port: int) -> None:
        self._server = socket.create_server(("127.0.0.1", port))
        self._is_open = True
        threading.Thread(target=self._accept, args=(self._server,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._target), 5)
            except OSError:
                _end(client)
                continue
            if not self._is_open:
                _end(client)
                _end(server)
                continue
            self._pairs += [client, server]
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=_pump, args=(source, sink), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    _end(source)
    _end(sink)


def _end(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
