"""An S3-compatible store in a process of its own, on a free port, in memory.

``python -m tests.s3`` serves until it is ended, and prints its URL first. Like a real
store, and unlike the library alone, it decides one put after another, so that of two
conditional ones of the same name only one succeeds.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterable
from itertools import count
from types import TracebackType
from typing import Any

import pyarrow.fs as pafs

from sinks.archive.store import Store

__all__ = ["S3Server"]

_REFUSE, _ACCEPT = "/-refuse", "/-accept"
KEY, SECRET, REGION = "test-key", "test-secret", "eu-central-1"


class S3Server:
    """The server as a process; a context manager."""

    def __init__(self) -> None:
        self.endpoint = ""
        self._numbers = count()

    def __enter__(self) -> S3Server:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.s3"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self.endpoint = self._process.stdout.readline().strip()
        assert self.endpoint, "the S3 server has ended"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait(30)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def bucket(self) -> str:
        """The name of a new, empty bucket."""
        name = f"bucket-{next(self._numbers)}"
        pafs.S3FileSystem(
            access_key=KEY,
            secret_key=SECRET,
            region=REGION,
            scheme="http",
            endpoint_override=self.endpoint.removeprefix("http://"),
            allow_bucket_creation=True,
        ).create_dir(name)
        return name

    def refuse(self, *, everything: bool) -> None:
        """Answer every request with 403 from now on, or as a store does."""
        path = _REFUSE if everything else _ACCEPT
        urllib.request.urlopen(self.endpoint + path, timeout=10).close()

    def store(self, bucket: str, prefix: str = "plant/archive") -> Store:
        """An archive's place in the bucket."""
        return Store.of(
            f"s3://{bucket}/{prefix}",
            endpoint=self.endpoint,
            region=REGION,
            access_key_id=KEY,
            secret_access_key=SECRET,
        )


class _App:
    """The library's application, one put at a time, refusing everything if asked to."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._refuses = False

    def __call__(
        self, environ: dict[str, Any], start: Callable[..., Any]
    ) -> Iterable[bytes]:
        if environ["PATH_INFO"] in (_REFUSE, _ACCEPT):
            self._refuses = environ["PATH_INFO"] == _REFUSE
            start("204 No Content", [])
            return []
        if self._refuses:
            start("403 Forbidden", [])
            return []
        if environ["REQUEST_METHOD"] != "PUT":
            return self._app(environ, start)
        with self._lock:
            return self._app(environ, start)


def _serve() -> None:
    from moto.moto_server.werkzeug_app import (
        DomainDispatcherApplication,
        MotoRequestHandler,
        create_backend_app,
    )
    from werkzeug.serving import make_server

    logging.disable()
    app = _App(DomainDispatcherApplication(create_backend_app))
    server = make_server(
        "127.0.0.1", 0, app, threaded=True, request_handler=MotoRequestHandler
    )
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    _serve()
