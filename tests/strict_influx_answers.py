"""What the strict InfluxDB answers to a write: codes and texts, without sockets."""

from __future__ import annotations

import base64
import gzip
import zlib
from dataclasses import dataclass
from typing import NamedTuple

from tests.strict_influx_points import TOO_OLD, Outcome, Points, partial_write

__all__ = ["DISK_FULL", "Answer", "Behavior", "Refusal", "body_of", "decide"]

DISK_FULL = (
    "write /var/lib/influxdb/wal/pm500/autogen/2/_00003.wal: no space left on device"
)
_SECOND = 1_000_000_000
V2_PRECISIONS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": _SECOND}
# 1.6.7 takes any other word, "us" too, for ns without a word.
V1_PRECISIONS = {"ns": 1, "n": 1, "u": 1_000, "ms": 1_000_000, "s": _SECOND}
V1_PRECISIONS |= {"m": 60 * _SECOND, "h": 3600 * _SECOND}
# The codes' names in bodies of InfluxDB 2.
NAMES = {
    400: "invalid",
    401: "unauthorized",
    403: "forbidden",
    404: "not found",
    405: "method not allowed",
    413: "request too large",
    422: "unprocessable entity",
    429: "too many requests",
    500: "internal error",
    503: "unavailable",
}


class Refusal(NamedTuple):
    """An answer to every write until a test says otherwise; nothing is stored."""

    code: int
    text: str = "not now"
    retry_after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Behavior:
    """What a test may change while the server runs."""

    away: bool = False
    """Every connection is closed without an answer."""
    slow_seconds: float = 0.0
    """What a write takes; it is stored before."""
    refuses: Refusal | None = None
    max_bytes: int | None = None
    """Larger bodies get 413: as sent (1.x), or unpacked (2)."""
    poison: frozenset[str] = frozenset()
    """A line that holds one of these is malformed."""
    stores_good_lines: bool | None = None
    """Of a body with a malformed line; None: 1.x stores them, 2 stores nothing."""
    keeps_seconds: float | None = None
    """Older points are beyond the retention policy."""
    token: str = "the token"
    org: str = "plant"
    bucket: str = "meters"
    database: str = "pm500"
    username: str = ""
    """Asked for by ``/write`` where it is not empty."""
    password: str = ""


class Answer(NamedTuple):
    """A code, what is said of it, and how many lines came."""

    code: int
    text: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    lines: int = 0


def decide(
    behavior: Behavior,
    points: Points,
    path: str,
    query: dict[str, str],
    headers: dict[str, str],
    body: bytes,
) -> Answer:
    """Store what is to be stored, and say what the server says; code 0 is silence."""
    if behavior.away:
        return Answer(0)
    packed = headers.get("content-encoding") == "gzip"
    try:
        text = (gzip.decompress(body) if packed else body).decode()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        return Answer(400, f"unable to read data: {error}")
    answer = _decide(behavior, points, path, query, headers, len(body), text)
    return answer._replace(lines=sum(1 for line in text.split("\n") if line))


def _decide(
    behavior: Behavior,
    points: Points,
    path: str,
    query: dict[str, str],
    headers: dict[str, str],
    size: int,
    text: str,
) -> Answer:
    is_v2 = path == "/api/v2/write"
    if refusal := behavior.refuses:
        after = refusal.retry_after
        said = () if after is None else (("Retry-After", after),)
        return Answer(refusal.code, refusal.text, said)
    admitted = _admit_v2 if is_v2 else _admit_v1
    if refused := admitted(behavior, query, headers):
        return refused
    scale = (V2_PRECISIONS if is_v2 else V1_PRECISIONS).get(
        query.get("precision") or "ns"
    )
    if scale is None:
        return Answer(400, f"invalid precision {query['precision']!r}")
    largest = behavior.max_bytes
    if largest is not None and not is_v2 and size > largest:
        return Answer(413, "Request Entity Too Large")
    if largest is not None and is_v2 and len(text.encode()) > largest:
        return Answer(413, "unable to read data: points batch is too large")
    stores_good = behavior.stores_good_lines
    outcome = points.write(
        text,
        scale=scale,
        poison=behavior.poison,
        keeps_seconds=behavior.keeps_seconds,
        stores_good_lines=not is_v2 if stores_good is None else stores_good,
    )
    if outcome.dropped and is_v2:
        text = _dropped_v2(outcome, behavior.keeps_seconds)
        return Answer(422, f"failure writing points to database: {text}")
    if outcome.dropped:
        return Answer(400, partial_write(outcome.reason, outcome.dropped))
    if outcome.malformed:
        text = "\n".join(outcome.malformed)
        if outcome.stored:
            text = partial_write(text, 0)
        return Answer(400, text)
    return Answer(204)


def _admit_v2(
    behavior: Behavior, query: dict[str, str], headers: dict[str, str]
) -> Answer | None:
    if headers.get("authorization") != f"Token {behavior.token}":
        return Answer(401, "unauthorized access")
    if (org := query.get("org", "")) != behavior.org:
        return Answer(404, f'organization name "{org}" not found')
    if (bucket := query.get("bucket", "")) != behavior.bucket:
        return Answer(404, f'bucket "{bucket}" not found')
    return None


def _admit_v1(
    behavior: Behavior, query: dict[str, str], headers: dict[str, str]
) -> Answer | None:
    if behavior.username:
        pair = f"{behavior.username}:{behavior.password}"
        basic = f"Basic {base64.b64encode(pair.encode()).decode()}"
        given = f"{query.get('u')}:{query.get('p')}"
        if headers.get("authorization") != basic and given != pair:
            realm = ("WWW-Authenticate", 'Basic realm="InfluxDB"')
            return Answer(401, "authorization failed", (realm,))
    if not (database := query.get("db")):
        return Answer(400, "database is required")
    if database != behavior.database:
        return Answer(404, f'database not found: "{database}"')
    if (policy := query.get("rp", "autogen")) != "autogen":
        return Answer(500, f"retention policy not found: {policy}")
    return None


_SOME_POINT = (
    "powermonitor_500,area=hall1,asset=press,breaker=Q1,group=realtime,phase=total,"
    "site=plant at 2026-10-01T00:00:00Z"
)


def _dropped_v2(outcome: Outcome, keeps_seconds: float | None) -> str:
    """InfluxDB 2.7 names the retention, and the oldest and newest point in full."""
    if outcome.reason != TOO_OLD or keeps_seconds is None:
        return partial_write(outcome.reason, outcome.dropped)
    minutes, seconds = divmod(int(keeps_seconds), 60)
    hours, minutes = divmod(minutes, 60)
    reason = (
        f"dropped {outcome.dropped} points outside retention policy of duration"
        f" {hours}h{minutes}m{seconds}s - oldest point {_SOME_POINT} dropped because it"
        " violates a Retention Policy Lower Bound at 2026-11-01T00:00:00Z, newest point"
        f" {_SOME_POINT} dropped because it violates a Retention Policy Lower Bound at"
        " 2026-11-01T00:00:00Z"
    )
    text = partial_write(reason, outcome.dropped)
    return f"{text} for database: 0a1b2c3d4e5f6071 for retention policy: autogen"


def body_of(answer: Answer, *, is_v2: bool) -> dict[str, str]:
    """The body of an answer that is no good one, as each API words it."""
    if not is_v2:
        return {"error": answer.text}
    name = NAMES.get(answer.code, "internal error")
    return {"code": name, "message": answer.text}
