from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from connectors.log.contract import DEAD, EVENTS, FRAMES
from connectors.log.dead import Place, bury
from connectors.log.embedded import EmbeddedLog
from connectors.log.kafka.log import KafkaLog
from connectors.log.schemas import publish_schemas
from dataflows.kafka import open_kafka
from dataflows.site import load_site
from tests.dataflows.commands.pm500 import command, environment, run
from transforms.codec.frame import Column, FrameSchema
from transforms.codec.records import Event
from transforms.model.quality import Quality, Status

ASSET = "plant/hall/press"
OTHER = "plant/yard/pump"
REALTIME = FrameSchema(
    "pm500",
    "realtime",
    (
        Column("voltageAN", "float"),
        Column("currentA", "float"),
        Column("frequency", "float"),
        Column("alarm1", "boolean"),
    ),
)
ENERGY = FrameSchema("pm500", "energy", (Column("energyImport", "double"),))
SLOT_US = 1_713_897_600_000_000


def frame(seq: int) -> bytes:
    slot_us = SLOT_US + seq * 1_000_000
    quality = (
        Quality.GOOD,
        Quality.BAD_OVERLOAD,
        Quality.UNCERTAIN_NOT_COMMISSIONED,
        Quality.GOOD,
    )
    return REALTIME.encode(
        seq,
        1_000_000,
        slot_us,
        slot_us + 3_000,
        slot_us + 15_500,
        Status.OK,
        bytes(quality),
        (230.1, 5e9, 50.0, True),
    )


def energy(seq: int) -> bytes:
    slot_us = SLOT_US + seq * 1_000_000
    return ENERGY.encode_failed(seq, 1_000_000, slot_us, 0, 0, Status.TIMEOUT)


@pytest.fixture
def log(site: Path) -> Iterator[EmbeddedLog]:
    with EmbeddedLog(site.parent / "data" / "log" / "edge.sqlite") as log:
        publish_schemas(log, [REALTIME, ENERGY])
        log.append(FRAMES, [(ASSET, frame(0)), (ASSET, energy(0)), (OTHER, frame(1))])
        yield log


def lines(site: Path, *words: str) -> list[dict[str, Any]]:
    done = run(site, "tail", *words)
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


@contextmanager
def following(site: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        command("tail", *words),
        env=environment(site),
        cwd=site.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def read_line(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    line: dict[str, Any] = json.loads(process.stdout.readline())
    return line


pytestmark = pytest.mark.integration


@pytest.mark.usefixtures("log")
def test_a_frame_is_one_line_with_its_readings(site: Path) -> None:
    first, *_ = lines(site, "--no-follow")
    assert first == {
        "asset": ASSET,
        "group": "realtime",
        "seq": 0,
        "slot": "2024-04-23T18:40:00Z",
        "status": "ok",
        "quality": {"good": 2, "bad_overload": 1, "uncertain_not_commissioned": 1},
        "readings": {
            "voltageAN": 230.1,
            "currentA": None,
            "frequency": 50.0,
            "alarm1": True,
        },
        "latency_ms": 12.5,
        "offset": 0,
    }


@pytest.mark.usefixtures("log")
def test_a_failed_poll_is_a_line_with_its_status(site: Path) -> None:
    (line,) = lines(site, "--no-follow", "--group", "energy")
    assert (line["status"], line["quality"]) == ("timeout", {"bad_no_value": 1})
    assert line["readings"] == {"energyImport": None}


@pytest.mark.usefixtures("log")
def test_assets_are_chosen_by_a_pattern(site: Path) -> None:
    (line,) = lines(site, "--no-follow", "--asset", "plant/yard/*")
    assert (line["asset"], line["offset"]) == (OTHER, 2)


@pytest.mark.usefixtures("log")
def test_it_begins_where_it_is_told_and_ends_after_the_count(site: Path) -> None:
    assert [x["offset"] for x in lines(site, "--no-follow", "--from", "1")] == [1, 2]
    counted = lines(site, "--from", "beginning", "--count", "2")
    assert [line["offset"] for line in counted] == [0, 1]
    assert lines(site, "--no-follow", "--from", "end") == []


def test_a_corrupt_record_is_a_line_and_the_tail_goes_on(
    site: Path, log: EmbeddedLog
) -> None:
    log.append(FRAMES, [(ASSET, b"junk"), (ASSET, frame(2)[:-1]), (ASSET, frame(3))])
    junk, cut, good = lines(site, "--no-follow", "--from", "3")
    assert (junk["offset"], junk["asset"]) == (3, ASSET)
    assert "no single-object record" in junk["error"]
    assert cut["offset"] == 4
    assert cut["error"]
    assert good["seq"] == 3


def test_events_and_dead_letters_are_topics_too(site: Path, log: EmbeddedLog) -> None:
    event = Event(
        asset=ASSET, kind="gap", time=SLOT_US, group="realtime", data={"missing": "3"}
    )
    log.append(EVENTS, [(ASSET, event.encode())])
    (record,) = log.read(FRAMES, 0, 0, 1)
    bury(log, "archive", Place(FRAMES, 0, 0), record.key, record.value, "why not")
    (line,) = lines(site, "--no-follow", "--topic", "events")
    assert (line["kind"], line["time"]) == ("gap", "2024-04-23T18:40:00Z")
    assert (line["data"], line["offset"]) == ({"missing": "3"}, 0)
    (line,) = lines(site, "--no-follow", "--topic", "dead")
    assert (line["flow"], line["error"], line["key"]) == ("archive", "why not", ASSET)
    assert bytes.fromhex(line["value"]) == frame(0)
    assert log.bounds(DEAD, 0) == (0, 1)


def test_what_retention_took_is_passed_over_and_said(
    site: Path, log: EmbeddedLog
) -> None:
    log.take(FRAMES, 2)
    done = run(site, "tail", "--no-follow", "--from", "1")
    assert json.loads(done.stdout)["offset"] == 2
    assert "offset 1 is gone, the first is 2" in done.stderr
    assert done.returncode == 0


@pytest.mark.usefixtures("log")
def test_an_offset_that_is_none_is_a_wrong_option(site: Path) -> None:
    for wrong in ("4", "-1", "yesterday"):
        done = run(site, "tail", "--from", wrong)
        assert done.returncode == 2
        assert "0..3" in done.stderr


def test_without_a_log_it_says_where_it_looked(site: Path) -> None:
    done = run(site, "tail")
    assert done.returncode == 1
    assert done.stderr == f"{site.parent}/data/log/edge.sqlite: there is no log\n"
    assert not (site.parent / "data").exists()


def test_a_wrong_site_is_refused(site: Path) -> None:
    site.write_text("[site]\n")
    assert run(site, "tail").returncode == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_follows_until_a_signal_comes(
    site: Path, log: EmbeddedLog, number: signal.Signals
) -> None:
    with following(site, "--from", "2") as process:
        assert read_line(process)["offset"] == 2
        log.append(FRAMES, [(ASSET, frame(4))])
        assert read_line(process)["seq"] == 4
        process.send_signal(number)
        assert process.wait(timeout=10) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_a_reader_that_goes_away_ends_it(site: Path, log: EmbeddedLog) -> None:
    with following(site, "--from", "2") as process:
        read_line(process)
        assert process.stdout is not None
        process.stdout.close()
        deadline = time.monotonic() + 20
        while process.poll() is None and time.monotonic() < deadline:
            log.append(FRAMES, [(ASSET, frame(5))])
            time.sleep(0.01)
        assert process.returncode == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_a_signal_ends_it_though_nobody_takes_its_output(
    site: Path, log: EmbeddedLog
) -> None:
    log.append(FRAMES, [(ASSET, frame(6))] * 2000)
    with following(site, "--from", "beginning") as process:
        # Its first line is out, and the rest is far more than a pipe holds.
        read_line(process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0


# -- Kafka --------------------------------------------------------------------------


@pytest.fixture
def kafka_log(kafka_site: Path) -> Iterator[KafkaLog]:
    log = open_kafka(load_site(kafka_site))
    publish_schemas(log, [REALTIME])
    yield log
    log.close()


def test_kafka_is_printed_by_partition_each_in_its_order(
    kafka_site: Path, kafka_log: KafkaLog
) -> None:
    keys = [f"plant/hall/m{number}" for number in range(12)]
    for seq in range(3):
        kafka_log.append(FRAMES, [(key, frame(seq)) for key in keys])
    words = ("--log", "kafka", "--no-follow")
    found = lines(kafka_site, *words)
    assert len(found) == 36
    assert {line["partition"] for line in found} == {0, 1, 2}
    for key in keys:
        own = [line["seq"] for line in found if line["asset"] == key]
        assert own == [0, 1, 2]
    for number in range(3):
        of_one = [line for line in found if line["partition"] == number]
        assert [line["offset"] for line in of_one] == list(range(len(of_one)))
        assert lines(kafka_site, *words, "--partition", str(number)) == of_one
        last = str(len(of_one) - 1)
        chosen = lines(kafka_site, *words, "--partition", str(number), "--from", last)
        assert chosen == of_one[-1:]
    assert len(lines(kafka_site, *words, "--count", "5")) == 5


def test_an_offset_needs_its_partition(kafka_site: Path, kafka_log: KafkaLog) -> None:
    kafka_log.append(FRAMES, [(ASSET, frame(0))])
    done = run(kafka_site, "tail", "--log", "kafka", "--from", "0")
    assert done.returncode == 2
    assert "needs --partition" in done.stderr
    done = run(kafka_site, "tail", "--log", "kafka", "--partition", "3")
    assert done.returncode == 2
    assert "0..2" in done.stderr


def test_a_dead_letter_in_kafka_has_the_place_of_its_record_beside_its_own(
    kafka_site: Path, kafka_log: KafkaLog
) -> None:
    bury(kafka_log, "archive", Place(FRAMES, 2, 7), ASSET, b"junk", "why not")
    (line,) = lines(kafka_site, "--log", "kafka", "--no-follow", "--topic", "dead")
    assert (line["partition"], line["offset"]) == (2, 7)
    assert (line["log_partition"], line["log_offset"]) == (0, 0)


def test_it_follows_kafka_until_a_signal_comes(
    kafka_site: Path, kafka_log: KafkaLog
) -> None:
    kafka_log.append(FRAMES, [(ASSET, frame(0))])
    with following(kafka_site, "--log", "kafka", "--from", "beginning") as process:
        assert read_line(process)["seq"] == 0
        for seq in (1, 2, 3):
            kafka_log.append(FRAMES, [(ASSET, frame(seq)), (OTHER, frame(seq))])
            assert {read_line(process)["seq"], read_line(process)["seq"]} == {seq}
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_kafka_that_does_not_answer_is_one_line(away_site: Path) -> None:
    done = run(away_site, "tail", "--log", "kafka")
    assert (done.returncode, done.stdout) == (1, "")
    assert ": the cluster does not answer: " in done.stderr
    assert done.stderr.count("\n") == 1


def test_kafka_of_a_site_without_is_one_line(site: Path) -> None:
    done = run(site, "tail", "--log", "kafka")
    assert done.returncode == 2
    assert done.stderr == f"{site}: kafka: this site has none\n"
