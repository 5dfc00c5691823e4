"""One device: its metrics and aliases, its last values, its births and data.

Every group of the device has one message that is kept and refilled: building a
message anew for each frame costs three times as much. A layout (which metrics are
null, which carry properties) is made again only when the frame's quality changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sinks.sparkplug.payload import (
    VALUE_FIELD,
    DataType,
    Payload,
    add_metric,
    add_property,
    datatype_of,
    mark_quality,
)
from transforms.codec.frame import FrameRecord, FrameSchema
from transforms.model.quality import Quality
from transforms.model.quantity import QUANTITIES

__all__ = ["Device", "Refill"]

_NO_VALUE = int(Quality.BAD_NO_VALUE)


class _Latest(NamedTuple):
    """The last readings of a group. A value is None where there never was one."""

    values: tuple[float | bool | None, ...]
    quality: bytes
    time_ms: int


class Device:
    """A meter as the host sees it. Aliases run on from ``first_alias``."""

    def __init__(
        self,
        groups: Sequence[FrameSchema],
        *,
        first_alias: int,
        include_datatype: bool,
    ) -> None:
        self._include_datatype = include_datatype
        self._groups = {schema.group: schema for schema in groups}
        self._alias: dict[str, int] = {}
        for schema in groups:
            for name in schema.names:
                self._alias.setdefault(name, first_alias + len(self._alias))
        self.next_alias = first_alias + len(self._alias)
        self._latest: dict[str, _Latest] = {}
        self._told: dict[str, bytes] = {}  # quality bytes the host saw last, by group
        self._kept: dict[tuple[bytes, bool], Refill] = {}

    def take(self, schema: FrameSchema, record: FrameRecord) -> None:
        """Keep the readings for the next birth; one without a value keeps its last."""
        if not self._is_own(schema):
            return
        before = self._latest.get(schema.group)
        self._latest[schema.group] = _latest(record, before and before.values)

    def birth(self, seq: int, now_ms: int) -> bytes:
        """The DBIRTH: every metric of every group, null where nothing is known yet."""
        payload = Payload(timestamp=now_ms, seq=seq)
        done: set[str] = set()
        for schema in self._groups.values():
            latest = self._latest.get(schema.group)
            if latest is None:
                count = len(schema.columns)
                latest = _Latest((None,) * count, schema.no_value, now_ms)
            self._told[schema.group] = latest.quality
            for column, value, code in zip(
                schema.columns, latest.values, latest.quality, strict=True
            ):
                if column.name in done:
                    continue
                done.add(column.name)
                known = value if code <= _NO_VALUE else None
                alias, kind = self._alias[column.name], datatype_of(column)
                metric = add_metric(
                    payload, column.name, kind, known, latest.time_ms, alias
                )
                if unit := QUANTITIES[column.name].unit:
                    add_property(metric, "engUnit", DataType.STRING, unit)
                mark_quality(metric, code)
        encoded: bytes = payload.SerializeToString()
        return encoded

    def data(self, schema: FrameSchema, record: FrameRecord) -> Refill | None:
        """The DDATA of a live frame that ``take`` has been given, ready for its seq.

        None where nothing of it stands in the birth.
        """
        if not self._is_own(schema):
            # Of another version of the profile: what the birth names is sent.
            return self._refill(schema, _latest(record), b"")
        latest = self._latest[schema.group]
        told = self._told.get(schema.group, b"")
        refill = self._refill(schema, latest, told if told != latest.quality else b"")
        self._told[schema.group] = latest.quality
        return refill

    def history(self, schema: FrameSchema, record: FrameRecord) -> Refill | None:
        """The DDATA of an old frame, which does not move the host's live values.

        Readings without a value are left out: the last one before is not known here.
        """
        return self._refill(schema, _latest(record), None)

    def _is_own(self, schema: FrameSchema) -> bool:
        own = self._groups.get(schema.group)
        return own is not None and own.fingerprint == schema.fingerprint

    def _refill(
        self, schema: FrameSchema, latest: _Latest, told: bytes | None
    ) -> Refill | None:
        """``told`` is the quality before this frame, where it differs; None: history."""
        key = schema.fingerprint, told is None
        kept = self._kept.get(key)
        if kept is None or told or not kept.fits(latest):
            kept = Refill(schema, latest, told, self._alias, self._include_datatype)
            self._kept[key] = kept
        if kept.empty:
            return None
        kept.fill(latest)
        if told:  # said once: the next frame gets a layout without it
            del self._kept[key]
        return kept


class Refill:
    """A DDATA message of one layout, filled again and again."""

    def __init__(
        self,
        schema: FrameSchema,
        latest: _Latest,
        told: bytes | None,
        alias: dict[str, int],
        include_datatype: bool,
    ) -> None:
        history = told is None
        self._quality = latest.quality
        self._unknown = _unknown(latest)
        self._payload = Payload(timestamp=0, seq=0)
        self._nulls: list[Any] = []
        self._by_field: dict[str, list[tuple[Any, int]]] = {}
        # A non-null metric comes first: judges look at the first alone.
        null = [
            c > _NO_VALUE or i in self._unknown for i, c in enumerate(latest.quality)
        ]
        for at in sorted(range(len(schema.columns)), key=lambda i: null[i]):
            column, code = schema.columns[at], latest.quality[at]
            if column.name not in alias or (history and code == _NO_VALUE):
                continue
            kind = datatype_of(column)
            metric = self._payload.metrics.add(alias=alias[column.name])
            if include_datatype:
                metric.datatype = kind
            if history:
                metric.is_historical = True
            before = told[at] if told and len(told) == len(latest.quality) else 0
            mark_quality(metric, code, before)
            if null[at]:
                metric.is_null = True
                self._nulls.append(metric)
            else:
                self._by_field.setdefault(VALUE_FIELD[kind], []).append((metric, at))
        self.empty = not self._payload.metrics

    def fits(self, latest: _Latest) -> bool:
        """Whether a frame has this layout."""
        if latest.quality != self._quality:
            return False
        return _NO_VALUE not in latest.quality or _unknown(latest) == self._unknown

    def fill(self, latest: _Latest) -> None:
        """Set times and values."""
        values, time_ms = latest.values, latest.time_ms
        for field, metrics in self._by_field.items():
            if field == "float_value":  # nearly all there is: no setattr
                for metric, at in metrics:
                    metric.timestamp = time_ms
                    metric.float_value = values[at]
            else:
                for metric, at in metrics:
                    metric.timestamp = time_ms
                    setattr(metric, field, values[at])
        for metric in self._nulls:
            metric.timestamp = time_ms

    def encode(self, seq: int, now_ms: int) -> bytes:
        """The message's bytes; it is filled already."""
        self._payload.seq = seq
        self._payload.timestamp = now_ms
        encoded: bytes = self._payload.SerializeToString()
        return encoded


def _latest(
    record: FrameRecord, before: tuple[float | bool | None, ...] | None = None
) -> _Latest:
    """The frame's readings; those without a value have the one before, or None."""
    values: tuple[float | bool | None, ...] = record.values
    if max(record.quality) >= _NO_VALUE:
        last = before or (None,) * len(values)
        values = tuple(
            old if code >= _NO_VALUE else new
            for code, old, new in zip(record.quality, last, values, strict=True)
        )
    return _Latest(values, record.quality, record.received_us // 1000)


def _unknown(latest: _Latest) -> frozenset[int]:
    """The readings without a value that never had one before."""
    if _NO_VALUE not in latest.quality:
        return frozenset()
    return frozenset(
        i for i, code in enumerate(latest.quality)
        if code == _NO_VALUE and latest.values[i] is None
    )  # fmt: skip
