"""The demo on real servers, and four readers that tell the same of it."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from connectors.log.contract import EVENTS
from connectors.log.embedded import EmbeddedLog
from dataflows.instance import running
from dataflows.kafka import open_kafka
from dataflows.site import load_site
from tests.dataflows.historian_points import identities_in
from tests.influxdb import INFLUXDB, InfluxDb
from tests.integration.accounts import archived
from tests.integration.frames import LoggedFrame, logged_frames
from tests.integration.readers import (
    Key,
    ask_archive,
    ask_influx,
    ask_log,
    ask_mqtt,
    heard,
    line_quality,
)
from tests.kafka_broker import KafkaBroker
from tests.kit import until
from tests.mosquitto import MOSQUITTO, Mosquitto
from tests.transforms.codec.frames import SCHEMAS, as_float32
from transforms.codec.records import Event, decode_record

# Never beside those that make many workers busy: a demo must stop in time.
pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.xdist_group("same"),
]

# More by hand: PM500_AGREE_SECONDS=300.
SECONDS = int(os.environ.get("PM500_AGREE_SECONDS", "120"))
SAMPLE = 200


@pytest.mark.timeout(SECONDS + 300)
@pytest.mark.skipif(INFLUXDB is None, reason="no influxdb")
@pytest.mark.skipif(MOSQUITTO is None, reason="no mosquitto")
def test_mqtt_influxdb_archive_and_log_tell_the_same(
    tmp_path: Path, kafka: KafkaBroker
) -> None:
    folder, recording = tmp_path / "demo", tmp_path / "recording.txt"
    with (
        Mosquitto(tmp_path) as mosquitto,
        InfluxDb(tmp_path / "influxdb") as influxdb,
        _recorded(mosquitto.port, recording),
    ):
        outcome = _demo(folder, mosquitto, kafka, influxdb)
        frames = list(logged_frames(folder / "data" / "log" / "edge.sqlite"))
        _agree(folder, influxdb, frames, recording)
        _same_frames(folder, influxdb, frames)
        _same_gaps(folder, influxdb)
    assert outcome["archive_rows"] == outcome["influx_frames"] == len(frames)
    assert outcome["failed"]


class _recorded:  # noqa: N801 - it stands in a with
    """The foreign subscriber, while it records."""

    def __init__(self, port: int, recording: Path) -> None:
        script = Path(__file__).with_name("foreign_subscriber.py")
        self._command = [sys.executable, str(script), str(port), str(recording)]

    def __enter__(self) -> None:
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "subscribed\n"

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(30)


def _demo(
    folder: Path, mosquitto: Mosquitto, kafka: KafkaBroker, influxdb: InfluxDb
) -> dict[str, object]:
    """Run it with its faults; polling is stopped for a while, so that slots are missed."""
    command = [sys.executable, "-m", "dataflows", "demo", "--json"]
    command += ["--seconds", str(SECONDS), "--data", str(folder)]
    command += [
        "--mqtt",
        f"127.0.0.1:{mosquitto.port}",
        "--kafka",
        kafka.bootstrap_servers,
    ]
    command += ["--influx", f"{influxdb.url}/pm500"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as demo:
        try:
            run = folder / "data" / "run"
            acquire = until(lambda: running(run).get("acquire"), "acquire", 120)
            log = folder / "data" / "log" / "edge.sqlite"
            until(lambda: log.exists() and _ends(log) > 200, "frames")
            os.kill(acquire.pid, signal.SIGSTOP)
            try:
                before = _ends(log)
                demo.wait(4.0)
            except subprocess.TimeoutExpired:
                assert _ends(log) == before
            finally:
                os.kill(acquire.pid, signal.SIGCONT)
            said, complained = demo.communicate(timeout=SECONDS + 120)
        finally:
            if demo.poll() is None:
                demo.terminate()
    assert demo.returncode == 0, complained[-3000:] + said[-2000:]
    outcome: dict[str, object] = json.loads(said.splitlines()[-1])
    return outcome


def _ends(path: Path) -> int:
    with EmbeddedLog(path, create=False) as log:
        return log.bounds("pm500.frames", 0)[1]


def _agree(
    folder: Path, influxdb: InfluxDb, frames: list[LoggedFrame], recording: Path
) -> None:
    """200 readings by chance, a half of them not good where there are so many."""
    log = ask_log(frames)
    dice = random.Random(4)
    not_good = [key for key, reading in log.items() if reading.quality != 192]
    sample = dice.sample(not_good, min(len(not_good), SAMPLE // 2))
    rest = sorted(log.keys() - set(sample))
    sample += dice.sample(rest, SAMPLE - len(sample))
    archive = ask_archive(folder / "data" / "archive", sample)
    assert archive == {key: log[key] for key in sample}
    codes = {(f.asset, f.group, f.record.slot_us): f for f in frames}
    schemas = {schema.names: schema for schema in SCHEMAS}
    for key, (value, quality) in ask_influx(influxdb, sample).items():
        frame = codes[key.asset, key.group, key.slot_us]
        expected = line_quality(
            schemas[frame.names], frame.record.quality, key.quantity
        )
        assert quality == expected, key
        read = None if value is None else _narrow(key, value)
        assert read == log[key].value, key
    told = ask_mqtt(heard(recording), log, sample)
    assert sum(reading is None for reading in told.values()) == 0
    for key, reading in told.items():
        assert reading is not None
        assert (reading.value, reading.quality) == (log[key].value, log[key].quality), (
            key
        )
        assert reading.times_us == (log[key].times_us[1] // 1000,)


def _narrow(key: Key, value: float) -> float:
    """A reading of 32 bits is told in digits that give it back."""
    return value if key.group == "energy" else as_float32(value)


def _same_frames(folder: Path, influxdb: InfluxDb, frames: list[LoggedFrame]) -> None:
    """Whatever is missing in one is missing in all; some slots are."""
    logged = {(f.asset, f.group, f.record.slot_us * 1000) for f in frames}
    assert identities_in(influxdb) == logged
    assert archived(folder / "data" / "archive") == Counter(f.identity for f in frames)
    numbers = sorted(
        f.record.seq
        for f in frames
        if (f.asset, f.group) == ("demo/press/line1", "realtime")
    )
    assert len(numbers) == len(set(numbers))


def _same_gaps(folder: Path, influxdb: InfluxDb) -> None:
    """The gaps that were told: log (in Kafka), archive and InfluxDB have the same."""
    logged = {event.id: event for event in _events(folder) if event.kind == "gap"}
    assert logged
    rows = influxdb.query('SELECT "id", "until" FROM pm500_event WHERE kind = \'gap\'')
    stored = {row["id"]: (row["time"] // 1000, row["until"]) for row in rows}
    expected = {
        name: (event.time, None if event.until is None else event.until / 1000)
        for name, event in logged.items()
    }
    assert stored == expected
    table = pl.scan_delta(str(folder / "data" / "archive" / "events")).collect()
    gaps = table.filter(pl.col("kind") == "gap")
    assert set(gaps["id"]) == set(logged)


def _events(folder: Path) -> list[Event]:
    """The highest revision of each event."""
    found: dict[str, Event] = {}
    log = open_kafka(load_site(folder / "site.toml"))
    try:
        for number in log.partitions(EVENTS):
            offset, end = log.bounds(EVENTS, number)
            while offset < end:
                for record in log.read(EVENTS, number, offset, 1000):
                    event = decode_record(record.value)
                    assert isinstance(event, Event)
                    known = found.get(event.id)
                    if known is None or event.revision >= known.revision:
                        found[event.id] = event
                    offset = record.offset + 1
    finally:
        log.close()
    return list(found.values())
