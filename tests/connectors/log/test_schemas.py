from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.log.contract import SCHEMAS
from connectors.log.embedded import EmbeddedLog
from connectors.log.schemas import Schemas, publish_schemas
from transforms.codec.frame import Column, FrameSchema
from transforms.codec.framing import CodecError
from transforms.codec.records import RECORDS, Event

REALTIME = FrameSchema(
    "pm500", "realtime", (Column("voltageAN", "float"), Column("currentA", "float"))
)
ENERGY = FrameSchema("pm500", "energy", (Column("energyImport", "double"),))


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EmbeddedLog]:
    with EmbeddedLog(tmp_path / "edge.sqlite") as log:
        yield log


def frame_of(schema: FrameSchema) -> bytes:
    return schema.encode_failed(7, 1_000_000, 7_000_000, 7_000_001, 7_000_002, 2)


def test_every_schema_stands_under_its_fingerprint(log: EmbeddedLog) -> None:
    written = publish_schemas(log, [REALTIME, ENERGY])
    found = {r.key: json.loads(r.value) for r in log.read(SCHEMAS, 0, 0, 100)}
    assert written == 2 + len(RECORDS)
    assert found[REALTIME.fingerprint.hex()] == REALTIME.avro
    assert found[ENERGY.fingerprint.hex()] == ENERGY.avro
    names = {schema["name"] for schema in found.values()}
    assert {"Event", "DeadLetter", "LedgerHour"} <= names


def test_only_what_is_missing_is_written(log: EmbeddedLog) -> None:
    publish_schemas(log, [REALTIME, REALTIME])
    assert publish_schemas(log, [REALTIME]) == 0
    assert publish_schemas(log, [REALTIME, ENERGY]) == 1
    assert log.bounds(SCHEMAS, 0) == (0, 2 + len(RECORDS))


def test_a_frame_finds_its_schema(log: EmbeddedLog) -> None:
    publish_schemas(log, [REALTIME, ENERGY])
    schemas = Schemas(log)
    assert schemas.frame_schema(frame_of(REALTIME)) == REALTIME
    assert schemas.frame_schema(frame_of(ENERGY)) == ENERGY


def test_a_schema_that_comes_later_is_found(log: EmbeddedLog) -> None:
    schemas = Schemas(log)
    with pytest.raises(CodecError, match=REALTIME.fingerprint.hex()):
        schemas.frame_schema(frame_of(REALTIME))
    with EmbeddedLog(log.path) as another:
        publish_schemas(another, [REALTIME])
    assert schemas.frame_schema(frame_of(REALTIME)) == REALTIME


def test_a_schema_written_twice_is_harmless(log: EmbeddedLog) -> None:
    publish_schemas(log, [REALTIME])
    log.append(SCHEMAS, [(r.key, r.value) for r in log.read(SCHEMAS, 0, 0, 100)])
    assert Schemas(log).frame_schema(frame_of(REALTIME)) == REALTIME


@pytest.mark.parametrize("text", [b"", b"no json", b"[]", b"{}", b'{"type": "cat"}'])
def test_a_record_that_is_no_schema_is_passed_over(
    log: EmbeddedLog, text: bytes
) -> None:
    log.append(SCHEMAS, [("0000000000000000", text)])
    publish_schemas(log, [REALTIME])
    assert Schemas(log).frame_schema(frame_of(REALTIME)) == REALTIME


@pytest.mark.parametrize(
    "value", [b"", b"junk", b"\xc3\x01short", bytes(40), b"\xc3\x01" + bytes(40)]
)
def test_bytes_that_name_no_schema_are_a_codec_error(
    log: EmbeddedLog, value: bytes
) -> None:
    publish_schemas(log, [REALTIME])
    with pytest.raises(CodecError):
        Schemas(log).frame_schema(value)


def test_an_event_is_no_frame(log: EmbeddedLog) -> None:
    publish_schemas(log, [REALTIME])
    event = Event(asset="plant/area/one", kind="gap", time=1)
    with pytest.raises(CodecError, match="is no frame's"):
        Schemas(log).frame_schema(event.encode())
