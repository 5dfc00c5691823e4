"""The records beside frames and windows, as Avro.

Every one has an ``id`` that its content determines and a ``revision`` from 0;
consumers keep the highest revision of an id.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from transforms.codec.derived import Demand, Energy
from transforms.codec.framing import (
    HEADER_BYTES,
    CodecError,
    fingerprint_of,
    read_body,
)
from transforms.codec.record import AvroRecord, content_id, record_avro

__all__ = [
    "RECORDS",
    "AnyRecord",
    "DeadLetter",
    "Demand",
    "Energy",
    "Event",
    "LedgerHour",
    "content_id",
    "decode_record",
    "is_record",
]

_STRINGS = {"type": "map", "values": "string"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event(AvroRecord):
    """Something that happened to an asset; times in microseconds since the epoch."""

    AVRO: ClassVar[dict[str, Any]] = record_avro(
        "Event",
        ("kind", "string"),
        ("time", "long"),
        ("until", ["null", "long"]),
        ("group", ["null", "string"]),
        ("severity", "string"),
        ("text", "string"),
        ("data", _STRINGS),
    )
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

    def _content(self) -> tuple[object, ...]:
        return self.asset, self.kind, self.time, self.group


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter(AvroRecord):
    """A record that a flow could not use: where it stood, and why."""

    AVRO: ClassVar[dict[str, Any]] = record_avro(
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

    def _content(self) -> tuple[object, ...]:
        return self.topic, self.partition, self.offset, self.flow


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerHour(AvroRecord):
    """One hour (UTC) of one group: ``due == good + sum(failed) + missing``."""

    AVRO: ClassVar[dict[str, Any]] = record_avro(
        "LedgerHour",
        ("group", "string"),
        ("hour", "long"),
        ("due", "long"),
        ("good", "long"),
        ("failed", {"type": "map", "values": "long"}),
        ("missing", "long"),
    )
    asset: str
    group: str
    hour: int
    due: int
    good: int
    failed: dict[str, int]
    missing: int
    revision: int = 0
    id: str = ""

    def _content(self) -> tuple[object, ...]:
        return self.asset, self.group, self.hour


AnyRecord = Event | DeadLetter | LedgerHour | Demand | Energy

RECORDS: tuple[type[AnyRecord], ...] = (Event, DeadLetter, LedgerHour, Demand, Energy)


_BY_FINGERPRINT = {record.HEADER[2:]: record for record in RECORDS}


def is_record(value: bytes) -> bool:
    """Whether the bytes begin as one of these records do."""
    return value[2:HEADER_BYTES] in _BY_FINGERPRINT


def decode_record(value: bytes) -> AnyRecord:
    """The record; CodecError where the bytes are none of these."""
    kind = _BY_FINGERPRINT.get(fingerprint_of(value))
    if kind is None:
        raise CodecError(f"unknown schema {fingerprint_of(value).hex()}")
    return kind(**read_body(value, kind.PARSED, f"a {kind.__name__}"))
