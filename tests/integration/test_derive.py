"""The flow derive as a process of its own, on a log that another one fills."""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from connectors.log.contract import DERIVED, EVENTS, FRAMES, Log, Record
from connectors.log.embedded import EmbeddedLog
from connectors.log.kafka.topics import make
from connectors.log.schemas import publish_schemas
from dataflows.deriving.loop import Loop
from dataflows.deriving.operator import Told
from dataflows.deriving.recovery import recovery_folder
from dataflows.deriving.rules import derive_rules
from dataflows.kafka import kafka_client, open_kafka, topic_rules
from dataflows.site import Site, load_site
from tests.derived import Latest, batches_of, highest, same_content, values_of
from tests.generated import KINDS, Day, TroubleKind, every_trouble, meters_of
from tests.kafka_broker import KafkaBroker
from tests.kit import Plant, until
from transforms.codec.records import Event, decode_record

pytestmark = pytest.mark.integration

START_US = 1_795_046_400_000_000
PERIODS = {"realtime": 1.0, "energy": 10.0}
KILLS = 10
ALERT = {"alert": [{"name": "gone", "kind": "comm_lost", "severity": "error"}]}
ARRIVALS = ("late", "shuffled", "duplicate")


@pytest.fixture
def day() -> Day:
    return forty_minutes(KINDS)


def forty_minutes(kinds: Collection[TroubleKind]) -> Day:
    """Of three meters, with these troubles."""
    meters = meters_of(3, periods=PERIODS)
    end_us = START_US + 2400_000_000
    troubles = every_trouble(meters, START_US, end_us, seed=5, kinds=kinds)
    return Day(meters, START_US, end_us, troubles=troubles)


def meters_in(day: Day) -> list[dict[str, object]]:
    return [
        {
            "asset": meter.asset.partition("/")[2],
            "host": f"127.0.0.{number}",
            "protocol": "both" if meter.exact else "ethernet_ip",
            "groups": dict(PERIODS),
        }
        for number, meter in enumerate(day.meters, 1)
    ]


@pytest.fixture
def plant(tmp_path: Path, day: Day) -> Iterator[Plant]:
    sections = {
        "derive": {"snapshot_seconds": 1.0},
        # Slots lie before the test: retention by age would take them.
        "log": {"retention_hours": 1e6},
        **ALERT,
    }
    site = Plant(tmp_path, meters_in(day), sections)
    yield site
    site.close()


def test_ten_kills_change_nothing_of_what_is_told(plant: Plant, day: Day) -> None:
    log = opened(plant, day)
    writer = threading.Thread(target=fill, args=(plant, day, 8.0), daemon=True)
    writer.start()
    dice = random.Random(20261127)
    flow = plant.start("run", "derive")
    for _ in range(KILLS):
        time_to_live(dice)
        flow.kill()
        flow = plant.start("run", "derive")
    writer.join(60)
    expected = highest(values_of(plain(plant, day)))
    until(lambda: not missing(log, expected), "all is told", seconds=60)
    assert flow.stop() == 0
    assert same_content(told(log), expected) == []


def test_its_state_is_made_again_from_archive_and_log(plant: Plant) -> None:
    # The archive knows slots, not when their frames came.
    day = forty_minutes([kind for kind in KINDS if kind not in ARRIVALS])
    log = opened(plant, day)
    fill(plant, day, 0.0)
    archive = plant.start("run", "archive")
    derive = plant.start("run", "derive")
    expected = highest(values_of(plain(plant, day)))
    until(lambda: not missing(log, expected), "all is told", seconds=60)
    assert (derive.stop(), archive.stop()) == (0, 0)
    # Retention takes the first half; what was derived is gone too.
    first, end = log.bounds(FRAMES, 0)
    log.close()
    with sqlite3.connect(plant.log_path) as file:
        numbers = dict(file.execute("SELECT name, number FROM topics"))
        cut = (first + end) // 2
        file.execute(f"DELETE FROM records_{numbers[FRAMES]} WHERE offset < {cut}")
        file.execute(f"DELETE FROM records_{numbers[DERIVED]}")
    log = EmbeddedLog(plant.log_path, create=False)
    again = plant.start("run", "derive", "--rebuild")
    until(lambda: not missing(log, derived_only(expected)), "all is told", seconds=60)
    assert again.stop() == 0
    assert same_content(derived_only(told(log)), derived_only(expected)) == []


def test_a_state_of_an_unknown_version_is_refused_with_what_to_do(
    plant: Plant, day: Day
) -> None:
    opened(plant, day).close()
    folder = recovery_folder(plant.folder / "data", FRAMES, 0)
    folder.mkdir(parents=True)
    (folder / "state.json").write_text('{"version": 0, "log": "x"}')
    flow = plant.start("run", "derive")
    assert flow.process.wait(30) == 1
    assert "pm500 run derive --rebuild" in flow.text()


def test_alerts_of_the_site_are_events_of_the_log(plant: Plant, day: Day) -> None:
    log = opened(plant, day)
    fill(plant, day, 0.0)
    flow = plant.start("run", "derive")
    until(lambda: states(log) >= {"raised", "cleared"}, "both", seconds=60)
    assert flow.stop() == 0


# -- the log and what stands in it --------------------------------------------------------


def opened(plant: Plant, day: Day) -> EmbeddedLog:
    log = EmbeddedLog(plant.log_path)
    publish_schemas(log, day.schemas)
    log.identity(DERIVED)
    return log


def fill(plant: Plant, day: Day, seconds: float) -> None:
    """Write the day to the log, over so much time."""
    log = EmbeddedLog(plant.log_path)
    batches = list(batches_of(day, size=200))
    begun = time.monotonic()
    for place, batch in enumerate(batches):
        topic = EVENTS if batch.topic == EVENTS else FRAMES
        log.append(topic, list(zip(batch.keys, batch.values, strict=True)))
        ahead = begun + seconds * place / len(batches) - time.monotonic()
        threading.Event().wait(max(0.0, ahead))
    log.close()


def plain(plant: Plant, day: Day) -> list[Told]:
    """What a plain loop makes of the same, all settings first, as from a whole log."""
    loop = Loop(derive_rules(load_site(plant.site)), day.schema_of)
    out: list[Told] = []
    for batch in batches_of(day, size=200):
        out += loop.take(batch)
    return out


def told(log: Log) -> dict[str, Latest]:
    return highest(
        record.value
        for topic in (DERIVED, EVENTS)
        for record in records(log, topic)
        if topic == DERIVED or is_derived(record.value)
    )


def records(log: Log, topic: str) -> Iterator[Record]:
    for partition in log.partitions(topic):
        offset, _ = log.bounds(topic, partition)
        while found := log.read(topic, partition, offset, 10_000):
            yield from found
            offset = found[-1].offset + 1


def make_topics(site: Site) -> None:
    client = kafka_client(site)
    make(client, topic_rules(site).plans())


def is_derived(value: bytes) -> bool:
    """Not what the meters said of themselves."""
    event = decode_record(value)
    return isinstance(event, Event) and not event.kind.startswith(("meter_", "conf"))


def missing(log: Log, expected: dict[str, Latest]) -> bool:
    found = told(log)
    return any(found.get(name) != latest for name, latest in expected.items())


def derived_only(found: dict[str, Latest]) -> dict[str, Latest]:
    return {
        name: latest
        for name, latest in found.items()
        if latest.value[:10] != Event.HEADER
    }


def states(log: Log) -> set[str]:
    found = [decode_record(record.value) for record in records(log, EVENTS)]
    return {
        event.data["state"]
        for event in found
        if isinstance(event, Event) and event.kind == "alert"
    }


def time_to_live(dice: random.Random) -> None:
    """A flow lives for a moment, whatever it is doing."""
    threading.Event().wait(dice.uniform(0.3, 2.5))


@pytest.mark.timeout(200)
def test_with_kafka_each_partition_has_a_process_and_all_is_told_once(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    day = forty_minutes([kind for kind in KINDS if kind not in ARRIVALS])
    cluster = {
        "bootstrap_servers": kafka.bootstrap_servers,
        "topic_prefix": f"{uuid4().hex[:8]}.",
        "partitions": 2,
    }
    sections = {"derive": {"snapshot_seconds": 1.0}, "kafka": cluster, **ALERT}
    plant = Plant(tmp_path, meters_in(day), sections)
    site = load_site(plant.site)
    make_topics(site)
    flow = plant.start("run", "derive")
    log = open_kafka(site)
    try:
        publish_schemas(log, day.schemas)
        for batch in batches_of(day, size=1000):
            topic = EVENTS if batch.topic == EVENTS else FRAMES
            log.append(topic, list(zip(batch.keys, batch.values, strict=True)))
        expected = derived_only(highest(values_of(plain(plant, day))))
        until(lambda: not missing(log, expected), "all is told", seconds=90, pause=0.5)
        assert flow.stop() == 0
        assert same_content(derived_only(told(log)), expected) == []
        assert {path.name for path in (tmp_path / "data" / "derive").iterdir()} == {
            "pm500.frames-0",
            "pm500.frames-1",
        }
    finally:
        log.close()
        plant.close()
