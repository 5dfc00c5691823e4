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
from sinks.influx.patience import PatientPool

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
    """Posts batches; one thread at a time.

    After an answer 401 or 403 ``secret`` is asked for the target's again, None where it
    cannot be had just now: a secret is changed without a restart.
    """

    def __init__(
        self, target: Target, *, secret: Callable[[], str | None] | None = None
    ) -> None:
        self._target = target
        self._ask_secret = secret
        self._unknown_to_it = False
        # The client's own types are not those that it takes.
        client: Any = InfluxDBClient
        self._client = client(
            url=target.url,
            token=None,
            org=target.org or None,
            timeout=round(target.timeout_seconds * 1000),
        )
        rest = self._client.api_client.rest_client
        rest.pool_manager = PatientPool(rest.pool_manager)
        self._path, self._query = _place_of(target)
        self._headers = _headers_of(target, target.secret)

    def post(self, lines: bytes, timeout_seconds: float | None = None) -> None:
        """Have the lines stored, all of them; Answer where the server says anything else.

        Times are in nanoseconds. ``timeout_seconds`` is the target's unless given.
        """
        seconds = timeout_seconds or self._target.timeout_seconds
        if self._unknown_to_it:
            self._renew_secret()
        try:
            status, headers = self._post(lines, seconds)
        except Answer as answer:
            self._unknown_to_it = answer.status in (401, 403)
            raise
        self._unknown_to_it = False
        if status != _STORED:
            # A portal or a proxy is glad of everything.
            raise Answer.of(status, "no InfluxDB answers there", headers)

    def _post(self, lines: bytes, seconds: float) -> tuple[int, Any]:
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
            ),
            seconds,
        )
        return status, headers

    def _renew_secret(self) -> None:
        secret = self._ask_secret() if self._ask_secret is not None else None
        if secret is not None:
            self._headers = _headers_of(self._target, secret)

    def _asked(self, ask: Callable[[], Any], seconds: float) -> Any:
        """What the client gives; Answer in place of all that it raises."""
        try:
            return ask()
        except ApiException as error:
            if not error.status:  # TLS trouble, as the client tells it
                raise Answer(None, " ".join(str(error.reason).split())) from error
            told: Any = error.headers or {}  # urllib3's: in letters of any case
            raise Answer.of(error.status, str(error.body or ""), told) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Answer(None, _why(error, seconds)) from error
        except UnicodeDecodeError as error:
            raise Answer(None, f"no InfluxDB answers there: {error}") from error

    def version(self) -> str:
        """What the server says that it is, ``unknown`` where it does not say; Answer."""
        ask = partial(self._client.api_client.call_api, "/ping", "GET")
        found = self._asked(ask, self._target.timeout_seconds)
        return str(found[2].get("X-Influxdb-Version", "unknown"))

    def close(self) -> None:
        """Give the connection back."""
        self._client.close()


def _place_of(target: Target) -> tuple[str, list[tuple[str, str]]]:
    """Path and query of a write."""
    if target.version == 2:
        query = [("org", target.org), ("bucket", target.bucket), ("precision", "ns")]
        return "/api/v2/write", query
    query = [("db", target.bucket), ("precision", "ns")]
    if target.retention_policy:
        query.append(("rp", target.retention_policy))
    return "/write", query


def _headers_of(target: Target, secret: str | None) -> dict[str, str]:
    headers = {
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Encoding": "gzip",
    }
    if target.version == 2:
        return headers | ({"Authorization": f"Token {secret}"} if secret else {})
    if target.username is not None:
        user = b64encode(f"{target.username}:{secret or ''}".encode()).decode()
        return headers | {"Authorization": f"Basic {user}"}
    return headers


def _why(error: Exception, seconds: float) -> str:
    """The reason below what urllib3 wraps around it: the same words each time."""
    reason = getattr(error, "reason", None) or error
    match reason:
        case urllib3.exceptions.NewConnectionError():
            pass  # refused, unknown or out of reach; urllib3 takes it for a time-out
        case urllib3.exceptions.ConnectTimeoutError():
            return f"no connection within {seconds:g} s"
        case urllib3.exceptions.TimeoutError():
            return f"no answer within {seconds:g} s"
    return " ".join(str(reason).split()) or type(error).__name__
