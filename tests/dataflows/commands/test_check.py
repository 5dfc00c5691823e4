"""``pm500 check``: what it says of Kafka, the archive's place and replicas."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dataflows.commands.pm500 import run

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
