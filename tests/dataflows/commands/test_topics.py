"""``pm500 topics`` on a real broker: what is missing, wrong or different, and made."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from dataflows.site import load_site
from tests.dataflows.commands.pm500 import run
from tests.kafka_broker import KafkaBroker
from tests.kit import until

pytestmark = pytest.mark.integration

NAMES = ["schemas", "frames", "events", "derived", "dead"]


def prefix(site: Path) -> str:
    kafka = load_site(site).kafka
    assert kafka is not None
    return kafka.topic_prefix


def shown(site: Path, *words: str) -> tuple[int, list[dict[str, Any]]]:
    done = run(site, "topics", "--json", *words)
    return done.returncode, json.loads(done.stdout)["topics"]


def test_topics_that_are_missing_are_shown_and_made(kafka_site: Path) -> None:
    done = run(kafka_site, "topics")
    assert done.returncode == 1
    assert done.stdout.count("does not exist") == 5
    code, made = shown(kafka_site, "--make")
    assert code == 0
    own = prefix(kafka_site)
    assert [topic["topic"] for topic in made] == [f"{own}pm500.{n}" for n in NAMES]
    assert made[1] == {
        "topic": f"{own}pm500.frames",
        "exists": True,
        "partitions": 3,
        "replication": 1,
        "retention_hours": 168.0,
        "cleanup_policy": "delete",
        "wrong": [],
        "differs": [],
    }
    assert (made[0]["retention_hours"], made[0]["cleanup_policy"]) == (None, "compact")
    done = run(kafka_site, "topics", "--make")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("all right") == 5
    assert "note" not in done.stdout


def test_what_differs_and_harms_nothing_is_a_note(kafka_site: Path) -> None:
    assert shown(kafka_site, "--make")[0] == 0
    text = kafka_site.read_text().replace("partitions = 3", "partitions = 6")
    kafka_site.write_text(text + "retention_hours = 24")
    done = run(kafka_site, "topics")
    assert done.returncode == 0
    assert (
        f"note: {prefix(kafka_site)}pm500.frames: 3 partitions, planned 6; "
        "retention.ms is 604800000, planned 86400000\n"
    ) in done.stdout


def test_a_topic_that_would_not_keep_its_records_is_wrong(
    kafka_site: Path, kafka: KafkaBroker
) -> None:
    kafka.create_topic(f"{prefix(kafka_site)}pm500.schemas", cleanup_policy="delete")

    def schemas() -> dict[str, Any] | None:
        code, (found, *_) = shown(kafka_site, "--make")
        assert code == 1
        return found if found["exists"] else None

    found = until(schemas, "the broker has heard of it")
    assert found["wrong"] == ["cleanup.policy is 'delete', must be 'compact'"]
    assert "must be 'compact'" in run(kafka_site, "topics").stdout


def test_a_cluster_that_does_not_answer_is_one_line(away_site: Path) -> None:
    done = run(away_site, "topics")
    assert (done.returncode, done.stdout) == (1, "")
    assert re.match(r"Kafka 127\.0\.0\.1:\d+: topics cannot be listed: ", done.stderr)
    assert done.stderr.count("\n") == 1


def test_a_site_without_kafka_is_one_line(site: Path) -> None:
    done = run(site, "topics")
    assert done.returncode == 2
    assert done.stderr == f"{site}: kafka: this site has none\n"


@pytest.mark.parametrize(
    "words",
    [
        ("topics",),
        ("tail", "--log", "kafka"),
        ("dead",),
        ("ledger", "--source", "kafka"),
    ],
)
def test_a_setting_that_no_client_knows_is_one_line(
    away_site: Path, words: tuple[str, ...]
) -> None:
    text = '[kafka.client]\n"no.such.thing" = 1\n'
    away_site.write_text(away_site.read_text() + text)
    done = run(away_site, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f'{away_site}: kafka.client: No such configuration property: "no.such.thing"\n'
    )
