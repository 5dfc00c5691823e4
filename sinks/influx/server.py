"""The server's write endpoint, version 2 or 1, by influxdb-client, one batch at a time.

The client's synchronous API is used as it is, without its retries: who is answered no
decides here. It compresses by level 9, which takes several times as long as all the
rest; so the body is compressed before it gets there.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import urllib3
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.rest import ApiException
from influxdb_client.service.write_service import WriteService

from sinks.influx.answer import Answer

__all__ = ["InfluxServer", "Target"]

_GZIP_LEVEL = 1


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
    secret: str | None = None
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
        service: Any = WriteService
        self._client = client(
            url=target.url,
            token=target.secret if target.version == 2 else None,
            org=target.org or None,
            timeout=round(target.timeout_seconds * 1000),
        )
        self._write = service(self._client.api_client)

    def post(self, lines: bytes) -> None:
        """Have the lines stored, all of them; Answer where the server says anything else.

        Times are in nanoseconds.
        """
        body = gzip.compress(lines, _GZIP_LEVEL, mtime=0)
        post = self._post_2 if self._target.version == 2 else self._post_1
        self._asked(partial(post, body))

    def _asked(self, ask: Callable[[], Any]) -> Any:
        """What the client gives; Answer in place of all that it raises."""
        try:
            return ask()
        except ApiException as error:
            if not error.status:  # TLS trouble, as the client tells it
                raise Answer(None, " ".join(str(error.reason).split())) from error
            headers = {name.title(): text for name, text in _headers(error).items()}
            raise Answer.of(error.status, str(error.body or ""), headers) from error
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

    def _post_2(self, body: bytes) -> None:
        self._write.post_write(
            self._target.org,
            self._target.bucket,
            body,
            precision="ns",
            content_encoding="gzip",
            content_type="text/plain; charset=utf-8",
        )

    def _post_1(self, body: bytes) -> None:
        target = self._target
        query = [("db", target.bucket), ("precision", "ns")]
        if target.retention_policy:
            query.append(("rp", target.retention_policy))
        headers = {
            "Content-Type": "text/plain; charset=utf-8",
            "Content-Encoding": "gzip",
        }
        if target.username is not None:
            user = f"{target.username}:{target.secret or ''}"
            headers |= urllib3.make_headers(basic_auth=user)
        self._client.api_client.call_api(
            "/write", "POST", query_params=query, header_params=headers, body=body
        )


def _headers(error: ApiException) -> dict[str, Any]:
    return dict(error.headers or {})


def _why(error: Exception) -> str:
    """The reason below what urllib3 wraps around it, in one line."""
    reason = getattr(error, "reason", None) or error
    return " ".join(str(reason).split()) or type(error).__name__
