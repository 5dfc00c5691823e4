from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.log.contract import DEAD, FRAMES
from connectors.log.dead import Place, bury
from connectors.log.embedded import EmbeddedLog
from connectors.log.kafka.log import KafkaLog
from dataflows.kafka import open_kafka
from dataflows.site import load_site
from tests.dataflows.commands.pm500 import run

ASSET = "plant/hall/press"

pytestmark = pytest.mark.integration


@pytest.fixture
def log(site: Path) -> Iterator[EmbeddedLog]:
    with EmbeddedLog(site.parent / "data" / "log" / "edge.sqlite") as log:
        log.append(FRAMES, [(ASSET, b"good"), (ASSET, b"\xffbad"), (ASSET, b"worse")])
        for record in log.read(FRAMES, 0, 1, 2):
            place = Place(FRAMES, 0, record.offset)
            why = "no single-object record"
            bury(log, "archive", place, record.key, record.value, why)
        yield log


def listed(site: Path) -> list[dict[str, Any]]:
    done = run(site, "dead", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.usefixtures("log")
def test_letters_are_listed_as_json_lines(site: Path) -> None:
    first, second = listed(site)
    assert first["id"] != second["id"]
    assert {name: first[name] for name in first if name not in ("id", "time")} == {
        "log": "edge",
        "flow": "archive",
        "topic": "pm500.frames",
        "partition": 0,
        "offset": 1,
        "key": ASSET,
        "error": "no single-object record",
        "replayed": False,
        "value": "ff626164",
    }


@pytest.mark.usefixtures("log")
def test_letters_are_listed_for_people(site: Path) -> None:
    done = run(site, "dead")
    assert done.returncode == 0
    for letter in listed(site):
        assert letter["id"] in done.stdout
    assert "pm500.frames-0@2" in done.stdout
    assert "no single-object record" in done.stdout


def test_none_is_said(site: Path) -> None:
    EmbeddedLog(site.parent / "data" / "log" / "edge.sqlite").close()
    assert run(site, "dead").stdout == "no dead letters\n"


def test_one_is_replayed_by_its_id(site: Path, log: EmbeddedLog) -> None:
    _, second = listed(site)
    done = run(site, "dead", "--replay", second["id"])
    assert done.stdout == f"{second['id']} replayed as pm500.frames-0@3\n"
    (record,) = log.read(FRAMES, 0, 3, 10)
    assert (record.key, record.value) == (ASSET, b"worse")
    assert [letter["replayed"] for letter in listed(site)] == [False, True]


def test_all_that_were_not_yet_are_replayed_in_order(
    site: Path,
    log: EmbeddedLog,
) -> None:
    run(site, "dead", "--replay")
    assert [r.value for r in log.read(FRAMES, 0, 3, 10)] == [b"\xffbad", b"worse"]
    assert run(site, "dead", "--replay").stdout == ""
    assert log.bounds(FRAMES, 0) == (0, 5)


def test_an_unknown_letter_replays_nothing(site: Path, log: EmbeddedLog) -> None:
    first, _ = listed(site)
    done = run(site, "dead", "--replay", first["id"], "0123")
    assert (done.returncode, done.stderr) == (1, "no such letter: 0123\n")
    assert log.bounds(FRAMES, 0) == (0, 3)


# -- Kafka --------------------------------------------------------------------------


@pytest.fixture
def kafka_log(kafka_site: Path) -> Iterator[KafkaLog]:
    log = open_kafka(load_site(kafka_site))
    records = [(f"plant/hall/m{number}", b"good") for number in range(6)]
    log.append(FRAMES, records)
    bury(log, "archive", Place(FRAMES, 0, 0), ASSET, b"\xfejunk", "unknown schema")
    yield log
    log.close()


def test_letters_of_both_logs_are_listed_with_their_log(
    kafka_site: Path,
    log: EmbeddedLog,
    kafka_log: KafkaLog,
) -> None:
    found = listed(kafka_site)
    assert [letter["log"] for letter in found] == ["edge", "edge", "kafka"]
    assert [letter["error"] for letter in found][2] == "unknown schema"
    only = {
        name: [json.loads(line)["log"] for line in done.stdout.splitlines()]
        for name in ("edge", "kafka")
        if (done := run(kafka_site, "dead", "--json", "--log", name))
    }
    assert only == {"edge": ["edge"] * 2, "kafka": ["kafka"]}
    assert (log.bounds(FRAMES, 0), kafka_log.bounds(DEAD, 0)) == ((0, 3), (0, 1))


@pytest.mark.usefixtures("log")
def test_a_record_goes_back_into_the_log_that_its_letter_came_from(
    kafka_site: Path, kafka_log: KafkaLog
) -> None:
    before = sum(kafka_log.bounds(FRAMES, n)[1] for n in kafka_log.partitions(FRAMES))
    (letter,) = (each for each in listed(kafka_site) if each["log"] == "kafka")
    done = run(kafka_site, "dead", "--replay", letter["id"])
    assert (done.returncode, done.stderr) == (0, "")
    home, offset = done.stdout.rsplit("pm500.frames-", 1)[1].split("@")
    (record,) = kafka_log.read(FRAMES, int(home), int(offset), 10)
    assert (record.key, record.value) == (ASSET, b"\xfejunk")
    after = sum(kafka_log.bounds(FRAMES, n)[1] for n in kafka_log.partitions(FRAMES))
    assert after == before + 1
    assert [(each["log"], each["replayed"]) for each in listed(kafka_site)] == [
        ("edge", False),
        ("edge", False),
        ("kafka", True),
    ]


def test_a_letter_that_both_logs_have_needs_its_log(
    kafka_site: Path, log: EmbeddedLog, kafka_log: KafkaLog
) -> None:
    bury(kafka_log, "archive", Place(FRAMES, 0, 1), ASSET, b"other", "why not")
    first, _, _, same = listed(kafka_site)
    assert first["id"] == same["id"]
    done = run(kafka_site, "dead", "--replay", first["id"])
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"in both logs, say --log: {first['id']}\n"
    done = run(kafka_site, "dead", "--replay", first["id"], "--log", "edge")
    assert done.stdout == f"{first['id']} replayed as pm500.frames-0@3\n"
    assert log.bounds(FRAMES, 0) == (0, 4)


def test_where_there_is_no_edge_the_letters_of_kafka_are_listed(
    kafka_site: Path, kafka_log: KafkaLog
) -> None:
    assert [letter["log"] for letter in listed(kafka_site)] == ["kafka"]
    assert kafka_log.bounds(DEAD, 0) == (0, 1)


def test_what_the_edge_has_is_listed_while_kafka_is_away(
    away_site: Path, log: EmbeddedLog
) -> None:
    done = run(away_site, "dead", "--json")
    assert done.returncode == 1
    assert ": the cluster does not answer: " in done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [letter["log"] for letter in found] == ["edge", "edge"]
    assert run(away_site, "dead", "--replay").returncode == 1
    assert log.bounds(FRAMES, 0) == (0, 3)
