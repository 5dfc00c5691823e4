"""Avro single-object encoding: ``C3 01``, the schema's fingerprint, the body."""

from __future__ import annotations

import io
import json
from typing import Any

from fastavro import schemaless_reader
from fastavro.schema import fingerprint, parse_schema, to_parsing_canonical_form

__all__ = [
    "HEADER_BYTES",
    "CodecError",
    "fingerprint_of",
    "header",
    "read_body",
    "schema_json",
]

_MARKER = b"\xc3\x01"
HEADER_BYTES = 10


class CodecError(ValueError):
    """Bytes that are no record of ours, or not of a schema that is known."""


def header(schema: dict[str, Any]) -> bytes:
    """The ten bytes before every body of this schema.

    Avro 1.12 specification, "Single-object encoding": marker, then the CRC-64-AVRO
    fingerprint of the parsing canonical form, little-endian.
    """
    canonical = to_parsing_canonical_form(parse_schema(schema))
    return _MARKER + bytes.fromhex(fingerprint(canonical, "CRC-64-AVRO"))


def fingerprint_of(value: bytes) -> bytes:
    """The eight bytes that name the schema; CodecError where this is no record."""
    if len(value) < HEADER_BYTES or value[:2] != _MARKER:
        raise CodecError(f"no single-object record: starts with {value[:10].hex()!r}")
    return value[2:HEADER_BYTES]


def read_body(value: bytes, parsed: Any, what: str) -> dict[str, Any]:
    """The fields behind the header; CodecError, which names ``what`` it should be."""
    body = io.BytesIO(value[HEADER_BYTES:])
    try:
        fields: Any = schemaless_reader(body, parsed, None)
    except Exception as error:  # fastavro raises many kinds on bad bytes
        raise CodecError(f"cannot read {what}: {error!r}") from error
    if rest := body.read():
        raise CodecError(f"{len(rest)} bytes after the end of {what}")
    return dict(fields)


def schema_json(schema: dict[str, Any]) -> bytes:
    """The schema as it stands in the schemas topic."""
    return json.dumps(schema, separators=(",", ":")).encode()
