"""The records beside frames: events, dead letters and ledger hours, as Avro.

Every one has an ``id`` that its content determines and a ``revision`` from 0;
consumers keep the highest revision of an id.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, ClassVar

from fastavro import schemaless_reader, schemaless_writer
from fastavro.schema import parse_schema

from transforms.codec.framing import HEADER_BYTES, CodecError, fingerprint_of, header

__all__ = [
    "RECORDS",
    "DeadLetter",
    "Event",
    "LedgerHour",
    "content_id",
    "decode_record",
]

_STRINGS = {"type": "map", "values": "string"}


def _record(name: str, *fields: tuple[str, Any]) -> dict[str, Any]:
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
    return blake2b("\0".join(map(str, parts)).encode(), digest_size=10).hexdigest()


class _Record:
    """Encoding shared by the records; each names its schema."""

    AVRO: ClassVar[dict[str, Any]]
    PARSED: ClassVar[Any]
    HEADER: ClassVar[bytes]

    def encode(self) -> bytes:
        """The record's bytes, header included."""
        out = io.BytesIO()
        out.write(self.HEADER)
        names = (field["name"] for field in self.AVRO["fields"])
        schemaless_writer(out, self.PARSED, {n: getattr(self, n) for n in names})
        return out.getvalue()


@dataclass(frozen=True, slots=True, kw_only=True)
class Event(_Record):
    """Something that happened to an asset; times in microseconds since the epoch."""

    AVRO: ClassVar[dict[str, Any]] = _record(
        "Event",
        ("kind", "string"),
        ("time", "long"),
        ("until", ["null", "long"]),
        ("group", ["null", "string"]),
        ("severity", "string"),
        ("text", "string"),
        ("data", _STRINGS),
    )
    PARSED: ClassVar[Any] = parse_schema(AVRO)
    HEADER: ClassVar[bytes] = header(AVRO)
    asset: str
    kind: str
    time: int
    severity: str = "info"
    text: str = ""
    until: int | None = None
    group: str | None = None
    data: dict[str, str] = field(default_factory=dict)
    revision: int = 0
    id: str = ""

    def __post_init__(self) -> None:
        if not self.id:
            own = content_id(self.asset, self.kind, self.time, self.group)
            object.__setattr__(self, "id", own)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter(_Record):
    """A record that a flow could not use: where it stood, and why."""

    AVRO: ClassVar[dict[str, Any]] = _record(
        "DeadLetter",
        ("topic", "string"),
        ("partition", "int"),
        ("offset", "long"),
        ("time", "long"),
        ("flow", "string"),
        ("error", "string"),
        ("key", "bytes"),
        ("value", "bytes"),
    )
    PARSED: ClassVar[Any] = parse_schema(AVRO)
    HEADER: ClassVar[bytes] = header(AVRO)
    topic: str
    partition: int
    offset: int
    time: int
    flow: str
    error: str
    key: bytes
    value: bytes
    asset: str = ""
    revision: int = 0
    id: str = ""

    def __post_init__(self) -> None:
        if not self.id:
            own = content_id(self.topic, self.partition, self.offset, self.flow)
            object.__setattr__(self, "id", own)


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerHour(_Record):
    """One hour (UTC) of one group: ``due == good + sum(failed) + missing``."""

    AVRO: ClassVar[dict[str, Any]] = _record(
        "LedgerHour",
        ("group", "string"),
        ("hour", "long"),
        ("due", "long"),
        ("good", "long"),
        ("failed", {"type": "map", "values": "long"}),
        ("missing", "long"),
    )
    PARSED: ClassVar[Any] = parse_schema(AVRO)
    HEADER: ClassVar[bytes] = header(AVRO)
    asset: str
    group: str
    hour: int
    due: int
    good: int
    failed: dict[str, int]
    missing: int
    revision: int = 0
    id: str = ""

    def __post_init__(self) -> None:
        if not self.id:
            own = content_id(self.asset, self.group, self.hour)
            object.__setattr__(self, "id", own)


RECORDS: tuple[type[Event | DeadLetter | LedgerHour], ...] = (
    Event,
    DeadLetter,
    LedgerHour,
)


_BY_FINGERPRINT = {record.HEADER[2:]: record for record in RECORDS}


def decode_record(value: bytes) -> Event | DeadLetter | LedgerHour:
    """The record; CodecError where the bytes are none of these."""
    kind = _BY_FINGERPRINT.get(fingerprint_of(value))
    if kind is None:
        raise CodecError(f"unknown schema {fingerprint_of(value).hex()}")
    body = io.BytesIO(value[HEADER_BYTES:])
    try:
        fields: Any = schemaless_reader(body, kind.PARSED, None)
    except Exception as error:  # fastavro raises many kinds on bad bytes
        raise CodecError(f"cannot read a {kind.__name__}: {error!r}") from error
    if rest := body.read():
        raise CodecError(f"{len(rest)} bytes after the end of a {kind.__name__}")
    return kind(**fields)
