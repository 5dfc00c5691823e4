from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.log.contract import FRAMES
from connectors.log.dead import bury
from connectors.log.embedded import EmbeddedLog
from tests.dataflows.commands.pm500 import run

ASSET = "plant/hall/press"

pytestmark = pytest.mark.integration


@pytest.fixture
def log(site: Path) -> Iterator[EmbeddedLog]:
    with EmbeddedLog(site.parent / "data" / "log" / "edge.sqlite") as log:
        log.append(FRAMES, [(ASSET, b"good"), (ASSET, b"\xffbad"), (ASSET, b"worse")])
        for record in log.read(FRAMES, 0, 1, 2):
            bury(log, "archive", record, FRAMES, 0, "no single-object record")
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
