"""The server's write endpoint, version 2 or 1, by influxdb-client, one batch at a time.

The client's synchronous API is used as it is, without its retries: who is answered no
decides here. It compresses by level 9, which takes several times as long as all the
rest; so the body is compressed before it gets there.
"""

from __future__ import annotations

import gzip
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import urllib3
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.rest import ApiException

from sinks.influx.answer import Answer

__all__ = ["InfluxServer", "Target"]

_GZIP_LEVEL = 1
_STORED = 204


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where points go: a bucket of an organization (2.x), or a database (1.x).

    ``secret`` is the token, or the password of ``username``; None where the server asks
    for none.
    """

    url: str
    version: int
    bucket: str
    org: str = ""
    username: str | None = None
    secret: str | None = field(default=None, repr=False)
    retention_policy: str | None = None
    timeout_seconds: float = 10.0

    def __str__(self) -> str:
        where = f"database {self.bucket}" if self.version == 1 else self._bucket
        return f"{self.url}, {where}"

    @property
    def _bucket(self) -> str:
        return f"bucket {self.bucket} of {self.org}"


class InfluxServer:
    """Posts batches; one thread at a time."""

    def __init__(self, target: Target) -> None:
        self._target = target
        # The client's own types are not those that it takes.
        client: Any = InfluxDBClient
        self._client = client(
            url=target.url,
            token=target.secret if target.version == 2 else None,
            org=target.org or None,
            timeout=round(target.timeout_seconds * 1000),
        )
        self._path, self._query, self._headers = _request_of(target)

    def post(self, lines: bytes, timeout_seconds: float | None = None) -> None:
        """Have the lines stored, all of them; Answer where the server says anything else.

        Times are in nanoseconds. ``timeout_seconds`` is the target's unless given.
        """
        seconds = timeout_seconds or self._target.timeout_seconds
        _, status, headers = self._asked(
            partial(
                self._client.api_client.call_api,
                self._path,
                "POST",
                query_params=[*self._query],
                header_params=dict(self._headers),
                body=gzip.compress(lines, _GZIP_LEVEL, mtime=0),
                _return_http_data_only=False,
                _request_timeout=round(seconds * 1000),
            )
        )
        if status != _STORED:
            # A portal or a proxy is glad of everything.
            raise Answer.of(status, "no InfluxDB answers there", headers)

    def _asked(self, ask: Callable[[], Any]) -> Any:
        """What the client gives; Answer in place of all that it raises."""
        try:
            return ask()
        except ApiException as error:
            if not error.status:  # TLS trouble, as the client tells it
                raise Answer(None, " ".join(str(error.reason).split())) from error
            told: Any = error.headers or {}  # urllib3's: in letters of any case
            raise Answer.of(error.status, str(error.body or ""), told) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Answer(None, _why(error)) from error
        except UnicodeDecodeError as error:
            raise Answer(None, f"no InfluxDB answers there: {error}") from error

    def version(self) -> str:
        """What the server says that it is, ``unknown`` where it does not say; Answer."""
        found = self._asked(partial(self._client.api_client.call_api, "/ping", "GET"))
        return str(found[2].get("X-Influxdb-Version", "unknown"))

    def close(self) -> None:
        """Give the connection back."""
        self._client.close()


def _request_of(
    target: Target,
) -> tuple[str, list[tuple[str, str]], dict[str, str]]:
    """Path, query and headers of a write."""
    headers = {
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Encoding": "gzip",
    }
    if target.version == 2:
        query = [("org", target.org), ("bucket", target.bucket), ("precision", "ns")]
        return "/api/v2/write", query, headers
    query = [("db", target.bucket), ("precision", "ns")]
    if target.retention_policy:
        query.append(("rp", target.retention_policy))
    if target.username is not None:
        user = f"{target.username}:{target.secret or ''}".encode()
        headers["Authorization"] = f"Basic {b64encode(user).decode()}"
    return "/write", query, headers


def _why(error: Exception) -> str:
    """The reason below what urllib3 wraps around it, in one line."""
    reason = getattr(error, "reason", None) or error
    return " ".join(str(reason).split()) or type(error).__name__
