"""The dashboard of a site: all its meters at a glance, and that no poll is lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from deploy.grafana.generate.common import (
    account,
    account_of_hours,
    accounts,
    active_events,
    complete,
    events,
    peaks,
)
from deploy.grafana.generate.dashboard import (
    dashboard,
    datasource_variable,
    interval_variable,
    tag_variable,
    text_variable,
)
from deploy.grafana.generate.influxql import METER
from deploy.grafana.generate.panels import Panel, row
from deploy.grafana.generate.site_panels import demand, energy, link_column, now

__all__ = ["site_overview"]


def site_overview(time_zone: str) -> dict[str, Any]:
    """The dashboard; days begin at midnight of ``time_zone``."""
    return dashboard(
        uid="pm500-site",
        title="Site overview",
        about="All meters of a site: power, energy, demand, and the account of polls.",
        variables=[
            datasource_variable(),
            tag_variable("site", "Site", several=True),
            tag_variable("area", "Area", within=["site"], several=True),
            tag_variable("asset", "Meter", within=["site", "area"], several=True),
            interval_variable(["site", "area", "asset"]),
            text_variable(
                "zone", "Days of", time_zone, "Time zone in which days begin."
            ),
        ],
        annotations=[],
        panels=_panels(),
        since="now-6h",
        refresh="30s",
        time_zone="browser" if time_zone == "UTC" else time_zone,
    )


def _panels() -> Iterator[Panel]:
    yield row("Now")
    yield from now()
    yield row("Power and energy")
    yield from energy()
    yield row("Demand")
    yield from demand()
    yield peaks(size=(24, 6))
    yield row("Is every poll accounted for?")
    yield complete()
    yield account()
    yield from account_of_hours()
    yield accounts("Polls by meter", METER, overrides=[link_column()], size=(24, 8))
    yield row("Events")
    yield active_events(size=(24, 7))
    yield events(size=(24, 10))
