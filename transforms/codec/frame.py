"""The frame's own Avro schema and its codec, compiled per profile group.

The record is ``seq, period, slot, sent, received, status`` (times in microseconds
since the epoch, UTC), ``quality`` (fixed, one byte per reading), then one field per
quantity. Only the six leading numbers vary in width: everything after them has a
constant place counted from the end, so readings and quality are views on the tail.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from transforms.codec.framing import HEADER_BYTES, CodecError, header
from transforms.model.profile import Group, Profile
from transforms.model.quality import Quality, Status
from transforms.model.quantity import QUANTITIES

__all__ = [
    "Column",
    "FrameRecord",
    "FrameSchema",
    "frame_schema",
    "time_varint",
    "varint",
]

_AVRO_TO_STRUCT = {"float": "f", "double": "d", "boolean": "?"}
_AVRO_TO_NUMPY = {"float": "<f4", "double": "<f8", "boolean": "?"}
_HEAD = ("seq", "period", "slot", "sent", "received")


class Column(NamedTuple):
    """One reading's place in a frame: the quantity's name and its Avro type."""

    name: str
    type: str


class FrameRecord(NamedTuple):
    """A decoded frame. ``quality`` holds one ``Quality`` byte per value."""

    seq: int
    period_us: int
    slot_us: int
    sent_us: int
    received_us: int
    status: int
    quality: bytes
    values: tuple[float | bool, ...]


def varint(number: int) -> bytes:
    """A long as Avro writes it: zigzag, then base 128, lowest first."""
    number = (number << 1) ^ (number >> 63)
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def time_varint(us: int) -> bytes:
    """``varint`` unrolled for the times of our age (8 bytes from 1979 to 2262)."""
    n = us << 1
    if 1 << 49 <= n < 1 << 56:
        return bytes(
            (
                n & 0x7F | 0x80,
                n >> 7 & 0x7F | 0x80,
                n >> 14 & 0x7F | 0x80,
                n >> 21 & 0x7F | 0x80,
                n >> 28 & 0x7F | 0x80,
                n >> 35 & 0x7F | 0x80,
                n >> 42 & 0x7F | 0x80,
                n >> 49,
            )
        )
    return varint(us)


_STATUS_BYTES = {int(status): varint(status) for status in Status}


@dataclass(frozen=True)
class FrameSchema:
    """The codec of one group of one profile."""

    profile: str
    group: str
    columns: tuple[Column, ...]

    @cached_property
    def avro(self) -> dict[str, Any]:
        """The Avro schema; its name tells profile and group, units are attributes."""
        count = len(self.columns)
        name = f"Frame_{self.profile}__{self.group}"
        long = {"type": "long"}
        fields: list[dict[str, Any]] = [{"name": n} | long for n in _HEAD]
        fields.append({"name": "status", "type": "int"})
        fixed = {"type": "fixed", "name": f"Quality{count}", "size": count}
        fields.append({"name": "quality", "type": fixed})
        for column in self.columns:
            unit = QUANTITIES[column.name].unit if column.name in QUANTITIES else ""
            fields.append({"name": column.name, "type": column.type, "unit": unit})
        return {
            "type": "record",
            "namespace": "pm500",
            "name": name,
            "profile": self.profile,
            "group": self.group,
            "fields": fields,
        }

    @classmethod
    def from_avro(cls, schema: dict[str, Any]) -> FrameSchema | None:
        """The codec for a schema read from the log; None where it is no frame's."""
        name = str(schema.get("name", "")).removeprefix("pm500.")
        if not name.startswith("Frame_"):
            return None
        profile, _, group = name.removeprefix("Frame_").partition("__")
        fields = [(f["name"], f["type"]) for f in schema["fields"]]
        lead, readings = fields[: len(_HEAD) + 2], fields[len(_HEAD) + 2 :]
        if any(kind not in _AVRO_TO_STRUCT for _, kind in readings):
            return None
        codec = cls(profile, group, tuple(Column(*reading) for reading in readings))
        own = [(f["name"], f["type"]) for f in codec.avro["fields"]]
        return codec if lead == own[: len(lead)] else None

    @cached_property
    def header(self) -> bytes:
        """Marker and fingerprint: the first ten bytes of every frame of this schema."""
        return header(self.avro)

    @property
    def fingerprint(self) -> bytes:
        """The eight bytes that name this schema."""
        return self.header[2:]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The quantities, in order."""
        return tuple(column.name for column in self.columns)

    @cached_property
    def _values(self) -> struct.Struct:
        return struct.Struct(
            "<" + "".join(_AVRO_TO_STRUCT[c.type] for c in self.columns)
        )

    @cached_property
    def tail_bytes(self) -> int:
        """Bytes of quality and values, which end every record."""
        return len(self.columns) + self._values.size

    @cached_property
    def tail_dtype(self) -> np.dtype[np.void]:
        """The tail as a packed numpy record: ``quality``, then each reading."""
        fields: list[Any] = [("quality", "u1", (len(self.columns),))]
        fields += [(c.name, _AVRO_TO_NUMPY[c.type]) for c in self.columns]
        return np.dtype(fields)

    @cached_property
    def nothing(self) -> tuple[float | bool, ...]:
        """The values of a failed poll: NaN, or false where a bit has no value."""
        return tuple(
            False if c.type == "boolean" else float("nan") for c in self.columns
        )

    @cached_property
    def no_value(self) -> bytes:
        """The quality of a failed poll."""
        return bytes([Quality.BAD_NO_VALUE]) * len(self.columns)

    def encode(
        self,
        seq: int,
        period_us: int,
        slot_us: int,
        sent_us: int,
        received_us: int,
        status: int,
        quality: bytes,
        values: Sequence[float | bool],
    ) -> bytes:
        """The frame's bytes, header included; this happens once in its life."""
        return b"".join(
            (
                self.header,
                varint(seq),
                varint(period_us),
                time_varint(slot_us),
                time_varint(sent_us),
                time_varint(received_us),
                _STATUS_BYTES[status],
                quality,
                self._values.pack(*values),
            )
        )

    def encode_failed(
        self,
        seq: int,
        period_us: int,
        slot_us: int,
        sent_us: int,
        received_us: int,
        status: int,
    ) -> bytes:
        """A frame without readings."""
        return self.encode(
            seq, period_us, slot_us, sent_us, received_us, status,
            self.no_value, self.nothing,
        )  # fmt: skip

    def decode(self, value: bytes) -> FrameRecord:
        """The record; CodecError where these bytes are not of this schema."""
        self._check(value)
        tail = len(value) - self.tail_bytes
        head, end = _longs(value, HEADER_BYTES, 6)
        if end != tail:
            raise CodecError(f"{self.group}: {tail - end} bytes too many or too few")
        seq, period_us, slot_us, sent_us, received_us, status = head
        if not 0 <= status <= 0xFF:
            raise CodecError(f"{self.group}: status {status} is no byte")
        return FrameRecord(
            seq,
            period_us,
            slot_us,
            sent_us,
            received_us,
            status,
            quality=value[tail : tail + len(self.columns)],
            values=self._values.unpack_from(value, tail + len(self.columns)),
        )

    def view(self, value: bytes) -> tuple[bytes, npt.NDArray[np.void]]:
        """Quality and readings as views on the bytes, without a copy of a number."""
        self._check(value)
        tail = len(value) - self.tail_bytes
        row = np.frombuffer(value, self.tail_dtype, 1, tail)
        return value[tail : tail + len(self.columns)], row

    def _check(self, value: bytes) -> None:
        if value[:HEADER_BYTES] != self.header:
            raise CodecError(f"not a frame of {self.profile}/{self.group}")
        if len(value) < HEADER_BYTES + 6 + self.tail_bytes:
            raise CodecError(f"{self.group}: record of {len(value)} bytes is cut short")


def _longs(value: bytes, at: int, count: int) -> tuple[list[int], int]:
    """``count`` zigzag varints from ``at``; the numbers and where they end."""
    numbers = []
    for _ in range(count):
        number = shift = 0
        while True:
            if at >= len(value) or shift > 63:
                raise CodecError("a number runs over the end of the record")
            byte = value[at]
            at += 1
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
        if number >> 64:
            raise CodecError("a number has more than 64 bits")
        numbers.append(number >> 1 ^ -(number & 1))
    return numbers, at


def frame_schema(profile: Profile, group: Group) -> FrameSchema:
    """The codec of a profile's group: its enabled points, in order."""
    columns = (
        Column(point.quantity, QUANTITIES[point.quantity].avro_type)
        for point in group.points
    )
    return FrameSchema(profile.name, group.name, tuple(columns))
