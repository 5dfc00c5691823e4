"""``pm500 check``: what it says of Kafka, the archive's place and replicas."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dataflows.commands.pm500 import run
from tests.strict_influx import StrictInflux

pytestmark = pytest.mark.integration

KAFKA = """
[kafka]
bootstrap_servers = "kafka1:9093,kafka2:9093"
topic_prefix = "north."
partitions = 8
replication = 3
retention_hours = 72
"""


def checked(site: Path) -> dict[str, str]:
    """The lines of the site's parts by their first word."""
    done = run(site, "check")
    assert (done.returncode, done.stderr) == (0, "")
    head = done.stdout.split("\n\n")[0]
    return {line[:10].strip(): line[10:] for line in head.splitlines()}


def test_without_kafka_it_says_what_does_not_run(site: Path) -> None:
    lines = checked(site)
    assert lines["kafka"] == "none: forward does not run"
    assert "replica" not in lines


def test_kafka_is_a_line(site: Path) -> None:
    site.write_text(site.read_text() + KAFKA)
    assert checked(site)["kafka"] == (
        "kafka1:9093,kafka2:9093, topics north.pm500.*, frames in 8 partition(s), "
        "3 replica(s), kept 72 h"
    )


def test_the_archive_is_shown_with_its_place(site: Path) -> None:
    rolls = ", commits every 300 s, 500000 rows or 128000000 bytes"
    assert checked(site)["archive"] == f"{site.parent}/data/archive{rolls}"
    plain = site.read_text()
    bucket = '[archive]\npath = "s3://lake/plant"\n'
    site.write_text(plain + bucket)
    assert checked(site)["archive"] == f"s3://lake/plant{rolls}"
    site.write_text(f'{plain}{bucket}[s3]\nendpoint = "http://minio:9000"\n')
    assert checked(site)["archive"] == f"s3://lake/plant at http://minio:9000{rolls}"


def test_influxdb_is_a_line_without_its_secret(site: Path) -> None:
    assert checked(site)["influx"] == "none: historian does not run"
    (site.parent / "token").write_text("hidden", "utf-8")
    two = '[influx]\nurl = "http://h:8086"\norg = "plant"\nbucket = "meters"\n'
    plain = site.read_text()
    site.write_text(f'{plain}{two}token_file = "token"\n')
    assert checked(site)["influx"] == (
        "http://h:8086, bucket meters of plant, batches of 600 records or 1 s"
    )
    one = '[influx]\nurl = "http://h:8086"\nversion = 1\ndatabase = "pm500"\n'
    site.write_text(plain + one)
    assert checked(site)["influx"].startswith("http://h:8086, database pm500, ")


def test_a_probe_says_what_the_influxdb_server_lacks(site: Path) -> None:
    with StrictInflux() as influx:
        settings = f'[influx]\nurl = "{influx.url}"\nversion = 1\ndatabase = "x"\n'
        site.write_text(site.read_text() + settings)
        done = run(site, "check", "--probe")
    assert done.returncode == 1
    said = done.stdout.splitlines()
    assert f"InfluxDB at {influx.url}, database x  FAILED" in said
    assert any("WRONG: 404 " in each and "make it there" in each for each in said)


def test_a_replica_is_shown_with_its_part(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PM500_REPLICA", "1/2")
    assert checked(site)["replica"] == "1/2: polls 1 of 1 meter(s)"
    monkeypatch.setenv("PM500_REPLICA", "2/2")
    assert checked(site)["replica"] == "2/2: polls 0 of 1 meter(s)"


def test_a_replica_that_is_none_is_a_mistake(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PM500_REPLICA", "3/2")
    done = run(site, "check")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "PM500_REPLICA: '3/2' is not of the form 2/8, the second of eight\n"
    )


@pytest.mark.parametrize(
    ("setting", "mistake"),
    [
        ('"no.such.thing" = 1', 'No such configuration property: "no.such.thing"'),
        (
            '"socket.timeout.ms" = "soon"',
            'Invalid value for configuration property "socket.timeout.ms"',
        ),
    ],
)
def test_a_setting_that_librdkafka_does_not_know_is_a_mistake(
    site: Path, setting: str, mistake: str
) -> None:
    site.write_text(f"{site.read_text()}{KAFKA}[kafka.client]\n{setting}\n")
    done = run(site, "check")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"{site}: 1 mistake(s)\n  kafka.client: {mistake}\n"


@pytest.mark.parametrize("period", ["8", "90", "300"])
def test_a_period_of_the_power_that_makes_no_minutes_is_told(
    site: Path, period: str
) -> None:
    site.write_text(f"{site.read_text()}\ngroups = {{ realtime = {period} }}\n")
    done = run(site, "check")
    assert (done.returncode, done.stderr) == (0, "")
    assert "the period does not divide 60 s: no demand, no peaks" in done.stdout


@pytest.mark.parametrize("group", ["realtime = 60", "energy = 300"])
def test_a_period_that_does_no_harm_is_not_told(site: Path, group: str) -> None:
    site.write_text(f"{site.read_text()}\ngroups = {{ {group} }}\n")
    done = run(site, "check")
    assert done.returncode == 0
    assert "does not divide" not in done.stdout
