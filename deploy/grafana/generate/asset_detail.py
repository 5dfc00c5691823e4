"""The dashboard of one meter: everything that it measures, and what follows from it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from deploy.grafana.generate.asset_derived import demand, energy, windows
from deploy.grafana.generate.asset_readings import (
    now,
    power,
    quality,
    voltage_and_current,
)
from deploy.grafana.generate.common import (
    account,
    account_of_hours,
    accounts,
    active_events,
    complete,
    events,
)
from deploy.grafana.generate.dashboard import (
    ACTIVE,
    annotation,
    dashboard,
    datasource_variable,
    interval_variable,
    tag_variable,
    text_variable,
)
from deploy.grafana.generate.panels import Panel, row

__all__ = ["asset_detail"]


def asset_detail(time_zone: str) -> dict[str, Any]:
    """The dashboard; windows of days begin at midnight of ``time_zone``."""
    return dashboard(
        uid="pm500-asset",
        title="Asset detail",
        about="One meter: its polls, windows, energy, demand, quality and events.",
        variables=[
            datasource_variable(),
            tag_variable("site", "Site"),
            tag_variable("area", "Area", within=["site"]),
            tag_variable("asset", "Meter", within=["site", "area"]),
            tag_variable(
                "window",
                "Window (s)",
                source="pm500_window",
                within=["site", "area", "asset"],
                preset="60",
            ),
            interval_variable(["site", "area", "asset"]),
            text_variable(
                "zone", "Days of", time_zone, "Time zone in which days begin."
            ),
        ],
        annotations=[
            annotation("Lasting events", "orange", ACTIVE),
            annotation("Lost and found", "red", '"kind" =~ /^comm_(lost|back)$/'),
            annotation(
                "Counters and settings",
                "purple",
                '"kind" =~ /^(counter_.*|settings_changed|configuration_changed)$/',
            ),
        ],
        panels=_panels(),
        since="now-3h",
        refresh="10s",
        time_zone="browser" if time_zone == "UTC" else time_zone,
    )


def _panels() -> Iterator[Panel]:
    yield row("Now")
    yield from now()
    yield row("Power, from the polls themselves")
    yield from power()
    yield row("Voltage and current, from the polls themselves")
    yield from voltage_and_current()
    yield row("Windows: minimum, mean, maximum")
    yield from windows()
    yield row("Energy")
    yield from energy()
    yield row("Demand")
    yield from demand()
    yield row("Quality, and the account of polls")
    yield from quality()
    yield complete()
    yield account()
    yield from account_of_hours()
    yield accounts("Polls by group", ["group"], size=(24, 7))
    yield row("Events")
    yield active_events(size=(24, 5))
    yield events(size=(24, 10))
