"""Which meters a replica polls."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from connectors.commissioning.record import CommissioningRecord
from connectors.polling.plan import MeterPlan
from dataflows.meters import meter_plans, own_plans
from dataflows.replica import Replica
from dataflows.site import load_site
from tests.kit import Plant


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> MeterPlan:
    meter: dict[str, object] = {"asset": "hall/m", "host": "127.0.0.1"}
    plant = Plant(tmp_path_factory.mktemp("site"), [meter])
    site = load_site(plant.site)
    (found,) = meter_plans(site, CommissioningRecord(site.commissioning_path))
    return found


def _plans(plan: MeterPlan, count: int, instants: int) -> list[MeterPlan]:
    return [
        replace(plan, index=n, stagger_us=n * instants // count * 10_000)
        for n in range(count)
    ]


@pytest.mark.parametrize("instants", [1, 3, 80])
@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_the_parts_of_all_replicas_are_all_meters_once_each(
    plan: MeterPlan, instants: int, count: int
) -> None:
    plans = _plans(plan, 400, instants)
    parts = [
        own_plans(plans, Replica(number=n, count=count)) for n in range(1, count + 1)
    ]
    assert Counter(p.index for part in parts for p in part) == Counter(range(400))
    sizes = sorted(map(len, parts))
    assert (
        sizes[-1] - sizes[0] <= max(400 // instants, 1) * (instants >= 20 * count) + 1
    )


def test_meters_of_one_instant_stay_together(plan: MeterPlan) -> None:
    plans = _plans(plan, 400, 80)
    one, two = (
        {p.stagger_us for p in own_plans(plans, Replica(number=n, count=2))}
        for n in (1, 2)
    )
    assert not one & two
    assert len(one) == len(two) == 40


def test_meters_of_few_instants_are_dealt_out_one_by_one(plan: MeterPlan) -> None:
    plans = _plans(plan, 400, 3)
    assert [len(own_plans(plans, Replica(number=n, count=8))) for n in (1, 8)] == [
        50,
        50,
    ]
