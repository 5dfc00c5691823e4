"""InfluxDB's line protocol, read strictly: a judge of what a sink writes.

Written from InfluxData's reference, and from nothing of ours. What servers only put up
with is refused: spaces that divide nothing, a field said twice, names kept for the
server.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Line", "MalformedLineError", "Point", "Value", "parse", "type_name"]

Value = float | int | bool | str

_FLOAT = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_INTEGER = re.compile(r"-?\d+i", re.ASCII)
_TIME = re.compile(r"-?\d+", re.ASCII)
_TRUE = frozenset("t T true True TRUE".split())
_FALSE = frozenset("f F false False FALSE".split())
_MEASUREMENT = ", "
_KEY = ",= "
_LONGEST = 65_535


class MalformedLineError(ValueError):
    """A line that InfluxDB would refuse, in its words where they are known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One line; its time is in the unit of the request, None where it has none."""

    measurement: str
    tags: tuple[tuple[str, str], ...]
    fields: dict[str, Value]
    time: int | None


@dataclass(frozen=True, slots=True)
class Line:
    """A line as it came, and the point in it or what is wrong with it."""

    text: str
    point: Point | None
    problem: str = ""


def parse(text: str) -> Iterator[Line]:
    """Yield every line but empty ones and comments.

    A string whose quotes do not end takes all that follows with it, as in InfluxDB.
    """
    position = 0
    while position < len(text):
        if text[position] in "\n#":
            position = _end_of_line(text, position) + 1
            continue
        cursor = _Cursor(text, position)
        try:
            point, problem = cursor.point(), ""
        except MalformedLineError as error:
            point, problem = None, str(error)
        end = _end_of_line(text, cursor.position)
        yield Line(text[position:end], point, problem)
        position = end + 1


def type_name(value: Value) -> str:
    """InfluxDB's word for the type of a field."""
    names = {float: "float", int: "integer", bool: "boolean", str: "string"}
    return names[type(value)]


class _Cursor:
    """A place in the text, which moves on with every part that was read."""

    def __init__(self, text: str, position: int) -> None:
        self._text = text
        self.position = position

    def point(self) -> Point:
        measurement = self._name(_MEASUREMENT, "missing measurement")
        tags = {}
        while self._skip(","):
            key = self._name(_KEY, "missing tag key")
            self._demand("=", "missing tag value")
            if key in tags:
                raise MalformedLineError("duplicate tags")
            tags[_allowed(key)] = self._name(_KEY, "missing tag value")
        self._demand(" ", "missing fields" if self._ended else "invalid tag format")
        fields = self._fields()
        time = self._time() if self._skip(" ") else None
        if not self._ended:
            raise MalformedLineError("invalid field format")
        return Point(
            measurement=_allowed(measurement),
            tags=tuple(sorted(tags.items())),
            fields=fields,
            time=time,
        )

    def _fields(self) -> dict[str, Value]:
        fields: dict[str, Value] = {}
        while True:
            key = self._name(_KEY, "missing field key")
            self._demand("=", "missing field value")
            if key in fields:
                raise MalformedLineError(f"duplicate field {key}")
            fields[_allowed(key)] = self._value()
            if not self._skip(","):
                return fields

    def _value(self) -> Value:
        if self._skip('"'):
            return self._string()
        word = self._word()
        if word in _TRUE or word in _FALSE:
            return word in _TRUE
        if _INTEGER.fullmatch(word):
            return _int64(word[:-1])
        if _FLOAT.fullmatch(word):
            number = float(word)
            if math.isinf(number):
                raise MalformedLineError("invalid number")
            return number
        if not word:
            raise MalformedLineError("missing field value")
        raise MalformedLineError(
            f"invalid {'number' if word[0] in '-.0123456789N' else 'boolean'}"
        )

    def _string(self) -> str:
        """The rest of a string, its end too; only quotes and backslashes are escaped."""
        found = []
        while not self._skip('"'):
            if self._peek() == "\\" and self._peek(1) in ('"', "\\"):
                self.position += 1
            if not self._peek():
                raise MalformedLineError("unbalanced quotes")
            found.append(self._peek())
            self.position += 1
        if len(found) > _LONGEST:
            raise MalformedLineError("string too long")
        return "".join(found)

    def _name(self, special: str, missing: str) -> str:
        """A name up to the first special character that has no backslash before it."""
        found = []
        while not self._ended and self._peek() not in special:
            if self._peek() == "\\" and self._peek(1) and self._peek(1) in special:
                self.position += 1
            found.append(self._peek())
            self.position += 1
        if not found:
            raise MalformedLineError(missing)
        if len(found) > _LONGEST:
            raise MalformedLineError("max key length exceeded")
        return "".join(found)

    def _time(self) -> int:
        word = self._word()
        if not _TIME.fullmatch(word):
            raise MalformedLineError("bad timestamp")
        return _int64(word)

    def _word(self) -> str:
        begin = self.position
        while not self._ended and self._peek() not in ", ":
            self.position += 1
        return self._text[begin : self.position]

    @property
    def _ended(self) -> bool:
        return self._peek() in ("", "\n")

    def _peek(self, ahead: int = 0) -> str:
        return self._text[self.position + ahead : self.position + ahead + 1]

    def _skip(self, character: str) -> bool:
        found = self._peek() == character
        self.position += found
        return found

    def _demand(self, character: str, missing: str) -> None:
        if not self._skip(character):
            raise MalformedLineError(missing)


def _end_of_line(text: str, position: int) -> int:
    end = text.find("\n", position)
    return len(text) if end < 0 else end


def _allowed(name: str) -> str:
    if name.startswith("_") or name == "time":
        raise MalformedLineError(f"{name} is a name of the server's own")
    return name


def _int64(text: str) -> int:
    number = int(text) if len(text) <= 20 else 1 << 63
    if not -(1 << 63) <= number < 1 << 63:
        raise MalformedLineError(f'parsing "{text}": value out of range')
    return number
