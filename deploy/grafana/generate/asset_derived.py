"""The panels of one meter that show what is derived from its polls."""

from __future__ import annotations

from collections.abc import Iterator

from deploy.grafana.generate.common import peaks
from deploy.grafana.generate.influxql import (
    FRAMES,
    INTERVAL,
    WHOLE,
    select,
    series,
)
from deploy.grafana.generate.looks import (
    BAD,
    GOOD,
    QUALITY,
    UNCERTAIN,
    UNITS,
    by_name,
    colored,
    fixed,
)
from deploy.grafana.generate.panels import Panel, bars, chart, stat
from deploy.grafana.generate.tables import table

__all__ = ["demand", "energy", "windows"]

ENERGY = '"quantity" =~ /^energy(Import|Export)$/'
REACTIVE = '"quantity" =~ /^reactiveEnergy(Import|Export)$/'


def windows() -> Iterator[Panel]:
    """Bands of the chosen window's length."""
    for title, field in (
        ("Real power", "kW"),
        ("Reactive power", "kVAR"),
        ("Voltage between lines, mean of three", "voltage"),
        ("Current, mean of the phases", "current"),
    ):
        columns = [
            f'{what}("{field}_{what}") AS "{what}"' for what in ("min", "mean", "max")
        ]
        hidden = {"custom__lineWidth": 0, "custom__showPoints": "never"}
        yield chart(
            title,
            {"$col": _of_windows(columns)},
            unit=UNITS[field],
            about="Of windows of the chosen length. A hole is a window without a value.",
            overrides=[
                fixed("mean", "blue"),
                by_name("min", color=_still("blue"), **hidden),
                by_name(
                    "max",
                    color=_still("blue"),
                    custom__fillBelowTo="min",
                    custom__fillOpacity=20,
                    **hidden,
                ),
            ],
            size=(12, 8),
        )
    yield chart(
        "Good in each window",
        {
            "$col": _of_windows(
                [
                    '100 * sum("good") / sum("due") AS "polls"',
                    'mean("kW_good") AS "kW"',
                    'mean("voltage_good") AS "voltage"',
                    'mean("current_good") AS "current"',
                ]
            )
        },
        unit=UNITS["percent"],
        about="Good polls of those due, and the part of the due slots with a good value. "
        "A window without any poll has no record: a hole.",
        custom={"axisSoftMin": 0, "axisSoftMax": 100},
        size=(24, 6),
    )


def energy() -> Iterator[Panel]:
    """Energy of intervals, what of it was substituted, and how it was reconciled."""
    parts = [
        'sum("energy") - sum("substituted") AS "measured"',
        'sum("substituted") AS "substituted"',
    ]
    for title, quantities, unit in (
        ("Energy", ENERGY, UNITS["kWh"]),
        ("Reactive energy", REACTIVE, UNITS["kVARh"]),
    ):
        yield bars(
            title,
            {
                "$tag_quantity $col": series(
                    parts,
                    "pm500_energy",
                    by=["quantity"],
                    where=INTERVAL,
                    also=[quantities],
                )
            },
            unit=unit,
            about="Of the counter, by interval; longer ranges sum them. Substituted is "
            "the part that was measured over an outage and cut by the shape of the load.",
            least="15m",
            overrides=[
                {
                    "matcher": {"id": "byRegexp", "options": "/substituted$/"},
                    "properties": [{"id": "color", "value": _still(UNCERTAIN)}],
                }
            ],
            size=(12, 8),
        )
    columns = (
        "quantity energy substituted counter_start counter_end integral budget seconds "
        "quality verdict reason"
    ).split()
    kwh = (
        "energy",
        "substituted",
        "counter_start",
        "counter_end",
        "integral",
        "budget",
    )
    yield table(
        "Intervals: counter against power",
        select(
            [f'"{column}"' for column in columns],
            "pm500_energy",
            where=INTERVAL,
            also=[ENERGY],
            rest="ORDER BY time DESC LIMIT 500",
        ),
        about="The counter's energy against the integral of the measured power: they "
        "agree within the budget, differ, or that is unknown, for the reason.",
        overrides=[
            by_name("Time", displayName="begins"),
            *(by_name(name, unit="suffix:kWh", decimals=3) for name in kwh),
            by_name("seconds", unit="s"),
            colored("quality", QUALITY),
            colored("verdict", _verdicts()),
        ],
        size=(24, 10),
    )


def demand() -> Iterator[Panel]:
    """Real power by interval, with the forecast of the running block."""
    quantity = {"quantity": "realPower"}
    yield stat(
        "The running block",
        select(
            ['"value"', '"forecast"'],
            select(
                ['last("value") AS "value"', '"forecast"', '"running"'],
                "pm500_demand",
                where=quantity,
                time="time > now() - 3h",
            ),
            also=['"running" = 1'],
        ),
        unit=UNITS["kW"],
        about="Mean so far, and what it comes to if the load stays as it is.",
        empty="none",
        size=(6, 4),
    )
    yield bars(
        "Demand",
        {
            "$tag_method $col": select(
                ['"value"'],
                "pm500_demand",
                where=quantity,
                rest='GROUP BY "method", "interval"',
            ),
            "$tag_method $col of the running block": select(
                ['"forecast"'],
                "pm500_demand",
                where=quantity,
                also=['"running" = 1'],
                rest='GROUP BY "method", "interval"',
            ),
        },
        unit=UNITS["kW"],
        about="Mean power of each interval, at its beginning.",
        custom={"stacking": {"mode": "none", "group": "A"}},
        size=(18, 8),
    )
    yield stat(
        "Highest of the range",
        select(
            ['max("value") AS "peak"'],
            "pm500_demand",
            where=quantity,
            also=['"running" = 0'],
        ),
        unit=UNITS["kW"],
        about="Of intervals that are over.",
        size=(6, 6),
    )
    yield peaks(size=(18, 6))
    yield chart(
        "Demand and its maximum, as the meter itself has them",
        {
            "$tag_group": series(
                ['last("kW") AS "kW"'],
                FRAMES,
                by=["group"],
                where={"phase": "total"},
                also=['"group" =~ /^(demand|maximum)$/'],
            )
        },
        unit=UNITS["kW"],
        about="The meter's own registers.",
        least="1m",
        size=(24, 7),
    )


def _of_windows(columns: list[str]) -> str:
    """Columns of the chosen windows of the total, each in a step of its own."""
    return series(
        columns,
        "pm500_window",
        every="${window:raw}s",
        where=WHOLE | {"window": "${window:raw}"},
        rest="tz('${zone:raw}')",
    )


def _still(color: str) -> dict[str, str]:
    return {"mode": "fixed", "fixedColor": color}


def _verdicts() -> list[dict[str, object]]:
    colors = {"agrees": GOOD, "differs": BAD, "unknown": UNCERTAIN}
    options = {
        verdict: {"text": verdict, "color": color, "index": index}
        for index, (verdict, color) in enumerate(colors.items())
    }
    return [{"type": "value", "options": options}]
