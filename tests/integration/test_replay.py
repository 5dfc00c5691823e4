"""A replay of any source into any target, archived again, gives the same rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import polars as pl
import pytest
import tomli_w

from connectors.log.contract import EVENTS, FRAMES, Log
from connectors.log.embedded import EmbeddedLog
from connectors.log.kafka.client import KafkaClient
from connectors.log.kafka.log import KafkaLog
from connectors.log.kafka.topics import TopicRules
from connectors.log.schemas import Schemas, copy_schemas, publish_schemas
from connectors.profiles import load_profile
from dataflows.replay.from_log import LogHistory
from dataflows.replay.pace import Pace
from dataflows.replay.run import replay
from dataflows.replay.span import Assets, Span
from dataflows.replay.target import KafkaTarget
from sinks.archive.store import Store
from tests.dataflows.commands.pm500 import run
from tests.dataflows.replay.making import archive, archive_events
from tests.kafka_broker import KafkaBroker
from tests.kit import Flow, until
from transforms.codec.frame import FrameSchema, frame_schema
from transforms.codec.records import Event
from transforms.model.quality import Quality, Status

pytestmark = pytest.mark.integration

NOON_US = 1_772_366_400_000_000
SECOND_US = 1_000_000
INTO = "pm500.replayed"


def schema_of(profile: str, group: str) -> FrameSchema:
    loaded = load_profile(profile)
    return frame_schema(loaded, loaded.group_named(group))


REALTIME = schema_of("pm500", "realtime")
# The profile before it gained its last reading.
OLDER = FrameSchema("pm500", "realtime", REALTIME.columns[:-1])
STATUS = schema_of("pm500", "status")
ENERGY = schema_of("pm500", "energy")
EM24 = schema_of("em24", "realtime")
SCHEMAS = (OLDER, REALTIME, STATUS, ENERGY, EM24)
ASSETS = {
    "plant/hall/old": OLDER,
    "plant/hall/press": REALTIME,
    "plant/hall/press-status": STATUS,
    "plant/yard/counter": ENERGY,
    "plant/yard/pump": EM24,
}


def frame(schema: FrameSchema, second: int) -> bytes:
    """Good, uncertain, partial and failed frames in turn, over midnight."""
    slot_us = NOON_US + 12 * 3600 * SECOND_US - 20 * SECOND_US + second * SECOND_US
    head = slot_us // SECOND_US, SECOND_US, slot_us, slot_us + 100, slot_us + 900
    count = len(schema.columns)
    values = [
        bool(second % 2) if column.type == "boolean" else second + place / 8
        for place, column in enumerate(schema.columns)
    ]
    match second % 5:
        case 0:
            return schema.encode_failed(*head, Status.TIMEOUT + second % 11)
        case 1:
            quality = bytes([Quality.UNCERTAIN_NOT_COMMISSIONED]) * count
            return schema.encode(*head, Status.OK, quality, values)
        case 2:
            odd = count // 2
            quality = bytes(odd) + bytes([Quality.BAD_NO_VALUE]) * (count - odd)
            values[odd:] = schema.nothing[odd:]
            return schema.encode(*head, Status.PARTIAL, quality, values)
        case 3:
            quality = bytes([Quality.BAD_OVERLOAD]) + bytes(count - 1)
            values[0] = schema.nothing[0]
            return schema.encode(*head, Status.OK, quality, values)
        case _:
            return schema.encode(*head, Status.OK, bytes(count), values)


FRAMES_MADE = [
    (asset, frame(schema, second))
    for second in range(40)
    for asset, schema in ASSETS.items()
]
EVENTS_MADE = [
    (event.asset, event.encode())
    for event in (
        Event(asset="plant/hall/press", kind="gap", time=NOON_US, group="realtime"),
        Event(asset="plant/yard/pump", kind="comm_lost", time=NOON_US + 7),
        Event(asset="", kind="log_truncated", time=NOON_US + 9, data={"b": "2"}),
    )
]


class Site:
    """A site whose history stands in the edge's log, in Kafka and in the archive."""

    def __init__(self, folder: Path, broker: KafkaBroker) -> None:
        self.folder = folder
        self.client = KafkaClient(
            bootstrap_servers=broker.bootstrap_servers, prefix=f"{uuid4().hex}."
        )
        plain = {
            "site": {"name": "plant"},
            "meter": [{"asset": "hall/press", "host": "127.0.0.1"}],
        }
        kafka = {
            "bootstrap_servers": self.client.bootstrap_servers,
            "topic_prefix": self.client.prefix,
        }
        self.without_kafka = folder / "site.toml"
        self.without_kafka.write_text(tomli_w.dumps(plain), "utf-8")
        self.with_kafka = folder / "kafka.toml"
        self.with_kafka.write_text(tomli_w.dumps(plain | {"kafka": kafka}), "utf-8")
        (folder / "data" / "log").mkdir(parents=True)
        self.edge = EmbeddedLog(folder / "data" / "log" / "edge.sqlite")
        self.kafka = KafkaLog(self.client, TopicRules(partitions=3))
        publish_schemas(self.edge, SCHEMAS)
        copy_schemas(self.edge, self.kafka)
        for log in (self.edge, self.kafka):
            log.append(FRAMES, FRAMES_MADE)
            log.append(EVENTS, EVENTS_MADE)
        archive(self.edge, FRAMES, folder / "data" / "archive")
        archive_events(self.edge, EVENTS, folder / "data" / "archive")

    def replay(self, site: Path, *words: str) -> int:
        """Run the command; how many records it says."""
        done = run(site, "replay", "--into", INTO, "--json", *words)
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert told["complete"]
        return int(told["records"])

    def close(self) -> None:
        self.edge.close()
        self.kafka.close()


@pytest.fixture
def site(tmp_path: Path, kafka: KafkaBroker) -> Iterator[Site]:
    with closing(Site(tmp_path, kafka)) as made:
        yield made


def rows_of(folder: Path, table: str) -> pl.DataFrame:
    """All rows of a table, in one order whatever their files."""
    rows = pl.read_delta(str(folder / table))
    time = "slot" if "slot" in rows.columns else "time"
    return rows.select(sorted(rows.columns)).sort("site", "area", "asset", time)


TABLES = ("frames/energy", "frames/realtime", "frames/status")


def assert_same_rows(site: Site, log: Log, again: Path) -> None:
    """Archive the replayed topic into an empty folder and compare every column."""
    archive(log, INTO, again)
    for table in TABLES:
        expected = rows_of(site.folder / "data" / "archive", table)
        found = rows_of(again, table)
        assert found.schema == expected.schema
        assert found.rows() == expected.rows()


def test_the_archive_has_frames_of_every_kind(site: Site) -> None:
    rows = rows_of(site.folder / "data" / "archive", "frames/realtime")
    assert rows.height == 3 * 40
    assert set(rows["profile"]) == {"pm500", "em24"}
    assert set(rows["quality"]) == {0, 64, 192}
    assert rows["date"].n_unique() == 2


@pytest.mark.parametrize("source", ["kafka", "log", "archive"])
def test_replayed_into_kafka_the_archive_is_the_same(
    site: Site, tmp_path: Path, source: str
) -> None:
    assert site.replay(site.with_kafka, "--source", source) == 200
    assert site.kafka.partitions(INTO) == (0, 1, 2, 3)
    assert_same_rows(site, site.kafka, tmp_path / "again")


@pytest.mark.parametrize("source", ["log", "archive"])
def test_replayed_into_the_edges_log_the_archive_is_the_same(
    site: Site, tmp_path: Path, source: str
) -> None:
    assert site.replay(site.without_kafka, "--source", source) == 200
    assert_same_rows(site, site.edge, tmp_path / "again")


@pytest.mark.parametrize("source", ["kafka", "log", "archive"])
def test_replayed_events_give_the_same_rows(
    site: Site, tmp_path: Path, source: str
) -> None:
    words = ["--source", source, "--topic", "events"]
    assert site.replay(site.with_kafka, *words) == 3
    archive_events(site.kafka, INTO, tmp_path / "again")
    expected = rows_of(site.folder / "data" / "archive", "events")
    assert rows_of(tmp_path / "again", "events").rows() == expected.rows()


@pytest.mark.parametrize("source", ["kafka", "log", "archive"])
def test_time_and_assets_choose_the_same_of_every_source(
    site: Site, source: str
) -> None:
    words = ["--from", "2026-03-02", "--to", "2026-03-02T00:00:10"]
    words += ["--asset", "*/press*", "--asset", "plant/yard/pump", "--speed", "5x"]
    assert site.replay(site.with_kafka, "--source", source, *words) == 3 * 10
    found = records_by_key(site.kafka, INTO)
    assert found == {
        asset: [frame(schema, second) for second in range(20, 30)]
        for asset, schema in ASSETS.items()
        if asset not in ("plant/hall/old", "plant/yard/counter")
    }


def test_bytes_order_and_keys_are_the_same(site: Site) -> None:
    site.replay(site.with_kafka, "--source", "kafka")
    found = records_by_key(site.kafka, INTO)
    assert found == records_by_key(site.kafka, FRAMES)
    assert found == records_by_key(site.edge, FRAMES)


def test_schemas_stand_in_kafka_before_the_edges_records(
    tmp_path: Path, kafka: KafkaBroker
) -> None:
    site = Site(tmp_path, kafka)
    elsewhere = uuid4().hex
    text = site.with_kafka.read_text("utf-8")
    site.with_kafka.write_text(text.replace(site.client.prefix, f"{elsewhere}."))
    site.replay(site.with_kafka, "--source", "log")
    client = KafkaClient(
        bootstrap_servers=kafka.bootstrap_servers, prefix=f"{elsewhere}."
    )
    with closing(site), closing(KafkaLog(client)) as log:
        names = Schemas(log).fingerprints()
        assert {schema.fingerprint for schema in SCHEMAS} <= names


def records_by_key(log: Log, topic: str) -> dict[str, list[bytes]]:
    """The records of each key, in their order."""
    found: dict[str, list[bytes]] = {}
    for number in log.partitions(topic):
        at, end = log.bounds(topic, number)
        while at < end:
            for record in log.read(topic, number, at, 1000):
                found.setdefault(record.key, []).append(record.value)
                at = record.offset + 1
    return found


def test_the_archive_flow_reads_a_replayed_topic(site: Site, tmp_path: Path) -> None:
    site.replay(site.with_kafka, "--source", "kafka")
    other = site.folder / "replayed.toml"
    text = site.with_kafka.read_text("utf-8")
    text = text.replace('name = "plant"', 'name = "plant"\ndata = "replayed"')
    text += '[archive]\nframes_topic = "pm500.replayed"\nroll_rows = 1\n'
    other.write_text(text + "[observe]\nbase_port = 0\n", "utf-8")
    flow = Flow(["run", "archive"], other, tmp_path / "archive.log")
    again = site.folder / "replayed" / "archive"
    try:
        until(lambda: heights(again) == [40, 120, 40], "all rows")
        assert flow.stop() == 0
    finally:
        flow.kill()
    for table in TABLES:
        expected = rows_of(site.folder / "data" / "archive", table)
        assert rows_of(again, table).rows() == expected.rows()


def heights(folder: Path) -> list[int]:
    """The rows of each table that is there."""
    names = Store.of(folder).table_names("frames")
    return [rows_of(folder, name).height for name in names]


class Nobody:
    """Does not look."""

    def advance(self, looked: int, sent: int) -> None:
        return None


def test_a_cluster_that_is_gone_ends_the_replay_in_time(
    tmp_path: Path, own_kafka: object
) -> None:
    assert callable(own_kafka)
    broker: KafkaBroker = own_kafka()
    site = Site(tmp_path, broker)
    history = LogHistory(
        site.edge,
        FRAMES,
        Span(),
        Assets(),
        exact=False,
        stopping=lambda: False,
        told=lambda _: None,
    )
    target = KafkaTarget(
        site.client, site.kafka, INTO, stopping=lambda: False, away_seconds=1.0
    )
    broker.kill()
    pace = Pace(None, stopping=lambda: False)
    done = replay(history, target, pace, Nobody(), stopping=lambda: False)
    assert (done.records, done.complete) == (0, False)
    assert done.seconds < 10
    assert done.trouble is not None
    assert done.trouble.startswith("pm500.replayed: 200 records are not acknowledged")
    site.edge.close()
