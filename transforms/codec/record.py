"""What every record beside frames has, and how it is encoded.

The bytes are written here and not by fastavro, which takes a dict of each record and
several times as long. Fields have the types that ``record_avro``'s callers use: string,
int, long, double, bytes, ``["null", …]`` of one of them, and maps.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b
from operator import attrgetter
from typing import Any, ClassVar

from fastavro.schema import parse_schema

from transforms.codec.frame import time_varint, varint
from transforms.codec.framing import header

__all__ = ["AvroRecord", "IdsAfter", "avro_string", "content_id", "record_avro"]

_LENGTHS = tuple(varint(length) for length in range(256))
# Copying a hash is cheaper than setting one up.
_NO_CONTENT = blake2b(digest_size=10)

# A field's type says which values come: no type is theirs in common.
Writer = Callable[[Any], bytes]


def record_avro(name: str, *fields: tuple[str, Any]) -> dict[str, Any]:
    """The Avro schema of a record: id, revision and asset, then its own fields."""
    return {
        "type": "record",
        "namespace": "pm500",
        "name": name,
        "fields": [
            {"name": "id", "type": "string"},
            {"name": "revision", "type": "int"},
            {"name": "asset", "type": "string"},
            *({"name": n, "type": t} for n, t in fields),
        ],
    }


def content_id(*parts: object) -> str:
    """A short id from the content, the same on every machine and at every replay."""
    content = _NO_CONTENT.copy()
    content.update("\0".join([str(part) for part in parts]).encode())
    return content.hexdigest()


class IdsAfter:
    """Ids of contents that begin alike: ``after(*rest)`` is that of all parts together."""

    def __init__(self, *parts: object) -> None:
        self._begun = _NO_CONTENT.copy()
        self._begun.update("".join([f"{part}\0" for part in parts]).encode())

    def after(self, rest: str) -> str:
        """``rest`` are the other parts, joined by zero bytes."""
        content = self._begun.copy()
        content.update(rest.encode())
        return content.hexdigest()


class AvroRecord:
    """Id and encoding shared by the records; each names its schema and its content."""

    AVRO: ClassVar[dict[str, Any]]
    PARSED: ClassVar[Any]
    HEADER: ClassVar[bytes]
    _values: ClassVar[attrgetter[tuple[Any, ...]]]
    _writers: ClassVar[tuple[Writer, ...]]
    id: str
    revision: int
    asset: str

    def __init_subclass__(cls) -> None:
        cls.PARSED = parse_schema(cls.AVRO)
        cls.HEADER = header(cls.AVRO)
        fields = cls.AVRO["fields"]
        cls._values = attrgetter(*(field["name"] for field in fields))
        cls._writers = tuple(_writer(field["type"]) for field in fields)

    def __post_init__(self) -> None:
        if not self.id:
            object.__setattr__(self, "id", content_id(*self._content()))

    def _content(self) -> tuple[object, ...]:
        """What the id is made of, where none is given."""
        raise NotImplementedError

    def encode(self) -> bytes:
        """The record's bytes, header included; OverflowError beyond 64 bits."""
        written = [
            write(value)
            for write, value in zip(self._writers, self._values(self), strict=True)
        ]
        return b"".join((self.HEADER, *written))


def _writer(kind: Any) -> Writer:
    """How values of that Avro type are written (Avro 1.12, "Binary encoding")."""
    match kind:
        case ["null", other]:
            write = _writer(other)
            return lambda value: b"\0" if value is None else b"\2" + write(value)
        case {"type": "map", "values": other}:
            write = _writer(other)
            return lambda value: _map(write, value)
    return _PLAIN[kind]


@lru_cache(maxsize=4096)  # the records of a moment share their times and lengths
def _long(number: int) -> bytes:
    if not -(1 << 63) <= number < 1 << 63:
        raise OverflowError(f"{number} does not fit into 64 bits")
    return time_varint(number)


def _bytes(value: bytes) -> bytes:
    length = len(value)
    return (_LENGTHS[length] if length < 256 else varint(length)) + value


def avro_string(text: str) -> bytes:
    """A text as Avro writes it: its length, then UTF-8."""
    return _bytes(text.encode())


def _map(write: Writer, value: dict[str, Any]) -> bytes:
    """All entries as one block, then the end."""
    if not value:
        return b"\0"
    entries = [avro_string(name) + write(entry) for name, entry in value.items()]
    return b"".join((_long(len(value)), *entries, b"\0"))


_PLAIN: dict[str, Writer] = {
    "string": avro_string,
    "int": _long,
    "long": _long,
    "double": struct.Struct("<d").pack,
    "bytes": _bytes,
}
