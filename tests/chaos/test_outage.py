"""Kafka away for some seconds, three times; ``make chaos`` takes a minute each."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from tests.chaos.outage import FRAMES_PER_SECOND, outage
from tests.mosquitto import MOSQUITTO

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.skipif(MOSQUITTO is None, reason="no mosquitto"),
]

SECONDS = 8.0


@pytest.mark.timeout(400)
def test_kafka_away_three_times_loses_nothing_and_mqtt_does_not_notice(
    tmp_path: Path,
) -> None:
    found = outage(tmp_path, SECONDS)
    assert [away.how for away in found.aways] == ["killed", "frozen", "stopped"]
    for away in found.aways:
        assert away.messages > 0.8 * SECONDS * FRAMES_PER_SECOND
        assert away.meanwhile_ms[1] < 2000, away
        assert away.held_up < away.messages / 2, away
        assert away.backlog > 0.8 * SECONDS * FRAMES_PER_SECOND
    assert found.holes == 0
    assert max(found.logged.values()) == 1
    assert found.archived == found.logged
    everything = sorted(n for offsets in found.offsets.values() for n in offsets)
    assert everything == list(range(found.logged.total()))
    for asset, offsets in found.offsets.items():
        assert all(a < b for a, b in pairwise(offsets)), asset
