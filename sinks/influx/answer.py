"""What a server's answer to a batch of lines asks for. Pure.

InfluxDB 1.x and 2.x HTTP API, "Status codes and responses"; what 1.6.7 says was read from
its answers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum

__all__ = ["Answer", "Step"]

_LONGEST_WAIT_SECONDS = 3600.0
_LONGEST_TEXT = 300
# Of a point that is older than the database keeps there is nothing to mend.
# 1.x says how many at the end, 2.x at the start of a long text.
_EXPIRED = re.compile(r"(?:beyond|outside) retention policy")
_DROPPED = re.compile(r"dropped[= ](\d{1,9})(?!\d)")
# What follows these words is a line of ours, whatever it says.
_QUOTES = "unable to parse"
# The first 2.x have no code for it: 500, which elsewhere is the server's own trouble.
_PARTIAL = re.compile(r"partial write: .*dropped=\d")


class Step(Enum):
    """What to do with a batch that was not taken."""

    AGAIN = "again"  # the server is away, busy or in trouble: later, the same
    MEND = "mend"  # settings or rights are wrong: the same, once somebody mended them
    SPLIT = "split"  # it is too large
    ISOLATE = "isolate"  # a line of it is bad
    PASS = "pass"  # what the server keeps is stored, the rest it would not keep  # noqa: S105


class Answer(Exception):  # noqa: N818 - it says what came
    """An answer other than yes; ``status`` is None where none came.

    ``retry_after`` are the seconds that the server asks to be left alone, if it does;
    ``expired`` is how many points it says that it dropped because they are too old to
    keep; ``partial``, that it stored some and dropped others.
    """

    def __init__(
        self, status: int | None, text: str, retry_after: float | None = None
    ) -> None:
        code = "" if status is None else f"{status} "
        shown = text[:_LONGEST_TEXT]
        super().__init__(f"{code}{shown}".strip())
        self.status = status
        self.text = shown
        self.retry_after = retry_after
        self.expired = _expired(text)
        self.partial = bool(_PARTIAL.search(text))

    @classmethod
    def of(cls, status: int, body: str, headers: Mapping[str, str]) -> Answer:
        """The answer of an HTTP response."""
        after = _seconds(headers.get("Retry-After"))
        return cls(status, _said(body, headers), after)

    @property
    def step(self) -> Step:
        """What it asks for."""
        match self.status:
            case None | 408 | 425 | 429:
                return Step.AGAIN
            case 413:
                return Step.SPLIT
            case 400 | 422:
                return Step.PASS if self.expired else Step.ISOLATE
            case 500 if self.partial:
                return Step.PASS if self.expired else Step.ISOLATE
        return Step.AGAIN if self.status >= 500 else Step.MEND


def _expired(text: str) -> int:
    if not _EXPIRED.search(text.partition(_QUOTES)[0]):
        return 0
    found = _DROPPED.search(text)
    return max(1, int(found[1])) if found else 1


def _said(body: str, headers: Mapping[str, str]) -> str:
    """The error's text, in one line."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        told = None
    text = None
    if isinstance(told, dict):
        text = told.get("error") or told.get("message")
    text = str(text or headers.get("X-Influxdb-Error") or body)
    return " ".join(text.split())


def _seconds(retry_after: str | None) -> float | None:
    """Retry-After (RFC 9110, 10.2.3): seconds or a date; None where it is neither."""
    if not retry_after:
        return None
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            until = parsedate_to_datetime(retry_after).astimezone(UTC)
        except (ValueError, OverflowError):
            return None
        seconds = (until - datetime.now(UTC)).total_seconds()
    # Whoever asks for days has made a mistake.
    return min(max(0.0, seconds), _LONGEST_WAIT_SECONDS)
