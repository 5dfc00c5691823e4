"""A real VictoriaMetrics of a test's own; tests that need it skip where there is none."""

from __future__ import annotations

import json
import shutil
from typing import Any

from tests.http_server import HttpServer

__all__ = ["VICTORIA", "VictoriaMetrics"]

VICTORIA = shutil.which("victoria-metrics")


class VictoriaMetrics(HttpServer):
    """The server without data; a context manager.

    It takes ``/api/v2/write`` and ``/write``: a series per measurement and field, named
    ``measurement_field``, in ms. A kill loses the last seconds, ``stop`` nothing.
    """

    name = "victoria"

    def command(self) -> tuple[list[str], dict[str, str]]:
        """As a local site runs it; old days are kept too."""
        assert VICTORIA is not None
        return [
            VICTORIA,
            f"-storageDataPath={self._folder / 'data'}",
            f"-httpListenAddr=127.0.0.1:{self.port}",
            "-retentionPeriod=100y",
            "-search.latencyOffset=0s",
            "-search.disableCache",
            "-selfScrapeInterval=0s",
            "-memory.allowedPercent=10",
            "-loggerLevel=WARN",
        ], {}

    def is_ready(self) -> bool:
        """Once it says so."""
        return self.get("/health") == b"OK"

    def write(self, lines: str) -> None:
        """Write lines with times in ns; wrong ones are left out, and nothing is said."""
        self.post("/api/v2/write", lines.encode(), precision="ns")

    def export(self, match: str) -> list[dict[str, Any]]:
        """The series of a selector as they are: ``metric``, ``values``, ``timestamps``.

        All that was written before shows.
        """
        self._flush()
        text = self.get("/api/v1/export", **{"match[]": match})
        return [json.loads(line) for line in text.splitlines()]

    def query(self, text: str, **parameters: str) -> list[dict[str, Any]]:
        """The result of a query in PromQL; ``time`` and ``step`` are parameters."""
        self._flush()
        answer = self.get_json("/api/v1/query", query=text, **parameters)
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result

    def _flush(self) -> None:
        self.get("/internal/force_flush")
