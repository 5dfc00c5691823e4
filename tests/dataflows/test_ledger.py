"""The ledger of a log, of an archive, and what ``pm500 ledger`` prints of it."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from connectors.log.contract import EVENTS, FRAMES
from connectors.log.embedded import EmbeddedLog
from connectors.log.loss import LOSS, loss_event
from connectors.log.schemas import publish_schemas
from dataflows.archive_store import archive_store
from dataflows.cli import app
from dataflows.kafka import open_kafka
from dataflows.ledger import (
    Key,
    Summary,
    expected_periods,
    facts_of_archive,
    facts_of_log,
    ledgers,
    summarize,
)
from dataflows.losses import Loss, between, losses_of_archive, losses_of_log
from dataflows.site import load_site
from tests.dataflows.processes import SITE, write_site
from tests.kafka_broker import KafkaBroker
from tests.s3 import KEY, REGION, SECRET, S3Server
from tests.sinks.archive.making import (
    ENERGY,
    NOON_US,
    REALTIME,
    SECOND_US,
    Writer,
    frame,
)
from transforms.codec.records import Event
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


def use_bucket(site: Path, server: S3Server) -> None:
    """The archive of the site in a new bucket."""
    (site.parent / "id").write_text(KEY)
    (site.parent / "secret").write_text(SECRET)
    sections = f"""
        [archive]
        path = "s3://{server.bucket()}/plant1"
        [s3]
        endpoint = "{server.endpoint}"
        region = "{REGION}"
        access_key_id_file = "id"
        secret_access_key_file = "secret"
        """
    site.write_text(site.read_text() + sections)


def lost(first: int, last: int, *, second: int, readers: tuple[str, ...]) -> Event:
    """Of the log's own retention: appended in one second after noon."""
    return loss_event(
        "log id",
        FRAMES,
        partition=0,
        first_offset=first,
        last_offset=last,
        time_us=NOON_US + second * SECOND_US,
        until_us=NOON_US + (second + 1) * SECOND_US,
        readers=readers,
    )


LOSSES = (
    lost(0, 99, second=0, readers=("archive", "publish")),
    lost(100, 100, second=60, readers=("publish",)),
)


def append_losses(log: EmbeddedLog) -> None:
    other = Event(asset=M1, kind="gap", time=NOON_US)
    # A reader that was killed tells the same loss again.
    for event in (LOSSES[1], other, LOSSES[0], LOSSES[1]):
        log.append(EVENTS, [(event.asset, event.encode())])
    log.append(EVENTS, [("", b"junk")])


TOLD = [
    Loss(
        time_us=NOON_US,
        until_us=NOON_US + SECOND_US,
        topic=FRAMES,
        partition=0,
        first_offset=0,
        last_offset=99,
        records=100,
        readers=("archive", "publish"),
    ),
    Loss(
        time_us=NOON_US + 60 * SECOND_US,
        until_us=NOON_US + 61 * SECOND_US,
        topic=FRAMES,
        partition=0,
        first_offset=100,
        last_offset=100,
        records=1,
        readers=("publish",),
    ),
]


def test_the_losses_of_a_log_are_known_once_each_by_time(site: Path) -> None:
    log = _log(site)
    assert losses_of_log(log) == []
    append_losses(log)
    assert losses_of_log(log) == TOLD


def test_the_losses_of_an_archive_are_those_of_its_log(site: Path) -> None:
    log = _log(site)
    store = archive_store(load_site(site))
    assert losses_of_archive(store) == []
    append_losses(log)
    Writer(store, log, EVENTS).roll(range(5))
    assert losses_of_archive(store) == TOLD


@pytest.mark.parametrize(
    ("start", "end", "found"),
    [
        (None, None, TOLD),
        (1, None, TOLD),
        (2, None, TOLD[1:]),
        (None, 60, TOLD[:1]),
        (None, 61, TOLD),
        (2, 60, []),
    ],
)
def test_a_loss_counts_where_it_reaches_into_the_range(
    start: int | None, end: int | None, found: list[Loss]
) -> None:
    def us(second: int | None) -> int | None:
        return None if second is None else NOON_US + second * SECOND_US

    assert between(TOLD, us(start), us(end)) == found


def test_an_event_that_tells_no_loss_is_passed_over(site: Path) -> None:
    log = _log(site)
    event = Event(asset="", kind=LOSS, time=NOON_US, data={"topic": FRAMES})
    log.append(EVENTS, [("", event.encode())])
    assert losses_of_log(log) == []


def test_a_log_is_counted_by_asset_and_group(site: Path) -> None:
    found = ledgers(facts_of_log(_log(site)))
    assert {key: each.total for key, each in found.items()} == {
        Key(M1, "energy"): Hour(due=1, good=1),
        Key(M1, "realtime"): Hour(due=5, good=3, failed={2: 1}),
        Key(M2, "realtime"): Hour(due=1, failed={1: 1}),
    }


def test_an_archive_is_counted_like_its_log(site: Path) -> None:
    log = _log(site)
    store = archive_store(load_site(site))
    assert facts_of_archive(store) == {}
    Writer(store, log).roll(range(len(ROWS)))
    assert ledgers(facts_of_archive(store)) == ledgers(facts_of_log(log))
    assert set(facts_of_archive(store, "*/m2")) == {Key(M2, "realtime")}


@pytest.mark.integration
def test_an_archive_in_a_bucket_is_counted_too(site: Path) -> None:
    with S3Server() as server:
        use_bucket(site, server)
        log = _log(site)
        Writer(archive_store(load_site(site)), log).roll(range(len(ROWS)))
        found = json.loads(_run(site, "--json", "--source", "archive"))
        assert found["total"] == json.loads(_run(site, "--json"))["total"]
        assert found["losses"] == []


@pytest.mark.integration
def test_kafka_is_counted_like_the_log_of_the_edge(
    site: Path, kafka: KafkaBroker
) -> None:
    sections = f"""
        [kafka]
        bootstrap_servers = "{kafka.bootstrap_servers}"
        topic_prefix = "{uuid4().hex[:8]}."
        partitions = 3
        """
    site.write_text(site.read_text() + sections)
    log = open_kafka(load_site(site))
    publish_schemas(log, (REALTIME, ENERGY))
    log.append(FRAMES, ROWS)
    log.append(EVENTS, [("", LOSSES[0].encode())])
    log.close()
    found = json.loads(_run(site, "--json", "--source", "kafka"))
    edge = json.loads(_run(site, "--json"))
    assert found["total"] == edge["total"]
    assert found["groups"] == edge["groups"]
    assert [loss["records"] for loss in found["losses"]] == [100]
    assert edge["losses"] == []


@pytest.mark.integration
def test_a_store_that_refuses_is_one_line(site: Path) -> None:
    with S3Server() as server:
        use_bucket(site, server)
        server.refuse(everything=True)
        result = CliRunner().invoke(
            app, ["ledger", "--site", str(site), "--source", "archive"]
        )
    assert result.exit_code == 1
    assert "403" in result.stderr
    assert result.stderr.count("\n") == 1


def test_without_archive_or_log_there_is_nothing_to_count(tmp_path: Path) -> None:
    site = write_site(tmp_path, SITE)
    words = ["ledger", "--site", str(site), "--source", "archive"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 1
    assert result.stderr == f"{tmp_path}/data/archive: nothing is archived there\n"
    result = CliRunner().invoke(app, ["ledger", "--site", str(site)])
    assert result.exit_code == 1
    assert result.stderr == f"{tmp_path}/data/log/edge.sqlite: there is no log\n"


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


def test_nothing_that_was_due_is_said(site: Path) -> None:
    words = ["ledger", "--site", str(site), "--asset", "nobody/*"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0
    assert "no such asset" in result.stderr


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


def test_the_command_tells_the_losses_of_the_range(site: Path) -> None:
    append_losses(_log(site))
    (line,) = [
        line
        for line in _run(site, "--from", "2026-03-01T12:00:59").splitlines()
        if "lost" in line
    ]
    assert line == (
        "lost: 1 records, pm500.frames-0@100..100, 2026-03-01T12:01:00Z to "
        "2026-03-01T12:01:01Z, not read by publish"
    )
    first, _ = json.loads(_run(site, "--json"))["losses"]
    assert first == {
        "time": "2026-03-01T12:00:00Z",
        "until": "2026-03-01T12:00:01Z",
        "topic": "pm500.frames",
        "partition": 0,
        "first_offset": 0,
        "last_offset": 99,
        "records": 100,
        "readers": ["archive", "publish"],
    }


def test_a_time_that_is_none_is_refused(site: Path) -> None:
    result = CliRunner().invoke(app, ["ledger", "-s", str(site), "--from", "noon"])
    assert result.exit_code == 2
