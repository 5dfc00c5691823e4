"""Line bytes, and the historian's way into servers, against influxdb-client's own.

The frames are those of the PowerMonitor 500's realtime group (29 readings, 8 lines),
every second of 50 meters, all good. Bytes of a frame: ours from its Avro bytes against
``Point`` built of the same numbers, tags and names. Ways: ``pm500 run historian`` over a
log that holds the frames, from its first request to its last position, against the
client's batching API (5,000 points a batch, its default of no compression), which is
given the points ready built, until it is closed. Both write to a server that discards
all, in a process of its own; then, as figures, historian to the real ones.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write.point import Point
from influxdb_client.client.write_api import WriteOptions, WriteType

from connectors.log.contract import FRAMES
from connectors.log.embedded import EmbeddedLog
from connectors.log.schemas import publish_schemas
from dataflows.historian import READER
from tests.benchmarks.result import Result
from tests.influxdb import INFLUXDB, InfluxDb
from tests.kit import Plant, until
from tests.sinks.archive.making import REALTIME
from tests.victoria import VICTORIA, VictoriaMetrics
from transforms.codec.batch import decode_batch
from transforms.lines.frames import FrameLines
from transforms.lines.names import PHASES, place_of

_ASSETS = 50
_START_US = 1_772_366_400_000_000
_PLACES = [place_of(name) for name in REALTIME.names]


def run(fast: bool) -> Iterator[Result]:
    """Bytes, then ways."""
    yield _bytes(1000 if fast else 5000)
    count = 5_000 if fast else 50_000
    with tempfile.TemporaryDirectory() as folder:
        yield from _ways(Path(folder), count)


def _frames(count: int) -> list[tuple[str, bytes]]:
    """Numbers as a meter has them: of 32 bits, with two decimals."""
    chance = np.random.default_rng(1)
    shape = count, len(REALTIME.columns)
    values = np.round(chance.normal(230, 5, shape), 2).astype(np.float32).tolist()
    quality = bytes(shape[1])
    out = []
    for n, row in enumerate(values):
        slot = _START_US + n // _ASSETS * 1_000_000
        value = REALTIME.encode(
            slot // 1_000_000, 1_000_000, slot, slot + 10, slot + 900, 0, quality, row
        )
        out.append((f"plant/hall1/m{n % _ASSETS}", value))
    return out


def _labels(asset: str) -> dict[str, str]:
    return dict(zip(("site", "area", "asset"), asset.split("/"), strict=True))


def _points(frames: Sequence[tuple[str, bytes]]) -> Iterator[Any]:
    """The same lines by the client's own class."""
    new: Any = Point
    for asset, value in frames:
        frame = REALTIME.decode(value)
        site, area, name = asset.split("/")
        for phase in PHASES:
            point: Any = new("powermonitor_500")
            point.tag("site", site).tag("area", area).tag("asset", name)
            point.tag("group", "realtime").tag("phase", phase)
            for place, reading in zip(_PLACES, frame.values, strict=True):
                if place.phase == phase:
                    point.field(place.field, reading)
            yield point.field("quality", 192.0).time(frame.slot_us * 1000)


def _bytes(count: int) -> Result:
    frames = _frames(count)
    assets, values = zip(*frames, strict=True)
    lines = FrameLines(REALTIME, _labels)

    def ours() -> int:
        begun = 0
        for at in range(0, count, 600):
            columns = decode_batch(REALTIME, values[at : at + 600])
            begun += len(lines.of(assets[at : at + 600], columns))
        return begun

    def theirs() -> int:
        return len([point.to_line_protocol() for point in _points(frames)])

    own, peer = (_best(work) / count * 1e6 for work in (ours, theirs))
    return Result(
        what="line bytes of a realtime frame (29 readings, 8 lines)",
        against="influxdb-client's Point",
        value=peer / own,
        unit="x",
        bar=3.0,
        at_most=False,
        detail=f"{own:.1f} against {peer:.0f} µs a frame",
    )


def _best(work: Any) -> float:
    seconds = []
    for _ in range(3):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    return min(seconds)


def _ways(folder: Path, count: int) -> Iterator[Result]:
    frames = _frames(count)
    with _discarding() as port:
        url = f"http://127.0.0.1:{port}"
        two = {"version": 2, "org": "plant", "bucket": "meters"}
        ours = _historian(folder / "discard", frames, {"url": url} | two)
        theirs = _batching(url, frames)
    yield Result(
        what="historian to a server that discards",
        against="influxdb-client's batching API, the same points",
        value=ours / theirs,
        unit="x",
        bar=2.0,
        at_most=False,
        detail=f"{ours:,.0f} against {theirs:,.0f} frames/s, 8 points each",
    )
    if INFLUXDB is not None:
        with InfluxDb(folder / "influxdb") as influxdb:
            one = {"url": influxdb.url, "version": 1, "database": "pm500"}
            rate = _historian(folder / "one", frames, one)
        yield _figure("InfluxDB 1.6.7", rate)
    if VICTORIA is not None:
        with VictoriaMetrics(folder / "victoria") as victoria:
            rate = _historian(folder / "two", frames, {"url": victoria.url} | two)
        yield _figure("VictoriaMetrics 1.79.5", rate)


def _figure(server: str, rate: float) -> Result:
    return Result(
        what=f"historian to {server}",
        against="",
        value=rate,
        unit="frames/s",
        bar=None,
        at_most=False,
        detail=f"{8 * rate:,.0f} points/s",
    )


def _historian(
    folder: Path, frames: Sequence[tuple[str, bytes]], influx: dict[str, object]
) -> float:
    """Frames a second, from the first position that is stored to the last."""
    meter: dict[str, object] = {"asset": "hall1/m0", "host": "127.0.0.1"}
    plant = Plant(folder, [meter], {"influx": influx})
    log = EmbeddedLog(plant.log_path)
    publish_schemas(log, [REALTIME])
    for at in range(0, len(frames), 5000):
        log.append(FRAMES, frames[at : at + 5000])

    def done() -> int:
        return log.position(READER, FRAMES, 0) or 0

    try:
        flow = plant.start("run", READER)
        until(lambda: done() > 0, "the first batch", pause=0.001)
        first, begun = done(), time.perf_counter()
        until(lambda: done() == len(frames), "the last batch", 300, 0.005)
        taken = time.perf_counter() - begun
        assert flow.stop() == 0
        return (len(frames) - first) / taken
    finally:
        plant.close()
        log.close()


def _batching(url: str, frames: Sequence[tuple[str, bytes]]) -> float:
    count = min(len(frames), 10_000)
    points = list(_points(frames[:count]))
    client: Any = InfluxDBClient
    with client(url=url, token="t", org="plant") as open_client:
        options = WriteOptions(WriteType.batching, batch_size=5000)
        begun = time.perf_counter()
        with open_client.write_api(write_options=options) as api:
            for at in range(0, len(points), 5000):
                api.write("meters", record=points[at : at + 5000])
        return count / (time.perf_counter() - begun)


@contextmanager
def _discarding() -> Iterator[int]:
    command = [sys.executable, "-m", "tests.benchmarks.discard"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.kill()
