"""Sparkplug payloads: the protobuf messages, built at run time, and their parts.

The field numbers are those of Sparkplug 3.0 chapter 6 (proto2). Metric values and
properties set here follow it: births carry name, datatype and value or ``is_null``,
``Quality`` (Int32) stands only where it is not good.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from transforms.codec.frame import Column
from transforms.model.quality import Quality

__all__ = [
    "BD_SEQ",
    "REBIRTH",
    "VALUE_FIELD",
    "DataType",
    "Payload",
    "PayloadError",
    "add_metric",
    "add_property",
    "bare",
    "datatype_of",
    "death",
    "mark_quality",
    "parse",
]

BD_SEQ = "bdSeq"
REBIRTH = "Node Control/Rebirth"

# message -> fields "number name type"; "*" repeats, "|" stands in the oneof `value`.
_MESSAGES = {
    "Payload": "1 timestamp uint64, 2 metrics *Metric, 3 seq uint64, 4 uuid string, "
    "5 body bytes",
    "Metric": "1 name string, 2 alias uint64, 3 timestamp uint64, 4 datatype uint32, "
    "5 is_historical bool, 6 is_transient bool, 7 is_null bool, 9 properties "
    "PropertySet, 10 int_value |uint32, 11 long_value |uint64, 12 float_value |float, "
    "13 double_value |double, 14 boolean_value |bool, 15 string_value |string, "
    "16 bytes_value |bytes",
    "PropertySet": "1 keys *string, 2 values *PropertyValue",
    "PropertyValue": "1 type uint32, 2 is_null bool, 3 int_value |uint32, "
    "4 long_value |uint64, 5 float_value |float, 6 double_value |double, "
    "7 boolean_value |bool, 8 string_value |string",
}
_PACKAGE = "pm500.sparkplug"
_FIELD = descriptor_pb2.FieldDescriptorProto


class PayloadError(ValueError):
    """Bytes that are no Sparkplug payload."""


class DataType(IntEnum):
    """The Sparkplug datatypes in use here. UInt32 is not: some hosts read it as null."""

    INT32 = 3
    INT64 = 4
    FLOAT = 9
    DOUBLE = 10
    BOOLEAN = 11
    STRING = 12


VALUE_FIELD = {
    DataType.INT32: "int_value",
    DataType.INT64: "long_value",
    DataType.FLOAT: "float_value",
    DataType.DOUBLE: "double_value",
    DataType.BOOLEAN: "boolean_value",
    DataType.STRING: "string_value",
}
_BITS = {DataType.INT32: 0xFFFF_FFFF, DataType.INT64: 0xFFFF_FFFF_FFFF_FFFF}
_BY_AVRO = {
    "float": DataType.FLOAT,
    "double": DataType.DOUBLE,
    "boolean": DataType.BOOLEAN,
}


def _payload_class() -> Any:
    file = descriptor_pb2.FileDescriptorProto(
        name="pm500/sparkplug.proto", package=_PACKAGE, syntax="proto2"
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field in fields.split(", "):
            number, field_name, kind = field.split()
            added = message.field.add(name=field_name, number=int(number))
            repeated = kind.startswith("*")
            added.label = _FIELD.LABEL_REPEATED if repeated else _FIELD.LABEL_OPTIONAL
            if kind.startswith("|"):
                if not message.oneof_decl:
                    message.oneof_decl.add(name="value")
                added.oneof_index = 0
            kind = kind.lstrip("*|")
            if kind in _MESSAGES:
                added.type = _FIELD.TYPE_MESSAGE
                added.type_name = f".{_PACKAGE}.{kind}"
            else:
                added.type = _FIELD.Type.Value(f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    descriptor = pool.FindMessageTypeByName(f"{_PACKAGE}.Payload")
    return message_factory.GetMessageClass(descriptor)


Payload: Any = _payload_class()  # a class made at run time has no static type


def datatype_of(column: Column) -> DataType:
    """Float for gauges, Double for counters, Boolean for states."""
    return _BY_AVRO[column.type]


def add_metric(
    payload: Any,
    name: str,
    datatype: DataType,
    value: float | bool | str | None,
    timestamp_ms: int,
    alias: int | None = None,
) -> Any:
    """Add one metric as a birth states it; ``None`` is null. The metric is returned."""
    metric = payload.metrics.add(name=name, datatype=datatype, timestamp=timestamp_ms)
    if alias is not None:
        metric.alias = alias
    if value is None:
        metric.is_null = True
    else:
        if datatype in _BITS and not isinstance(value, str):
            value = int(value) & _BITS[datatype]  # two's complement, section 6.4.16
        setattr(metric, VALUE_FIELD[datatype], value)
    return metric


def add_property(metric: Any, key: str, datatype: DataType, value: Any) -> None:
    """Add a property with its type."""
    properties = metric.properties
    properties.keys.append(key)
    setattr(properties.values.add(type=datatype), VALUE_FIELD[datatype], value)


def mark_quality(metric: Any, code: int, before: int = 0) -> None:
    """Say a reading's quality: nothing where it is good and was good before.

    ``code`` and ``before`` are ``Quality`` bytes. A return to good is said once, so
    that a host which keeps properties forgets the trouble.
    """
    if not code and not before:
        return
    add_property(metric, "Quality", DataType.INT32, Quality(code).sparkplug)
    uncertain = 0 < code < Quality.BAD_NO_VALUE
    if uncertain or 0 < before < Quality.BAD_NO_VALUE:
        add_property(metric, "uncertain", DataType.BOOLEAN, uncertain)


def death(bd_seq: int, timestamp_ms: int) -> bytes:
    """The NDEATH payload, of will and explicit message alike: ``bdSeq`` only, no seq."""
    payload = Payload(timestamp=timestamp_ms)
    add_metric(payload, BD_SEQ, DataType.INT64, bd_seq, timestamp_ms)
    encoded: bytes = payload.SerializeToString()
    return encoded


def parse(value: bytes) -> Any:
    """The payload message; PayloadError where the bytes are none."""
    try:
        return Payload.FromString(value)
    except DecodeError as error:
        raise PayloadError(str(error)) from error


def bare(seq: int, timestamp_ms: int) -> bytes:
    """The DDEATH payload: seq and time, nothing else."""
    encoded: bytes = Payload(timestamp=timestamp_ms, seq=seq).SerializeToString()
    return encoded
