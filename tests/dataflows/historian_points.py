"""Frames in a log and the points that InfluxDB should have of them, told independently."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from connectors.log.contract import FRAMES
from connectors.log.embedded import EmbeddedLog
from connectors.log.schemas import publish_schemas
from tests.influxdb import InfluxDb
from tests.integration.frames import logged_frames
from tests.line_protocol import Value
from tests.sinks.archive.making import EM24, ENERGY, REALTIME, frame
from transforms.codec.frame import FrameSchema

__all__ = [
    "Identity",
    "fill",
    "frames_of",
    "identities_in",
    "log_of",
    "logged",
    "stored_in",
]

# Asset, group and slot in ns.
Identity = tuple[str, str, int]
SCHEMAS = {"m1": REALTIME, "m2": REALTIME, "em": EM24}


def log_of(site: Path) -> EmbeddedLog:
    """The site's log, with the schemas of what is appended here."""
    log = EmbeddedLog(site.parent / "data/log/edge.sqlite")
    publish_schemas(log, (REALTIME, ENERGY, EM24))
    return log


def frames_of(second: int) -> list[tuple[str, bytes]]:
    """A second of three meters; some polls failed."""

    def of(name: str, schema: FrameSchema) -> tuple[str, bytes]:
        status = 2 if second % 7 == 5 else 0
        return f"plant1/hall1/{name}", frame(schema, second, status=status)

    out = [of(name, schema) for name, schema in SCHEMAS.items()]
    return [*out, of("m1", ENERGY)] if second % 10 == 0 else out


def fill(log: EmbeddedLog, seconds: Iterable[int]) -> None:
    """Append frames, a second at a time."""
    for second in seconds:
        log.append(FRAMES, frames_of(second))


def logged(site: Path) -> set[Identity]:
    """Every frame of the log."""
    return {
        (f.asset, f.group, f.record.slot_us * 1000)
        for f in logged_frames(site.parent / "data/log/edge.sqlite")
    }


def identities_in(influxdb: InfluxDb) -> set[Identity]:
    """Every frame that a real InfluxDB has."""
    rows = influxdb.query(
        "SELECT quality FROM powermonitor_500 WHERE phase = 'total' "
        'GROUP BY site, area, asset, "group"'
    )
    return {
        (f"{r['site']}/{r['area']}/{r['asset']}", r["group"], r["time"]) for r in rows
    }


def stored_in(
    points: dict[tuple[str, tuple[tuple[str, str], ...], int], dict[str, Value]],
) -> Iterator[tuple[Identity, str, dict[str, Value]]]:
    """Identity, phase and fields of each line of a frame that the strict one has."""
    for (measurement, tag_pairs, time), fields in points.items():
        if measurement == "powermonitor_500":
            tags = dict(tag_pairs)
            asset = f"{tags['site']}/{tags['area']}/{tags['asset']}"
            yield (asset, tags["group"], time), tags["phase"], fields
