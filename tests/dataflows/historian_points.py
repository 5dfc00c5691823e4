"""Frames in a log and the points that InfluxDB should have of them, told independently."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from connectors.log.contract import FRAMES
from connectors.log.embedded import EmbeddedLog
from connectors.log.schemas import publish_schemas
from tests.influxdb import InfluxDb
from tests.integration.frames import logged_frames
from tests.line_protocol import Value
from tests.sinks.archive.making import EM24, ENERGY, REALTIME, frame
from tests.strict_influx_points import Stored
from tests.transforms.codec.frames import as_float32
from transforms.codec.frame import FrameSchema
from transforms.codec.window import WindowSchema
from transforms.lines.names import place_of
from transforms.model.quality import Quality, Status

__all__ = [
    "WINDOW",
    "Identity",
    "Lines",
    "expected_lines",
    "fill",
    "frames_of",
    "identities_in",
    "log_of",
    "logged",
    "points_in",
    "stored_lines",
]

# Asset, group and slot in ns.
Identity = tuple[str, str, int]
# The fields of every line of a frame: by frame and phase.
Lines = dict[tuple[Identity, str], dict[str, Value]]
WINDOW = WindowSchema(EM24)
SCHEMAS = {"m1": REALTIME, "m2": REALTIME, "em": EM24}


def log_of(site: Path) -> EmbeddedLog:
    """The site's log, with the schemas of what is appended here."""
    log = EmbeddedLog(site.parent / "data/log/edge.sqlite")
    publish_schemas(log, (REALTIME, ENERGY, EM24, WINDOW))
    return log


def frames_of(second: int) -> list[tuple[str, bytes]]:
    """A second of three meters; some polls failed, or gave a part of the readings."""

    def of(name: str, schema: FrameSchema) -> tuple[str, bytes]:
        count = len(schema.columns)
        status, quality = Status.OK, bytes(count)
        if second % 7 == 5:
            status = Status.TIMEOUT
        elif second % 11 == 3:
            status = Status.PARTIAL
            quality = bytes(count // 2) + bytes([100]) * (count - count // 2)
        elif second % 13 == 4:
            quality = bytes([1, 102]) + bytes(count - 2)
        value = frame(schema, second, status=status, quality=quality)
        return f"plant1/hall1/{name}", value

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


def points_in(influxdb: InfluxDb) -> Stored:
    """Every point of a real InfluxDB, as the strict one tells its own."""
    found: Stored = {}
    for names in influxdb.series("SHOW MEASUREMENTS"):
        for (name,) in names["values"]:
            for series in influxdb.series(f'SELECT * FROM "{name}" GROUP BY *'):
                tags = ((tag, text) for tag, text in series["tags"].items() if text)
                own = tuple(sorted(tags))
                for row in series["values"]:
                    fields = dict(zip(series["columns"], row, strict=True))
                    time = fields.pop("time")
                    found[name, own, time] = {
                        field: value
                        for field, value in fields.items()
                        if value is not None
                    }
    return found


def stored_lines(points: Stored) -> Lines:
    """The lines of frames among points."""
    found: Lines = {}
    for (measurement, tag_pairs, time), fields in points.items():
        if measurement == "powermonitor_500":
            tags = dict(tag_pairs)
            asset = f"{tags.pop('site')}/{tags.pop('area')}/{tags.pop('asset')}"
            group, phase = tags.pop("group"), tags.pop("phase")
            assert tags == {}
            # Counters have 64 bits, all others the 32 that the meter gave.
            found[(asset, group, time), phase] = (
                fields
                if group == "energy"
                else {name: as_float32(float(v)) for name, v in fields.items()}
            )
    return found


def expected_lines(site: Path) -> Lines:
    """What InfluxDB should have of the frames of the log."""
    found: Lines = {}
    for each in logged_frames(site.parent / "data/log/edge.sqlite"):
        identity = each.asset, each.group, each.record.slot_us * 1000
        if each.status not in (Status.OK, Status.PARTIAL):
            found[identity, "total"] = {"quality": 0, "status": int(each.status)}
            continue
        codes: dict[str, list[Quality]] = defaultdict(list)
        codes["total"] = []
        for name, code in zip(each.names, each.record.quality, strict=True):
            codes[place_of(name).phase].append(Quality(code))
        # A total without readings of its own speaks for the frame.
        every = [code for own in codes.values() for code in own]
        for phase, own in codes.items():
            worst = min(code.archive for code in own or every)
            found[identity, phase] = {"quality": worst}
        if each.status:
            found[identity, "total"]["status"] = int(each.status)
        for name, value in each.readings.items():
            phase, field = place_of(name)
            found[identity, phase][field] = value
    return found
