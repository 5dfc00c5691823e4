"""The panels of a site's meters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from deploy.grafana.generate.dashboard import to_asset
from deploy.grafana.generate.influxql import (
    FRAMES,
    INTERVAL,
    METER,
    WHOLE,
    grouped,
    latest,
    quoted,
    select,
    series,
)
from deploy.grafana.generate.looks import (
    BAD,
    GOOD,
    QUALITY,
    STATUS,
    UNITS,
    by_name,
    colored,
    unit_of,
)
from deploy.grafana.generate.panels import Panel, bars, chart, stat
from deploy.grafana.generate.tables import table

__all__ = ["demand", "energy", "link_column", "now"]

NOW = "time > now() - 2m"
IMPORT = INTERVAL | {"quantity": "energyImport"}
POWER = {"quantity": "realPower"}
NAME = "$tag_site/$tag_area/$tag_asset"


def now() -> Iterator[Panel]:
    """What is drawn just now, and which meters are not good."""
    last_power = select(
        ['last("kW") AS "kW"'],
        FRAMES,
        where=WHOLE,
        time=NOW,
        rest=grouped(METER),
    )
    last_quality = select(
        ['last("quality") AS "quality"'],
        FRAMES,
        rest=grouped((*METER, "group", "phase")),
    )
    worst = select(['min("quality") AS "quality"'], last_quality, rest=grouped(METER))
    yield stat(
        "Power now",
        select(['sum("kW") AS "kW"'], last_power),
        unit=UNITS["kW"],
        about="Sum of the chosen meters' latest values, none older than two minutes. "
        "Choose meters of which none measures what another one does.",
        size=(5, 4),
    )
    yield stat(
        "Meters with power now",
        select(['count("kW") AS "meters"'], last_power),
        about="Of how many meters that sum is made.",
        size=(4, 4),
    )
    yield stat(
        "Meters in the range",
        select(['count("quality") AS "meters"'], worst),
        about="Meters of which there is any poll in the range.",
        size=(4, 4),
    )
    yield stat(
        "Energy today",
        _today('sum("energy") AS "kWh"'),
        unit=UNITS["kWh"],
        about="Imported since midnight by the intervals that are over.",
        calc="last",
        size=(5, 4),
    )
    yield stat(
        "Meters not good",
        select(['count("quality") AS "meters"'], worst, also=['"quality" < 192']),
        about="Meters of which any group was not good at its last poll; see the list.",
        thresholds=[(None, GOOD), (1.0, BAD)],
        empty="none",
        size=(6, 4),
    )
    columns = ["quality", "kW", "kVA", "power_factor", "frequency", "status"]
    yield table(
        "Meters: the last poll",
        latest(columns, FRAMES, key="quality", where=WHOLE),
        about="A poll that failed has no values, but its status. One that is long ago "
        "says that nothing came since.",
        sorted_by="asset",
        **_linked(
            by_name("Time", unit="dateTimeFromNow", displayName="last poll"),
            colored("quality", QUALITY),
            by_name("status", mappings=STATUS),
            *unit_of("kW"),
            *unit_of("kVA"),
            *unit_of("frequency"),
            by_name("power_factor", decimals=3),
        ),
        size=(14, 10),
    )
    yield table(
        "Not good: the last poll by group and phase",
        latest(
            ["quality", "status"],
            FRAMES,
            key="quality",
            by=(*METER, "group", "phase"),
            kept=['"quality" < 192'],
        ),
        about="Empty where all is good. A failed poll stands under phase total.",
        sorted_by="asset",
        **_linked(
            by_name("Time", unit="dateTimeFromNow", displayName="last poll"),
            colored("quality", QUALITY),
            by_name("status", mappings=STATUS),
        ),
        size=(10, 10),
    )


def energy() -> Iterator[Panel]:
    """Power over time; energy of today and by day."""
    yield chart(
        "Power",
        {NAME: series(['mean("kW") AS "kW"'], FRAMES, by=METER, where=WHOLE)},
        unit=UNITS["kW"],
        about="By meter, from the polls themselves. A hole is a poll without a value; "
        "zoom in until a step is a second to see each.",
        links=[to_asset("__field.labels.")],
        size=(24, 10),
    )
    yield table(
        "Energy today, by meter",
        select(
            map(quoted, (*METER, "energy", "substituted")),
            select(
                ['last("energy") AS "energy"', 'last("substituted") AS "substituted"'],
                _today(
                    'sum("energy") AS "energy"',
                    'sum("substituted") AS "substituted"',
                    by=METER,
                ),
                rest=grouped(METER),
            ),
        ),
        about="Imported since midnight by the intervals that are over. Substituted is "
        "the part that was measured over an outage and cut by the shape of the load.",
        sorted_by="energy",
        falling=True,
        hidden=["Time"],
        overrides=[*unit_of("kWh", "energy", "substituted"), link_column()],
        size=(8, 9),
    )
    yield bars(
        "Energy by day",
        {
            NAME: series(
                ['sum("energy") AS "energy"'],
                "pm500_energy",
                by=METER,
                every="1d",
                where=IMPORT,
                rest="LIMIT 100 OFFSET 1 tz('${zone:raw}')",
            )
        },
        unit=UNITS["kWh"],
        about="Imported, by meter. The first day of the range is left out: it is a part.",
        least="1d",
        timeFrom="15d",
        size=(16, 9),
    )


def demand() -> Iterator[Panel]:
    """The running blocks with their forecast, and the highest of the range."""
    by = (*METER, "method", "interval")
    yield table(
        "The running block",
        latest(
            ["value", "forecast", "running"],
            "pm500_demand",
            key="value",
            by=by,
            kept=['"running" = 1'],
            where=POWER,
            time="time > now() - 3h",
        ),
        about="Mean so far, and what the block comes to if the load stays as it is.",
        hidden=["running"],
        sorted_by="forecast",
        falling=True,
        **_linked(
            by_name("Time", displayName="since"),
            by_name("interval", displayName="interval (s)"),
            *unit_of("kW", "value", "forecast"),
        ),
        size=(12, 8),
    )
    yield table(
        "Highest demand of the range",
        select(
            map(quoted, (*by, "peak", "quality")),
            select(
                ['max("value") AS "peak"', '"quality"'],
                "pm500_demand",
                where=POWER,
                also=['"running" = 0'],
                rest=grouped(by),
            ),
        ),
        about="Of intervals that are over, with the beginning of each. Uncertain: a part "
        "of it was not measured.",
        sorted_by="peak",
        falling=True,
        **_linked(
            by_name("Time", displayName="begins"),
            by_name("interval", displayName="interval (s)"),
            colored("quality", QUALITY),
            *unit_of("kW", "peak"),
        ),
        size=(12, 8),
    )


def _today(*columns: str, by: Iterable[str] = ()) -> str:
    """Sums of energy by day: the last is today."""
    return series(
        columns,
        "pm500_energy",
        by=by,
        every="1d",
        fill="0",
        where=IMPORT,
        time="time > now() - 26h",  # a day has 25 hours where clocks are put back
        rest="tz('${zone:raw}')",
    )


def link_column() -> dict[str, Any]:
    """An override: the meter's name leads to its dashboard."""
    return by_name("asset", links=[to_asset()])


def _linked(*overrides: dict[str, Any]) -> dict[str, Any]:
    return {"overrides": [*overrides, link_column()]}
