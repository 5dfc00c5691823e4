from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest

from connectors.log.contract import FRAMES
from connectors.log.embedded import EmbeddedLog
from tests.dataflows.commands.pm500 import command, environment, run
from tests.dataflows.replay.making import REALTIME, archive, edge_log, frame
from tests.kit import until

INTO = "pm500.replayed"
PRESS, PUMP = "plant/hall/press", "plant/yard/pump"


def log_path(site: Path) -> Path:
    return site.parent / "data" / "log" / "edge.sqlite"


@pytest.fixture
def ten(site: Path) -> Path:
    """A site whose log holds ten frames, one a second, of two assets."""
    log_path(site).parent.mkdir(parents=True)
    keys = (PRESS, PUMP)
    records = [(keys[n % 2], frame(REALTIME, n)) for n in range(10)]
    edge_log(log_path(site), records).close()
    return site


def replayed(site: Path, topic: str = INTO) -> list[tuple[str, bytes]]:
    with EmbeddedLog(log_path(site), create=False) as log:
        return [(r.key, r.value) for r in log.read(topic, 0, 0, 1000)]


def test_without_kafka_the_log_is_replayed_into_the_log(ten: Path) -> None:
    done = run(ten, "replay", "--into", INTO)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("pm500.replayed: 10 records in ")
    keys = (PRESS, PUMP)
    assert replayed(ten) == [(keys[n % 2], frame(REALTIME, n)) for n in range(10)]


def test_the_sums_are_one_json_object(ten: Path) -> None:
    words = ["--from", "2026-03-01T12:00:02", "--to", "8", "--asset", "*/press"]
    done = run(ten, "replay", "--into", INTO, "--json", *words)
    told = json.loads(done.stdout)
    assert told.pop("seconds") > 0
    assert told.pop("records_per_second") > 0
    assert told == {
        "source": "log",
        "topic": "pm500.frames",
        "into": "pm500.replayed",
        "records": 3,
        "complete": True,
        "trouble": None,
    }
    assert replayed(ten) == [(PRESS, frame(REALTIME, n)) for n in (2, 4, 6)]


def test_the_archive_is_replayed_with_its_schemas(ten: Path) -> None:
    with EmbeddedLog(log_path(ten), create=False) as log:
        archive(log, FRAMES, ten.parent / "data" / "archive")
    log_path(ten).unlink()
    EmbeddedLog(log_path(ten)).close()
    done = run(ten, "replay", "--into", INTO, "--source", "archive")
    assert (done.returncode, done.stderr) == (0, "")
    keys = (PRESS, PUMP)
    assert replayed(ten) == [(keys[n % 2], frame(REALTIME, n)) for n in range(10)]
    found = replayed(ten, "pm500.schemas")
    assert REALTIME.fingerprint.hex() in [key for key, _ in found]


def test_speed_gives_the_records_their_own_time(ten: Path) -> None:
    done = run(ten, "replay", "--into", INTO, "--speed", "10x", "--json")
    told = json.loads(done.stdout)
    assert told["records"] == 10
    assert 0.9 <= told["seconds"] < 10


def test_a_signal_ends_it_with_what_was_acknowledged(ten: Path) -> None:
    words = command("replay", "--into", INTO, "--speed", "1x", "--json")
    with subprocess.Popen(
        words,
        env=environment(ten),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        until(lambda: replayed(ten), "the first record")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err == "stopped before the end\n"
    told = json.loads(out)
    assert told["complete"] is False
    assert 0 < told["records"] < 10
    assert len(replayed(ten)) == told["records"]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--into", "pm500.frames"], "live"),
        (["--into", "pm500.schemas", "--force"], "takes no"),
        (["--into", "pm500.dead", "--force"], "takes no"),
        (["--into", "a/b"], "must be of letters"),
        (["--into", INTO, "--from", "noon"], "'noon' is neither"),
        (["--into", INTO, "--speed", "fast"], "'fast' is neither"),
        (["--into", INTO, "--source", "kafka"], "no [kafka]"),
        (["--into", INTO, "--source", "archive", "--to", "7"], "no offsets"),
        (["--into", INTO, "--source", "archive", "--topic", "derived"], "only"),
        ([], "--into"),
    ],
)
def test_a_wrong_question_is_refused(ten: Path, words: list[str], problem: str) -> None:
    done = run(ten, "replay", *words)
    assert done.returncode == 2
    assert problem in done.stderr
    assert replayed(ten) == []


def test_into_a_live_topic_it_must_be_forced(ten: Path) -> None:
    done = run(ten, "replay", "--into", FRAMES, "--from", "8", "--force")
    assert done.returncode == 0
    assert len(replayed(ten, FRAMES)) == 12


def test_a_site_without_a_log_is_said(site: Path) -> None:
    done = run(site, "replay", "--into", INTO)
    assert done.returncode == 1
    assert "edge.sqlite" in done.stderr
