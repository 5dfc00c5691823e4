"""A real InfluxDB 1.x of a test's own; tests that need it skip where there is none."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from tests.http_server import HttpServer
from tests.mosquitto import free_port

__all__ = ["INFLUXDB", "InfluxDb"]

INFLUXDB = shutil.which("influxd")
SETTINGS = Path(__file__).parents[1] / "deploy" / "services" / "influxdb"


class InfluxDb(HttpServer):
    """The server with an empty database ``pm500``; a context manager.

    What it has answered with 204 survives a kill.
    """

    name = "influxdb"

    def __init__(self, folder: Path, port: int = 0) -> None:
        super().__init__(folder, port)
        self.database = "pm500"
        self._backup_port = free_port()

    def command(self) -> tuple[list[str], dict[str, str]]:
        """The settings of a local site, with other ports and folders."""
        assert INFLUXDB is not None
        data = self._folder / "data"
        return [INFLUXDB, "-config", str(SETTINGS / "influxdb.conf")], {
            "INFLUXDB_HTTP_BIND_ADDRESS": f"127.0.0.1:{self.port}",
            "INFLUXDB_BIND_ADDRESS": f"127.0.0.1:{self._backup_port}",
            "INFLUXDB_META_DIR": str(data / "meta"),
            "INFLUXDB_DATA_DIR": str(data / "data"),
            "INFLUXDB_DATA_WAL_DIR": str(data / "wal"),
        }

    def is_ready(self) -> bool:
        """Once its database is there."""
        self.execute(f"CREATE DATABASE {self.database}")
        return True

    def execute(self, text: str) -> None:
        """Run a statement of InfluxQL that changes something."""
        self.post("/query", q=text)

    def write(self, lines: str) -> None:
        """Write lines with times in ns; HTTPError where one is refused."""
        self.post("/write", lines.encode(), db=self.database, precision="ns")

    def query(self, text: str) -> list[dict[str, Any]]:
        """The rows of a statement of InfluxQL: columns and, if grouped by them, tags.

        ``time`` is in ns since 1970. AssertionError with what the server says of a
        wrong statement.
        """
        return [
            series.get("tags", {}) | dict(zip(series["columns"], row, strict=True))
            for series in self.series(text)
            for row in series["values"]
        ]

    def series(self, text: str) -> list[dict[str, Any]]:
        """The same as the server groups it: ``columns``, ``values`` and, if any, tags."""
        answer = self.get_json("/query", db=self.database, epoch="ns", q=text)
        [result] = answer["results"]
        assert "error" not in result, result["error"]
        series: list[dict[str, Any]] = result.get("series", [])
        return series
