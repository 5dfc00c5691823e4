"""Text as it stands in line protocol: tags, field keys, strings, the time.

Written from the line protocol reference of InfluxDB 1.x and 2.x, "Special characters".
Values of tags have no form for a line break, for nothing at all and for a backslash at
their end: who has such a text is told.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

__all__ = [
    "LineError",
    "fields",
    "line",
    "number",
    "problem_with_tag",
    "string",
    "tags",
]

_KEY = str.maketrans({",": r"\,", "=": r"\=", " ": r"\ "})
# The first and last of the 64-bit numbers mean something else to InfluxDB.
_LAST_NS = (1 << 63) - 3
_STRING = str.maketrans({'"': r"\"", "\\": r"\\", "\n": " ", "\r": " "})


class LineError(ValueError):
    """Something that line protocol cannot say."""


def problem_with_tag(text: str) -> str | None:
    r"""Say why a text cannot be a tag's value; None where it can.

    >>> problem_with_tag("Q 1, left")
    >>> problem_with_tag("")
    "'' must not be empty, hold control characters or end with a backslash"
    """
    if text and text.isprintable() and not text.endswith("\\"):
        return None
    return (
        f"{text!r} must not be empty, hold control characters or end with a backslash"
    )


def tags(pairs: Mapping[str, str]) -> bytes:
    r"""The tags in the order of their keys, each with a comma before it; LineError.

    >>> tags({"site": "plant", "area": "hall 1"})
    b',area=hall\\ 1,site=plant'
    """
    out = []
    for key, text in sorted(pairs.items()):
        if problem := problem_with_tag(text):
            raise LineError(f"tag {key}: {problem}")
        out.append(f",{key.translate(_KEY)}={text.translate(_KEY)}")
    return "".join(out).encode()


def number(value: float) -> str | None:
    """A number as a float field has it, exact; None for NaN and infinity.

    >>> number(480.2), number(3), number(float("nan"))
    ('480.2', '3.0', None)
    """
    return repr(float(value)) if math.isfinite(value) else None


def string(text: str) -> str:
    r"""A string field's value; a line break becomes a space.

    >>> string('say "yes"')
    '"say \\"yes\\""'
    """
    return f'"{text.translate(_STRING)}"'


def fields(values: Mapping[str, float | str | Mapping[str, str] | None]) -> bytes:
    """The fields that have a value: numbers, strings, and mappings as JSON.

    >>> fields({"due": 60, "reason": None, "text": "gap"})
    b'due=60.0,text="gap"'
    """
    out = []
    for key, value in values.items():
        if value is None:
            continue
        if isinstance(value, Mapping):
            text: str | None = string(json.dumps(dict(value), ensure_ascii=False))
        elif isinstance(value, str):
            text = string(value)
        else:
            text = number(value)
        if text is not None:
            out.append(f"{key.translate(_KEY)}={text}")
    return ",".join(out).encode()


def line(measurement: bytes, tag_set: bytes, field_set: bytes, time_ns: int) -> bytes:
    """One line, without a line break behind it; LineError for a time beyond 64 bits."""
    if not -_LAST_NS <= time_ns <= _LAST_NS:
        raise LineError(f"time {time_ns} ns is beyond what InfluxDB can hold")
    return b"%b%b %b %d" % (measurement, tag_set, field_set, time_ns)
