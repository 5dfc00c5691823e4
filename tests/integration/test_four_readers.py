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

from connectors.log.contract import EVENTS, Log
from connectors.log.embedded import EmbeddedLog
from dataflows.instance import running
from dataflows.kafka import open_kafka
from dataflows.site import load_site
from tests.dataflows.historian_points import Identity, identities_in
from tests.influxdb import INFLUXDB, InfluxDb
from tests.integration.accounts import archived
from tests.integration.frames import LoggedFrame, logged_frames
from tests.integration.gaps import slots_not_told, slots_of
from tests.integration.readers import (
    STALE,
    Heard,
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
from transforms.model.quality import Status

# Never beside those that make many workers busy: a demo must stop in time.
pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.xdist_group("same"),
]

# More by hand: PM500_AGREE_SECONDS=300.
SECONDS = int(os.environ.get("PM500_AGREE_SECONDS", "120"))
SAMPLE = 200
# Of two groups polled every second one may be told so much later than the other.
LATE_US = 10_000_000
# Asset, group, beginning and end of a gap.
Span = tuple[str, str | None, int, int | None]


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
        told = heard(recording)
        _agree(folder, influxdb, frames)
        _mqtt_agrees(frames, told)
        _stale_readings_tell_the_last(told)
        _same_frames(folder, influxdb, frames)
        _same_gaps(folder, influxdb, frames, told)
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


def _agree(folder: Path, influxdb: InfluxDb, frames: list[LoggedFrame]) -> None:
    """200 readings by chance, many of them of partial frames or not good."""
    log = ask_log(frames)
    codes = {(f.asset, f.group, f.record.slot_us): f for f in frames}
    partial = [
        key
        for key in log
        if codes[key.asset, key.group, key.slot_us].status is Status.PARTIAL
    ]
    assert {log[key].value is None for key in partial} == {True, False}
    dice = random.Random(4)
    sample = dice.sample(partial, min(len(partial), SAMPLE // 4))
    not_good = [key for key, reading in log.items() if reading.quality != 192]
    not_good = sorted(set(not_good) - set(partial))
    sample += dice.sample(not_good, min(len(not_good), SAMPLE // 4))
    rest = sorted(log.keys() - set(sample))
    sample += dice.sample(rest, SAMPLE - len(sample))
    archive = ask_archive(folder / "data" / "archive", sample)
    assert archive == {key: log[key] for key in sample}
    schemas = {schema.names: schema for schema in SCHEMAS}
    for key, (value, quality) in ask_influx(influxdb, sample).items():
        frame = codes[key.asset, key.group, key.slot_us]
        expected = line_quality(
            schemas[frame.names], frame.record.quality, key.quantity
        )
        assert quality == expected, key
        read = None if value is None else _narrow(key, value)
        assert read == log[key].value, key


def _narrow(key: Key, value: float) -> float:
    """A reading of 32 bits is told in digits that give it back."""
    return value if key.group == "energy" else as_float32(value)


def _mqtt_agrees(frames: list[LoggedFrame], told: Heard) -> None:
    """All readings; what is missing in the log is missing here, and the reverse."""
    log = ask_log(frames)
    times = {
        (key.asset, key.quantity, reading.times_us[1] // 1000)
        for key, reading in log.items()
    }
    assert told.metrics.keys() - times == set()
    historical = {
        (asset, time_ms)
        for (asset, _, time_ms), metric in told.metrics.items()
        if metric.historical
    }
    for key, reading in ask_mqtt(told.metrics, log).items():
        time_ms = log[key].times_us[1] // 1000
        expected = log[key]._replace(times_us=(time_ms,))
        if reading is None:
            # History leaves it out, or the birth of this very ms knows nothing of it.
            assert expected.value is None, key
            is_unknown = (key.asset, key.quantity, time_ms) in told.unknown
            assert is_unknown or (key.asset, time_ms) in historical, key
        else:
            assert reading == expected, key


def _stale_readings_tell_the_last(told: Heard) -> None:
    """A reading that did not come has the value before, or none."""
    last: dict[tuple[str, str], object] = {}
    stale, before = {}, {}
    for key in sorted(told.metrics):
        asset, name, _ = key
        metric = told.metrics[key]
        if metric.properties.get("Quality") == STALE:
            stale[key], before[key] = metric.value, last.get((asset, name))
        elif not metric.null:
            last[asset, name] = metric.value
    assert stale == before
    assert any(value is not None for value in stale.values())


def _same_frames(folder: Path, influxdb: InfluxDb, frames: list[LoggedFrame]) -> None:
    """Whatever is missing in one is missing in all; some slots are."""
    logged = {
        (f.asset, f.group, f.record.slot_us * 1000): int(f.status) for f in frames
    }
    assert identities_in(influxdb) == logged.keys()
    failed = {frame: status for frame, status in logged.items() if status}
    assert _statuses_in(influxdb) == failed
    assert archived(folder / "data" / "archive") == Counter(f.identity for f in frames)
    numbers = sorted(
        f.record.seq
        for f in frames
        if (f.asset, f.group) == ("demo/press/line1", "realtime")
    )
    assert len(numbers) == len(set(numbers))


def _statuses_in(influxdb: InfluxDb) -> dict[Identity, int]:
    """Of the frames that failed."""
    rows = influxdb.query(
        "SELECT status FROM powermonitor_500 WHERE phase = 'total' "
        'GROUP BY site, area, asset, "group"'
    )
    return {
        (f"{r['site']}/{r['area']}/{r['asset']}", r["group"], r["time"]): r["status"]
        for r in rows
    }


def _same_gaps(
    folder: Path, influxdb: InfluxDb, frames: list[LoggedFrame], told: Heard
) -> None:
    """The gaps that were told: log (in Kafka), archive, InfluxDB and MQTT have the same."""
    partitions = _gaps(folder)
    logged = [gap for gaps in partitions for gap in gaps]
    assert {gap.data["cause"] for gap in logged} >= {"failed"}
    spans = {gap.id: (gap.asset, gap.group, gap.time, gap.until) for gap in logged}
    assert _gaps_in_influx(influxdb) == spans
    assert _gaps_in_archive(folder / "data" / "archive") == spans
    slots, not_told = slots_of(logged, frames), slots_not_told(frames, told.metrics)
    assert slots - not_told == set()
    # A gap is told when its cell closes: seconds later, and of slow groups minutes.
    until_us = min(max(gap.until or 0 for gap in gaps) for gaps in partitions)
    closed = {
        (asset, group, slot_us)
        for asset, group, slot_us in not_told
        if group in ("realtime", "status") and slot_us < until_us - LATE_US
    }
    assert closed
    assert closed - slots == set()


def _gaps_in_influx(influxdb: InfluxDb) -> dict[str, Span]:
    rows = influxdb.query(
        'SELECT "id", "until" FROM pm500_event WHERE kind = \'gap\' '
        'GROUP BY site, area, asset, "group"'
    )
    # Its times in ns tell events of one microsecond apart; `until` is in ms.
    return {
        row["id"]: (
            f"{row['site']}/{row['area']}/{row['asset']}",
            row["group"],
            row["time"] // 1000,
            round(row["until"] * 1000),
        )
        for row in rows
    }


def _gaps_in_archive(archive: Path) -> dict[str, Span]:
    table = pl.scan_delta(str(archive / "events")).sort("revision").collect()
    gaps = table.filter(pl.col("kind") == "gap").select(
        "id",
        pl.format("{}/{}/{}", "site", "area", "asset").alias("key"),
        "group",
        pl.col("time", "until").dt.epoch("us"),
    )
    return {name: (key, *rest) for name, key, *rest in gaps.rows()}


def _gaps(folder: Path) -> list[list[Event]]:
    """Of each partition; of each gap the highest revision."""
    log = open_kafka(load_site(folder / "site.toml"))
    try:
        return [
            [event for event in _events(log, number).values() if event.kind == "gap"]
            for number in log.partitions(EVENTS)
        ]
    finally:
        log.close()


def _events(log: Log, number: int) -> dict[str, Event]:
    found: dict[str, Event] = {}
    offset, end = log.bounds(EVENTS, number)
    while offset < end:
        for record in log.read(EVENTS, number, offset, 1000):
            event = decode_record(record.value)
            assert isinstance(event, Event)
            known = found.get(event.id)
            if known is None or event.revision >= known.revision:
                found[event.id] = event
            offset = record.offset + 1
    return found
