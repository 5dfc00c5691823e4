"""Panels that both dashboards have: the account of polls, and events."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from deploy.grafana.generate.influxql import quoted, select, series, sums
from deploy.grafana.generate.looks import (
    BAD,
    GOOD,
    LASTS,
    SEVERITY,
    UNCERTAIN,
    by_name,
    colored,
    fixed,
)
from deploy.grafana.generate.panels import Panel, bars, stat
from deploy.grafana.generate.tables import table
from transforms.model.quality import Status

__all__ = [
    "account",
    "account_of_hours",
    "accounts",
    "active_events",
    "complete",
    "events",
    "peaks",
]

LEDGER = "pm500_ledger"
FAILED = [status.label for status in Status if status is not Status.OK]
COMPLETE = '100 * sum("good") / sum("due")'
LATE = "An hour is told when it is over: choose a range of some hours."
LEVELS = ((None, BAD), (95.0, UNCERTAIN), (99.0, GOOD))
EVENT = ("since", "severity", "area", "asset", "kind", "group", "text")
SINCE = by_name("since", unit="dateTimeAsIso")
UNTIL = by_name("until", unit="dateTimeAsIso")


def complete() -> Panel:
    """The part of the polls that were good."""
    return stat(
        "Polls that were good",
        select([f'{COMPLETE} AS "complete"'], LEDGER),
        unit="percent",
        about=f"Good polls of all that were due. {LATE}",
        thresholds=LEVELS,
        size=(4, 4),
    )


def account() -> Panel:
    """The sums of the ledger, and that they are one."""
    counted = ("due", "good", "failed", "missing")
    parts = [f'sum("{name}") AS "{name}"' for name in counted]
    rest = 'sum("due") - sum("good") - sum("failed") - sum("missing") AS "unaccounted"'
    red = {"mode": "absolute", "steps": _steps((None, GOOD), (1.0, BAD))}
    green = {"mode": "absolute", "steps": _steps((None, GOOD))}
    return stat(
        "Account of polls: due = good + failed + missing",
        select([*parts, rest], LEDGER),
        about="Every poll that was scheduled in the hours of the range. Failed ones have "
        f"a cause; missing ones were never made. Unaccounted must be 0. {LATE}",
        unit="locale",
        overrides=[
            by_name("due", thresholds=green),
            by_name("good", thresholds=green),
            by_name("failed", thresholds=red),
            by_name("missing", thresholds=red),
            by_name("unaccounted", thresholds=red),
        ],
        size=(20, 4),
    )


def account_of_hours() -> Iterable[Panel]:
    """Hours of polls by outcome, and the failed ones by cause."""
    outcomes = ("good", "failed", "missing")
    yield bars(
        "Polls by hour",
        {
            "$col": series(
                [f'sum("{name}") AS "{name}"' for name in outcomes], LEDGER, every="1h"
            )
        },
        unit="short",
        about="Good, failed and missing polls: together those that were due.",
        least="1h",
        overrides=[
            fixed("good", GOOD),
            fixed("failed", UNCERTAIN),
            fixed("missing", BAD),
        ],
        size=(12, 8),
    )
    yield bars(
        "Polls not good, by cause",
        {
            "$col": series(
                [
                    'sum("missing") AS "missing"',
                    *(f'sum("failed_{cause}") AS "{cause}"' for cause in FAILED),
                ],
                LEDGER,
                every="1h",
            )
        },
        unit="short",
        about="Failed polls by their status, and those that are missing.",
        least="1h",
        overrides=[fixed("missing", BAD)],
        size=(12, 8),
    )


def accounts(
    title: str,
    by: Iterable[str],
    *,
    size: tuple[int, int],
    overrides: Iterable[dict[str, Any]] = (),
) -> Panel:
    """The ledger's sums, one row for each of ``by``."""
    return table(
        title,
        sums(
            {name: f'sum("{name}")' for name in ("due", "good", "failed", "missing")}
            | {"complete": COMPLETE},
            LEDGER,
            by=by,
        ),
        about=LATE,
        sorted_by="complete",
        overrides=[
            by_name(
                "complete",
                unit="percent",
                decimals=2,
                thresholds={"mode": "absolute", "steps": _steps(*LEVELS)},
                custom__cellOptions={"type": "color-text"},
            ),
            *overrides,
        ],
        size=size,
    )


def active_events(*, size: tuple[int, int]) -> Panel:
    """What still lasts, however long ago it began."""
    return table(
        "Lasting now: alerts, frozen values, wiring, clock",
        select(
            map(quoted, EVENT),
            "pm500_event",
            also=['"lasting" = 1'],
            time="time > now() - 60d",
            rest="ORDER BY time DESC LIMIT 1000",
        ),
        about="Events of the last 60 days that have no end yet.",
        hidden=["Time"],
        overrides=[colored("severity", SEVERITY), SINCE],
        size=size,
    )


def events(*, size: tuple[int, int]) -> Panel:
    """What happened in the range."""
    return table(
        "Events",
        select(
            map(quoted, (*EVENT, "until", "lasting")),
            "pm500_event",
            rest="ORDER BY time DESC LIMIT 500",
        ),
        about="The latest 500 of the range.",
        hidden=["Time"],
        overrides=[
            colored("severity", SEVERITY),
            SINCE,
            UNTIL,
            by_name("lasting", mappings=LASTS),
        ],
        size=size,
    )


def peaks(*, size: tuple[int, int]) -> Panel:
    """The highest demand of each billing period, the running one too."""
    return table(
        "Peak of each billing period",
        select(
            map(quoted, ("area", "asset", "text", "since", "until")),
            "pm500_event",
            where={"kind": "demand_peak"},
            time="time > now() - 400d",
            rest="ORDER BY time DESC LIMIT 500",
        ),
        about="Whatever the range; by now, of the running period.",
        overrides=[by_name("Time", displayName="period begins"), SINCE, UNTIL],
        size=size,
    )


def _steps(*levels: tuple[float | None, str]) -> list[dict[str, Any]]:
    return [{"color": color, "value": value} for value, color in levels]
