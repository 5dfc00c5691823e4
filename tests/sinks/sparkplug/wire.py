"""Sparkplug payloads read by hand from the wire, knowing nothing of our encoder."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

INT32, INT64, FLOAT, DOUBLE, BOOLEAN, STRING = 3, 4, 9, 10, 11, 12


@dataclass
class Metric:
    name: str | None = None
    alias: int | None = None
    timestamp: int | None = None
    datatype: int | None = None
    historical: bool = False
    null: bool = False
    value: Any = None
    wire_field: int | None = None
    properties: dict[str, Any] = field(default_factory=dict)
    property_types: dict[str, int] = field(default_factory=dict)


@dataclass
class Payload:
    timestamp: int | None = None
    seq: int | None = None
    metrics: list[Metric] = field(default_factory=list)

    def named(self, name: str) -> Metric:
        return next(metric for metric in self.metrics if metric.name == name)


def decode(data: bytes) -> Payload:
    payload = Payload()
    for number, value in fields(data):
        match number:
            case 1:
                payload.timestamp = value
            case 2:
                payload.metrics.append(_metric(value))
            case 3:
                payload.seq = value
            case _:
                raise ValueError(f"payload field {number}")
    return payload


def fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Field numbers and raw values: integers, or bytes."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        match key & 7:
            case 0:
                value, at = _varint(data, at)
                yield key >> 3, value
            case 1:
                yield key >> 3, data[at : at + 8]
                at += 8
            case 2:
                length, at = _varint(data, at)
                if at + length > len(data):
                    raise ValueError("cut short")
                yield key >> 3, data[at : at + length]
                at += length
            case 5:
                yield key >> 3, data[at : at + 4]
                at += 4
            case kind:
                raise ValueError(f"wire type {kind}")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return number, at


def _metric(data: bytes) -> Metric:
    metric = Metric()
    for number, value in fields(data):
        match number:
            case 1:
                metric.name = value.decode()
            case 2:
                metric.alias = value
            case 3:
                metric.timestamp = value
            case 4:
                metric.datatype = value
            case 5:
                metric.historical = bool(value)
            case 7:
                metric.null = bool(value)
            case 9:
                _properties(metric, value)
            case 10 | 11 | 12 | 13 | 14 | 15:
                metric.wire_field = number
                metric.value = _value(number - 10, value)
            case _:
                raise ValueError(f"metric field {number}")
    return metric


def _properties(metric: Metric, data: bytes) -> None:
    keys = [value.decode() for number, value in fields(data) if number == 1]
    values = [value for number, value in fields(data) if number == 2]
    for key, value in zip(keys, values, strict=True):
        for number, part in fields(value):
            if number == 1:
                metric.property_types[key] = part
            else:
                metric.properties[key] = _value(number - 3, part)


def _value(kind: int, raw: Any) -> Any:
    match kind:
        case 0 | 1:
            return raw
        case 2:
            return struct.unpack("<f", raw)[0]
        case 3:
            return struct.unpack("<d", raw)[0]
        case 4:
            return bool(raw)
        case _:
            return raw.decode()
