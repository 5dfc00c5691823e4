from __future__ import annotations

import pytest

from connectors.profiles import load_profile
from transforms.budget import plan

PM500 = load_profile("pm500")


def test_requests_add_up_over_the_groups() -> None:
    # 2/1 s + 1/10 s + 2/60 s + 2/60 s + 1/1 s
    budget = plan(PM500, "ethernet_ip", None)
    assert budget.requests_per_second == pytest.approx(3.1667, abs=1e-4)
    assert budget.limit_per_second == 10.0
    assert budget.mistakes == ()


def test_a_budget_used_to_the_last_request_is_no_mistake() -> None:
    budget = plan(PM500, "ethernet_ip", {"realtime": 0.25, "status": 0.5})
    assert budget.requests_per_second == 10.0
    assert budget.mistakes == ()


def test_too_many_requests_are_a_mistake() -> None:
    budget = plan(PM500, "ethernet_ip", {"realtime": 0.2, "status": 0.5})
    assert budget.mistakes == (
        "groups: 12.00 requests/s is over the profile's limit of 10",
    )


def test_every_period_under_the_minimum_is_a_mistake() -> None:
    budget = plan(PM500, "modbus", {"realtime": 0.1, "status": 0.05})
    assert budget.mistakes == (
        "groups.realtime: 0.1 s is under the profile's minimum of 0.2 s",
        "groups.status: 0.05 s is under the profile's minimum of 0.2 s",
        "groups: 30.00 requests/s is over the profile's limit of 10",
    )


def test_nothing_to_poll_is_a_mistake() -> None:
    assert plan(PM500, "modbus", {}).mistakes == ("groups: nothing to poll",)
