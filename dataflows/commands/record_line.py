"""A record of the log as a JSON object for people and for ``jq``."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

from connectors.log.contract import FRAMES, Record
from connectors.log.schemas import Schemas
from transforms.codec.frame import FrameSchema
from transforms.codec.framing import CodecError
from transforms.codec.records import decode_record, is_record
from transforms.codec.window import STATISTICS, WindowSchema
from transforms.model.quality import Quality, Status

__all__ = ["Line", "RecordLines", "frame_line", "instant"]

Line = dict[str, Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_QUALITIES = {int(quality): quality for quality in Quality}
_STATUSES = {int(status): status.label for status in Status}


def instant(us: int) -> str:
    """Microseconds since the epoch as ISO 8601, UTC.

    >>> instant(1_713_897_600_250_000)
    '2024-04-23T18:40:00.250000Z'
    """
    moment = _EPOCH + timedelta(microseconds=us)
    return moment.isoformat().replace("+00:00", "Z")


class RecordLines:
    """Lines of one topic, of the wanted assets and groups only."""

    def __init__(
        self, schemas: Schemas, topic: str, *, asset: str, group: str | None
    ) -> None:
        self._schemas = schemas
        self._is_frames = topic == FRAMES
        self._asset = asset
        self._group = group

    def line(self, record: Record) -> Line | None:
        """None where nobody asked for it; an ``error`` where it cannot be read."""
        if not fnmatchcase(record.key, self._asset):
            return None
        try:
            if self._is_frames:
                schema = self._schemas.frame_schema(record.value)
                if self._group not in (None, schema.group):
                    return None
                return frame_line(record, schema)
            line = _record_line(record, self._schemas)
        except (CodecError, OverflowError) as error:
            return {"error": str(error), "offset": record.offset, "asset": record.key}
        wanted = self._group is None or line.get("group") == self._group
        return line if wanted else None


def frame_line(record: Record, schema: FrameSchema) -> Line:
    """A frame; CodecError where the bytes are none. A reading without value is null."""
    frame = schema.decode(record.value)
    qualities = [_QUALITIES.get(code) for code in frame.quality]
    labels = [
        quality.label if quality is not None else f"code_{code}"
        for quality, code in zip(qualities, frame.quality, strict=True)
    ]
    readings = {
        column.name: _number(value, column.type)
        if quality is not None and quality.has_value
        else None
        for column, value, quality in zip(
            schema.columns, frame.values, qualities, strict=True
        )
    }
    return {
        "asset": record.key,
        "group": schema.group,
        "seq": frame.seq,
        "slot": instant(frame.slot_us),
        "status": _STATUSES.get(frame.status, f"code_{frame.status}"),
        "quality": dict(Counter(labels)),
        "readings": readings,
        "latency_ms": (frame.received_us - frame.sent_us) / 1000,
        "offset": record.offset,
    }


def _number(value: float | bool, avro_type: str) -> float | bool | None:
    if isinstance(value, bool):
        return value
    if not math.isfinite(value):
        return None
    # Nine digits give a 32-bit float back, seven are what it means.
    return float(f"{value:.7g}") if avro_type == "float" else value


def window_line(record: Record, schema: WindowSchema) -> Line:
    """A window; CodecError where the bytes are none. What has no value is null."""
    window = schema.decode(record.value)
    words = (*(word.lower() for word in STATISTICS), "good")
    labels = Counter(
        _QUALITIES[code].label if code in _QUALITIES else f"code_{code}"
        for code in window.quality
    )
    readings = {
        name: {
            word: _number(value, schema.value_type)
            for word, value in zip(words, statistics, strict=True)
        }
        for name, statistics in zip(schema.frame.names, window.statistics, strict=True)
    }
    return {
        "id": window.id,
        "revision": window.revision,
        "asset": window.asset,
        "group": window.group,
        "window_seconds": window.length_us / 1e6,
        "start": instant(window.start_us),
        "end": instant(window.end_us),
        "due": window.due,
        "good": window.good,
        "quality": dict(labels),
        "readings": readings,
        "offset": record.offset,
    }


def _record_line(record: Record, schemas: Schemas) -> Line:
    if not is_record(record.value):
        schema = schemas.window_schema(record.value)
        if schema is not None:
            return window_line(record, schema)
    line = asdict(decode_record(record.value))
    if isinstance(line.get("value"), float):
        line["value"] = _number(line["value"], "double")
    for name in ("time", "until", "hour", "start", "end"):
        if line.get(name) is not None:
            line[name] = instant(line[name])
    for name, value in line.items():
        if isinstance(value, bytes):
            line[name] = (
                value.decode(errors="replace") if name == "key" else value.hex()
            )
    # A dead letter has an offset of its own: where its record stood.
    return (
        line | {"log_offset": record.offset}
        if "offset" in line
        else line | {"offset": record.offset}
    )
