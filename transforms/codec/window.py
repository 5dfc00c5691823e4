"""The window's own Avro schema, generated like the frame's, and its encoder.

The record is ``id, revision, asset, group, length, start, end, due, good`` (times and
lengths in microseconds, UTC), ``quality`` (fixed, one byte per reading), then for each
reading ``…Mean …Min …Max …Last`` and ``…Good``, the percentage of due slots with a good
value. NaN where a reading had no value. What follows the leading numbers has a constant
width, so many windows are encoded at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from fastavro import parse_schema

from transforms.codec.frame import Column, FrameSchema, time_varint, varint
from transforms.codec.framing import HEADER_BYTES, CodecError, header, read_body
from transforms.codec.record import IdsAfter, avro_string
from transforms.model.quantity import QUANTITIES

__all__ = ["STATISTICS", "WindowRecord", "WindowSchema", "window_id"]

STATISTICS = ("Mean", "Min", "Max", "Last")

Longs = npt.NDArray[np.int64]

_HEAD = (
    "id", "revision", "asset", "group", "length", "start", "end", "due", "good",
)  # fmt: skip
_ID_LENGTH = varint(20)  # of content_id, in letters


def window_id(
    asset: str, group: str, length_us: int, start_us: int, schema: str
) -> str:
    """The id of a window; ``schema`` keeps windows of another layout apart."""
    return _ids(asset, group, length_us).after(f"{start_us}\0{schema}")


@lru_cache(maxsize=1 << 16)
def _ids(asset: str, group: str, length_us: int) -> IdsAfter:
    return IdsAfter(asset, "window", group, length_us)


# Assets come again and again.
_key = lru_cache(maxsize=1 << 14)(avro_string)


class WindowRecord(NamedTuple):
    """A decoded window; times and length in microseconds.

    ``quality`` has one ``Quality`` byte per reading; ``statistics`` are Mean, Min, Max,
    Last and Good of each, NaN where there is none.
    """

    id: str
    revision: int
    asset: str
    group: str
    length_us: int
    start_us: int
    end_us: int
    due: int
    good: int
    quality: bytes
    statistics: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class WindowSchema:
    """The codec of the windows of one group of one profile."""

    frame: FrameSchema

    @classmethod
    def from_avro(cls, schema: dict[str, Any]) -> WindowSchema | None:
        """The codec for a schema read from the log; None where it is no window's.

        Types of single readings are those of the group: that is all a window needs.
        """
        name = str(schema.get("name", "")).removeprefix("pm500.")
        if not name.startswith("Window_"):
            return None
        profile, _, group = name.removeprefix("Window_").partition("__")
        means = [f for f in schema["fields"] if f["name"].endswith(STATISTICS[0])]
        columns = (
            Column(field["name"].removesuffix(STATISTICS[0]), field["type"])
            for field in means
        )
        codec = cls(FrameSchema(profile, group, tuple(columns)))
        fields = [(f["name"], f["type"]) for f in schema["fields"]]
        own = [(f["name"], f["type"]) for f in codec.avro["fields"]]
        return codec if fields == own else None

    @property
    def value_type(self) -> str:
        """``double`` where a reading of the group is one, else ``float``."""
        doubles = any(column.type == "double" for column in self.frame.columns)
        return "double" if doubles else "float"

    @cached_property
    def avro(self) -> dict[str, Any]:
        """The Avro schema; its name tells profile and group, units are attributes."""
        count = len(self.frame.columns)
        texts = (
            ("id", "string"),
            ("revision", "int"),
            ("asset", "string"),
            ("group", "string"),
        )
        longs = ((name, "long") for name in ("length", "start", "end", "due", "good"))
        fields: list[dict[str, Any]] = [
            {"name": name, "type": kind} for name, kind in (*texts, *longs)
        ]
        fixed = {"type": "fixed", "name": f"Quality{count}", "size": count}
        fields.append({"name": "quality", "type": fixed})
        for name in self.frame.names:
            unit = QUANTITIES[name].unit if name in QUANTITIES else ""
            fields += [
                {"name": name + what, "type": self.value_type, "unit": unit}
                for what in STATISTICS
            ]
            fields.append({"name": f"{name}Good", "type": "float", "unit": "%"})
        return {
            "type": "record",
            "namespace": "pm500",
            "name": f"Window_{self.frame.profile}__{self.frame.group}",
            "profile": self.frame.profile,
            "group": self.frame.group,
            "fields": fields,
        }

    @cached_property
    def header(self) -> bytes:
        """Marker and fingerprint: the first ten bytes of every window of this schema."""
        return header(self.avro)

    @cached_property
    def fingerprint(self) -> str:
        """The eight bytes that name this schema, in hex."""
        return self.header[2:].hex()

    @cached_property
    def tail(self) -> np.dtype[np.void]:
        """Quality and statistics as a packed numpy record."""
        count = len(self.frame.columns)
        kind = "<f8" if self.value_type == "double" else "<f4"
        reading = np.dtype([*((what, kind) for what in STATISTICS), ("Good", "<f4")])
        return np.dtype([("quality", "u1", (count,)), ("reading", reading, (count,))])

    def encode(
        self,
        assets: Sequence[str],
        length_us: int,
        start: Longs,
        end: Longs,
        due: Longs,
        good: Longs,
        revision: Sequence[int],
        tails: npt.NDArray[np.void],
    ) -> list[bytes]:
        """Many windows of one length at once; ``tails`` are of the dtype ``tail``."""
        size = self.tail.itemsize
        data = tails.tobytes()
        group = self.frame.group
        own = avro_string(group) + varint(length_us)
        # Of the many windows of a shard few have another number of slots.
        short = {n: varint(n) for n in {*due.tolist(), *good.tolist(), *revision}}
        times = {us: time_varint(us) for us in {*start.tolist(), *end.tolist()}}
        ends = [times[us] for us in end.tolist()]
        counts = [
            short[d] + short[g]
            for d, g in zip(due.tolist(), good.tolist(), strict=True)
        ]
        schema, own_id = self.fingerprint, self.header + _ID_LENGTH
        out = []
        at = 0
        for asset, begin, until, counted, told in zip(
            assets, start.tolist(), ends, counts, revision, strict=True
        ):
            name = _ids(asset, group, length_us).after(f"{begin}\0{schema}")
            parts = (
                own_id, name.encode(), short[told], _key(asset), own, times[begin],
                until, counted, data[at : at + size],
            )  # fmt: skip
            out.append(b"".join(parts))
            at += size
        return out

    def decode(self, value: bytes) -> WindowRecord:
        """The record; CodecError where these bytes are not of this schema."""
        if value[:HEADER_BYTES] != self.header:
            raise CodecError(f"not a window of {self.frame.profile}/{self.frame.group}")
        fields = read_body(value, self._parsed, "a window")
        statistics = tuple(
            tuple(fields[name + what] for what in (*STATISTICS, "Good"))
            for name in self.frame.names
        )
        head = (fields[name] for name in _HEAD)
        return WindowRecord._make((*head, fields["quality"], statistics))

    @cached_property
    def _parsed(self) -> Any:
        return parse_schema(self.avro)
