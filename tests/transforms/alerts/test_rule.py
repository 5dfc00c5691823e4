from __future__ import annotations

import pytest

from transforms.alerts.rule import AlertRule, mistakes


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*", True),
        ("plant/hall1/*", True),
        ("plant/hall1/press", True),
        ("plant/hall2/*", False),
        ("PLANT/*", False),
    ],
)
def test_a_pattern_chooses_assets(pattern: str, expected: bool) -> None:
    rule = AlertRule(name="n", kind="comm_lost", assets=pattern)
    assert rule.watches("plant/hall1/press") == expected


SOUND = [
    AlertRule(name="power", kind="threshold", quantity="realPower", above=100),
    AlertRule(
        name="voltage", kind="threshold", quantity="voltageAN", above=253, below=207,
        hysteresis=2,
    ),
    AlertRule(name="peak", kind="demand_forecast", quantity="realPower", above=80),
    AlertRule(name="lost", kind="comm_lost"),
    AlertRule(name="hole", kind="gap", longer_than_us=60_000_000),
    AlertRule(name="still", kind="frozen"),
    AlertRule(name="counter", kind="reconciliation"),
    AlertRule(name="part", kind="reconciliation", quantity="partialEnergyExport"),
    AlertRule(name="kva", kind="demand_forecast", quantity="apparentPower", above=90),
]  # fmt: skip


def test_sound_rules_have_no_mistakes() -> None:
    assert mistakes(SOUND) == []


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (
            AlertRule(name="a", kind="threshold", above=1),
            ["a: a threshold needs a quantity"],
        ),
        (
            AlertRule(name="a", kind="threshold", quantity="realPower"),
            ["a: a threshold needs above or below"],
        ),
        (
            AlertRule(name="a", kind="threshold", quantity="watts", above=1),
            ["a: 'watts' is no quantity"],
        ),
        (
            AlertRule(
                name="a", kind="threshold", quantity="realPower", above=1, below=2
            ),
            ["a: below must not be over above"],
        ),
        (
            AlertRule(
                name="a", kind="threshold", quantity="realPower", above=3, below=1,
                hysteresis=1.5,
            ),
            ["a: the hysteresis leaves no value at which the alert is over"],
        ),
        (
            AlertRule(
                name="a", kind="threshold", quantity="realPower", above=3,
                hysteresis=-1,
            ),
            ["a: hysteresis must not be negative"],
        ),
        (
            AlertRule(name="a", kind="comm_lost", delay_us=-1),
            ["a: a duration must not be negative"],
        ),
        (
            AlertRule(name="a", kind="demand_forecast", quantity="realPower", below=1),
            [
                "a: demand_forecast needs quantity and above",
                "a: demand_forecast has no below",
            ],
        ),
        (
            AlertRule(name="a", kind="demand_forecast", quantity="currentA", above=1),
            [
                "a: currentA has no demand forecast; realPower and apparentPower have",
            ],
        ),
        (
            AlertRule(name="a", kind="demand_forecast", quantity="watts", above=1),
            ["a: 'watts' is no quantity"],
        ),
        (
            AlertRule(name="a", kind="reconciliation", quantity="voltageAN"),
            ["a: voltageAN is no counter of energy"],
        ),
        (
            AlertRule(name="a", kind="reconciliation", quantity="operatingHours"),
            ["a: operatingHours is no counter of energy"],
        ),
        (
            AlertRule(name="a", kind="comm_lost", quantity="realPower"),
            ["a: comm_lost has no quantity"],
        ),
        (
            AlertRule(name="a", kind="gap"),
            ["a: gap needs a length that it must exceed"],
        ),
    ],
)  # fmt: skip
def test_each_mistake_is_said(rule: AlertRule, expected: list[str]) -> None:
    assert mistakes([rule]) == expected


def test_a_name_is_taken_once() -> None:
    rule = AlertRule(name="lost", kind="comm_lost")
    assert mistakes([rule, rule]) == ["lost: 2 alerts have this name"]
