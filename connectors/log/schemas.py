"""The topic of schemas: every one in use stands there before the first record of it.

Key: the fingerprint in hex; value: the Avro schema as JSON. So a record is readable as
long as the log lives, by us and by others. Writing a schema twice is harmless.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterable
from typing import Any

from connectors.log.contract import SCHEMAS, Log
from transforms.codec.frame import FrameSchema
from transforms.codec.framing import CodecError, fingerprint_of, header, schema_json
from transforms.codec.records import RECORDS
from transforms.codec.window import WindowSchema

__all__ = ["Schemas", "copy_schemas", "publish_schemas"]

_BATCH = 1000


class Schemas:
    """The schemas of a log by fingerprint, read again when one is not known yet."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._next: dict[int, int] = {}
        self._avro: dict[bytes, dict[str, Any]] = {}
        self._frames: dict[bytes, FrameSchema | None] = {}
        self._windows: dict[bytes, WindowSchema | None] = {}

    def on(self, log: Log) -> Schemas:
        """The same for another handle of the log, which knows already what this knows."""
        other = Schemas(log)
        other._next |= self._next
        other._avro |= self._avro
        other._frames |= self._frames
        other._windows |= self._windows
        return other

    def frame_schema(self, value: bytes) -> FrameSchema:
        """The codec of a frame's bytes; CodecError where no frame schema names them."""
        fingerprint = fingerprint_of(value)
        if fingerprint not in self._frames:
            schema = self._find(fingerprint)
            self._frames[fingerprint] = FrameSchema.from_avro(schema)
        if (found := self._frames[fingerprint]) is None:
            raise CodecError(f"schema {fingerprint.hex()} is no frame's")
        return found

    def window_schema(self, value: bytes) -> WindowSchema | None:
        """The codec of a window's bytes; None where its schema is another record's.

        CodecError where no schema is known.
        """
        fingerprint = fingerprint_of(value)
        if fingerprint not in self._windows:
            schema = self._find(fingerprint)
            self._windows[fingerprint] = WindowSchema.from_avro(schema)
        return self._windows[fingerprint]

    def fingerprints(self) -> set[bytes]:
        """All that the topic holds now."""
        self._read_on()
        return set(self._avro)

    def schemas(self, *, but: Container[bytes] = ()) -> dict[bytes, dict[str, Any]]:
        """All that the topic holds now by fingerprint, without those of ``but``."""
        self._read_on()
        return {key: avro for key, avro in self._avro.items() if key not in but}

    def _find(self, fingerprint: bytes) -> dict[str, Any]:
        if fingerprint not in self._avro:
            self._read_on()
        try:
            return self._avro[fingerprint]
        except KeyError:
            raise CodecError(f"unknown schema {fingerprint.hex()}") from None

    def _read_on(self) -> None:
        for number in self._log.partitions(SCHEMAS):
            offset = self._next.get(number)
            if offset is None:
                offset, _ = self._log.bounds(SCHEMAS, number)
            while records := self._log.read(SCHEMAS, number, offset, _BATCH):
                for record in records:
                    self._learn(record.value)
                offset = records[-1].offset + 1
            self._next[number] = offset

    def _learn(self, text: bytes) -> None:
        try:
            schema = json.loads(text)
            # The key is only a word: what the schema is called follows from itself.
            self._avro.setdefault(header(schema)[2:], schema)
        except Exception:  # noqa: BLE001, S110  fastavro raises many kinds on no schema
            pass


def copy_schemas(source: Log, target: Log) -> int:
    """Append to ``target`` the schemas that only ``source`` has; how many. LogError."""
    known = Schemas(target).fingerprints()
    missing = Schemas(source).schemas(but=known)
    records = [(key.hex(), schema_json(avro)) for key, avro in missing.items()]
    if records:
        target.append(SCHEMAS, records)
    return len(records)


def publish_schemas(log: Log, schemas: Iterable[FrameSchema | WindowSchema]) -> int:
    """Append the schemas that are missing, those of events and the like too; how many.

    LogFull, LogError. Call it before the first record of a schema is appended.
    """
    wanted = [schema.avro for schema in schemas]
    wanted += [record.AVRO for record in RECORDS]
    known = Schemas(log).fingerprints()
    missing: dict[bytes, dict[str, Any]] = {}
    for avro in wanted:
        fingerprint = header(avro)[2:]
        if fingerprint not in known:
            missing[fingerprint] = avro
    records = [(key.hex(), schema_json(avro)) for key, avro in missing.items()]
    if records:
        log.append(SCHEMAS, records)
    return len(records)
