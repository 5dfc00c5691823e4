"""The ledger of a log, of an archive, and what ``pm500 ledger`` prints of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from connectors.log.contract import FRAMES
from connectors.log.embedded import EmbeddedLog
from connectors.log.schemas import publish_schemas
from dataflows.cli import app
from dataflows.ledger import (
    Key,
    Summary,
    expected_periods,
    facts_of_archive,
    facts_of_log,
    ledgers,
    summarize,
)
from dataflows.site import load_site
from tests.dataflows.processes import SITE, write_site
from tests.sinks.archive.making import ENERGY, NOON_US, REALTIME, Writer, frame
from transforms.ledger import Hour

M1, M2 = "plant1/hall1/m1", "plant1/hall1/m2"
ROWS = [
    *((M1, frame(REALTIME, s, status=2 * (s == 3))) for s in (0, 1, 3, 4)),
    (M1, frame(REALTIME, 1)),
    (M1, b"corrupt"),
    (M1, frame(ENERGY, 0, period_us=10_000_000)),
    (M2, frame(REALTIME, 0, status=1)),
]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    path = write_site(tmp_path, SITE)
    with EmbeddedLog(tmp_path / "data/log/edge.sqlite") as log:
        publish_schemas(log, (REALTIME, ENERGY))
        log.append(FRAMES, ROWS)
    return path


def _log(site: Path) -> EmbeddedLog:
    return EmbeddedLog(load_site(site).log_path)


def test_a_log_is_counted_by_asset_and_group(site: Path) -> None:
    found = ledgers(facts_of_log(_log(site)))
    assert {key: each.total for key, each in found.items()} == {
        Key(M1, "energy"): Hour(due=1, good=1),
        Key(M1, "realtime"): Hour(due=5, good=3, failed={2: 1}),
        Key(M2, "realtime"): Hour(due=1, failed={1: 1}),
    }


def test_an_archive_is_counted_like_its_log(site: Path) -> None:
    log = _log(site)
    folder = load_site(site).archive_path
    Writer(folder, log).roll(range(len(ROWS)))
    assert ledgers(facts_of_archive(folder)) == ledgers(facts_of_log(log))


def test_assets_can_be_chosen_by_a_pattern(site: Path) -> None:
    assert list(facts_of_log(_log(site), "*/m2")) == [Key(M2, "realtime")]


def test_a_summary_adds_up_between_start_and_stop(site: Path) -> None:
    expected = {Key(M1, "realtime"): 1_000_000, Key("a/b/c", "demand"): 5_000_000}
    found = summarize(
        _log(site), start_us=NOON_US, end_us=NOON_US + 10_000_000, expected=expected
    )
    # M1: 10 + 1 due, M2: 10 due, and the meter that was never heard of: 2.
    assert found == Summary(
        due=23,
        good=4,
        failed={"partial": 1, "timeout": 1},
        missing=17,
        duplicates=1,
    )


def test_the_configured_groups_and_their_periods_are_expected(site: Path) -> None:
    periods = expected_periods(load_site(site))
    assert periods[Key(M1, "realtime")] == 1_000_000
    assert {key.asset for key in periods} == {M1}


def _run(site: Path, *words: str) -> str:
    result = CliRunner().invoke(app, ["ledger", "--site", str(site), *words])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_command_prints_a_row_per_group_and_a_total(site: Path) -> None:
    lines = [line.split() for line in _run(site).splitlines()]
    assert ["│", M1, "│", "realtime", "│", "5", "│", "3", "│", "timeout", "1"] in [
        line[:11] for line in lines
    ]
    (total,) = (line for line in lines if "TOTAL" in line)
    numbers = [word for word in total if word not in ("│", "TOTAL", "%")]
    assert numbers == ["7", "4", "partial", "1,", "timeout", "1", "1", "57.142"]


def test_the_command_prints_hours_in_utc(site: Path) -> None:
    assert "2026-03-01T12:00Z" in _run(site, "--hours")


def test_the_command_prints_json(site: Path) -> None:
    found = json.loads(_run(site, "--json", "--asset", "*/m1"))
    assert found["total"] == {
        "due": 6,
        "good": 4,
        "failed": {"timeout": 1},
        "missing": 1,
        "duplicates": 1,
    }
    assert found["groups"][1]["hours"] == [
        {
            "hour": "2026-03-01T12:00Z",
            "due": 5,
            "good": 3,
            "failed": {"timeout": 1},
            "missing": 1,
        }
    ]


def test_a_range_makes_all_slots_of_configured_meters_due(site: Path) -> None:
    words = ("--from", "2026-03-01T12:00:00", "--to", "2026-03-01T12:00:10+00:00")
    found = json.loads(_run(site, "--json", *words))
    groups = {(g["asset"], g["group"]): g for g in found["groups"]}
    assert groups[M1, "realtime"]["due"] == 10
    assert groups[M1, "maximum"]["missing"] == groups[M1, "maximum"]["due"]


def test_a_time_that_is_none_is_refused(site: Path) -> None:
    result = CliRunner().invoke(app, ["ledger", "-s", str(site), "--from", "noon"])
    assert result.exit_code == 2
