"""Ten kills at random; ``make chaos`` makes a hundred."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.storm import storm

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.mark.timeout(600)
def test_killing_flows_and_broker_ten_times_loses_and_doubles_nothing(
    tmp_path: Path,
) -> None:
    found = storm(tmp_path, kills=10, seed=4)
    assert sum(found.kills.values()) == 10
    assert found.kills["broker"] >= 1
    assert max(found.logged.values()) == 1
    assert found.archived == found.logged
    assert found.holes > 0
    assert found.ledger.missing == found.holes
    sums = found.ledger.good + sum(found.ledger.failed.values()) + found.holes
    assert found.ledger.due == sums
