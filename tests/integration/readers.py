"""One reading, asked of four: the log, the archive, InfluxDB and an MQTT recording.

Each speaks its own language; here they all answer with value, quality and time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from tests.influxdb import InfluxDb
from tests.integration.frames import LoggedFrame
from tests.sinks.sparkplug.wire import Metric, decode
from transforms.codec.frame import FrameSchema
from transforms.lines.names import place_of
from transforms.model.quality import Quality, Status

__all__ = [
    "ANSWERED",
    "STALE",
    "Heard",
    "Key",
    "Reading",
    "ask_archive",
    "ask_influx",
    "ask_log",
    "ask_mqtt",
    "heard",
]


STALE = 500
"""The Sparkplug quality of a reading that did not come: its value is the last one."""
ANSWERED = (Status.OK, Status.PARTIAL)
"""Frames of these have readings."""
# Asset, name and time in ms.
Told = tuple[str, str, int]


class Key(NamedTuple):
    """A reading of a frame."""

    asset: str
    group: str
    quantity: str
    slot_us: int


class Reading(NamedTuple):
    """``quality`` is 192 good, 64 uncertain or 0 bad; ``value`` is None where bad.

    ``times_us`` are those that the reader tells.
    """

    value: float | None
    quality: int
    times_us: tuple[int, ...]


class Heard(NamedTuple):
    """What a subscriber was told of all devices.

    ``unknown`` are metrics of a birth that say that nothing is known yet: their time is
    the birth's, and no frame's.
    """

    metrics: Mapping[Told, Metric]
    unknown: frozenset[Told]


def ask_log(frames: Iterable[LoggedFrame]) -> dict[Key, Reading]:
    """All readings of frames that were answered, in part too, with slot and receipt."""
    found = {}
    for frame in frames:
        record = frame.record
        if frame.status not in ANSWERED:
            continue
        for name, value, code in zip(
            frame.names, record.values, record.quality, strict=True
        ):
            key = Key(frame.asset, frame.group, name, record.slot_us)
            good = code < Quality.BAD_NO_VALUE
            found[key] = Reading(
                float(value) if good else None,
                Quality(code).archive,
                (record.slot_us, record.received_us),
            )
    return found


def ask_archive(archive: Path, keys: Iterable[Key]) -> dict[Key, Reading]:
    """The same of an archive, by polars: slot and receipt."""
    found = {}
    for group, own in _by_group(keys).items():
        rows = pl.scan_delta(str(archive / "frames" / group)).collect()
        rows = rows.with_columns(
            key=pl.format("{}/{}/{}", "site", "area", "asset"),
            slot_us=pl.col("slot").dt.epoch("us"),
            received_us=pl.col("received").dt.epoch("us"),
        )
        by_key = {
            (row["key"], row["slot_us"]): row for row in rows.iter_rows(named=True)
        }
        for key in own:
            row = by_key[key.asset, key.slot_us]
            codes = {f["quantity"]: f["code"] for f in row["flags"] or ()}
            code = Quality(codes.get(key.quantity, Quality.GOOD))
            value = row[key.quantity]
            found[key] = Reading(
                None if value is None else float(value),
                code.archive,
                (row["slot_us"], row["received_us"]),
            )
    return found


def ask_influx(influxdb: InfluxDb, keys: Iterable[Key]) -> dict[Key, tuple[Any, int]]:
    """Value, None where there is no field, and quality of the whole line."""
    found = {}
    for key in keys:
        site, area, asset = key.asset.split("/")
        phase, field = place_of(key.quantity)
        where = {
            "site": site, "area": area, "asset": asset, "group": key.group,
            "phase": phase,
        }  # fmt: skip
        chosen = " AND ".join(f"\"{tag}\" = '{text}'" for tag, text in where.items())
        (row,) = influxdb.query(
            f'SELECT "{field}", "quality" FROM powermonitor_500 '
            f"WHERE {chosen} AND time = {key.slot_us * 1000}"
        )
        found[key] = row[field], row["quality"]
    return found


def line_quality(schema: FrameSchema, codes: bytes, quantity: str) -> int:
    """The worst of the readings that share a line with this one."""
    phase = place_of(quantity).phase
    own = [
        Quality(code)
        for name, code in zip(schema.names, codes, strict=True)
        if place_of(name).phase == phase and code != Quality.BAD_NOT_IN_SYSTEM
    ]
    return min((code.archive for code in own), default=192)


def heard(recording: Path) -> Heard:
    """Every metric of every device; of those told again the last."""
    names: dict[str, dict[int, str]] = defaultdict(dict)
    found = {}
    unknown = set()
    for line in recording.read_text("utf-8").splitlines():
        topic, _, payload = line.partition(" ")
        _, _, kind, node, *device = topic.split("/")
        if kind not in ("DBIRTH", "DDATA"):
            continue
        asset = f"{node.replace('.', '/', 1)}/{device[0]}"
        message = decode(bytes.fromhex(payload))
        for metric in message.metrics:
            assert metric.alias is not None
            if metric.name:
                names[asset][metric.alias] = metric.name
            name = names[asset][metric.alias]
            assert metric.timestamp is not None
            if (
                kind == "DBIRTH"
                and metric.null
                and metric.timestamp == message.timestamp
            ):
                unknown.add((asset, name, metric.timestamp))
            else:
                found[asset, name, metric.timestamp] = metric
    return Heard(found, frozenset(unknown))


def ask_mqtt(
    metrics: Mapping[Told, Metric], log: Mapping[Key, Reading]
) -> dict[Key, Reading | None]:
    """What a subscriber was told of each reading of the log; None for nothing."""
    found: dict[Key, Reading | None] = {}
    for key, logged in log.items():
        metric = metrics.get((key.asset, key.quantity, logged.times_us[1] // 1000))
        if metric is None:
            found[key] = None
            continue
        told = metric.properties.get("Quality", 192)
        quality = 64 if metric.properties.get("uncertain") else told
        if told == STALE:
            quality = 0
        value = None if metric.null or told == STALE else float(metric.value)
        assert metric.timestamp is not None
        found[key] = Reading(value, quality, (metric.timestamp,))
    return found


def _by_group(keys: Iterable[Key]) -> dict[str, list[Key]]:
    found = defaultdict(list)
    for key in keys:
        found[key.group].append(key)
    return found
