"""Panels, as Grafana 10 and 11 write them. Every chart leaves holes where values are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from string import ascii_uppercase
from typing import Any

__all__ = [
    "DATASOURCE",
    "LEGEND",
    "Config",
    "Panel",
    "bars",
    "chart",
    "field_config",
    "panel",
    "row",
    "stat",
    "targets",
]

Panel = dict[str, Any]
Config = dict[str, Any]
DATASOURCE = {"type": "influxdb", "uid": "${datasource}"}
LEGEND = {
    "calcs": [],
    "displayMode": "list",
    "placement": "bottom",
    "showLegend": True,
}
_PLAIN = {"mode": "absolute", "steps": [{"color": "green", "value": None}]}


def row(title: str) -> Panel:
    """A heading."""
    return {"type": "row", "title": title, "collapsed": False, "panels": []}


def chart(
    title: str,
    queries: Mapping[str, str],
    *,
    unit: str,
    about: str = "",
    least: str = "1s",
    overrides: Iterable[Config] = (),
    custom: Config | None = None,
    options: Config | None = None,
    links: Iterable[Config] = (),
    **rest: Any,
) -> Panel:
    """Lines over time. ``queries`` are by the names of their series (Grafana's alias).

    ``least`` is the shortest step: the period of what is shown. With a shorter one every
    second value would look missing.
    """
    drawn = {
        "drawStyle": "line",
        "lineInterpolation": "linear",
        "lineWidth": 1,
        "fillOpacity": 0,
        "showPoints": "auto",
        "spanNulls": False,
        "axisPlacement": "auto",
        "stacking": {"mode": "none", "group": "A"},
    }
    return panel(
        "timeseries",
        title,
        about,
        targets=targets(queries, "time_series"),
        interval=least,
        fieldConfig=field_config(
            unit,
            drawn | (custom or {}),
            overrides,
            color="palette-classic",
            links=links,
        ),
        options={
            "legend": LEGEND,
            "tooltip": {"mode": "multi", "sort": "none"},
        }
        | (options or {}),
        **rest,
    )


def bars(title: str, queries: Mapping[str, str], *, unit: str, **rest: Any) -> Panel:
    """Stacked bars, each from its time on."""
    drawn = {
        "drawStyle": "bars",
        "barAlignment": 1,
        "fillOpacity": 70,
        "showPoints": "never",
        "stacking": {"mode": "normal", "group": "A"},
    }
    custom = drawn | rest.pop("custom", {})
    return chart(title, queries, unit=unit, custom=custom, **rest)


def stat(
    title: str,
    query: str,
    *,
    unit: str = "none",
    about: str = "",
    overrides: Iterable[Config] = (),
    thresholds: Iterable[tuple[float | None, str]] = ((None, "green"),),
    empty: str = "no data",
    calc: str = "lastNotNull",
    **rest: Any,
) -> Panel:
    """Each number of one row, large; ``empty`` stands where there is none."""
    config = field_config(
        unit, {}, overrides, color="thresholds", thresholds=thresholds
    )
    config["defaults"]["noValue"] = empty
    return panel(
        "stat",
        title,
        about,
        targets=targets({"": query}, "table"),
        fieldConfig=config,
        options={
            "colorMode": "value",
            "graphMode": "none",
            "justifyMode": "auto",
            "orientation": "auto",
            "textMode": "auto",
            "reduceOptions": {"calcs": [calc], "fields": "", "values": False},
        },
        **rest,
    )


def panel(kind: str, title: str, about: str, **rest: Any) -> Panel:
    """A panel of any kind; ``size`` says how many columns wide and how high it is."""
    return {
        "type": kind,
        "title": title,
        "description": about,
        "datasource": DATASOURCE,
        **rest,
    }


def targets(queries: Mapping[str, str], result_format: str) -> list[Config]:
    """The queries of a panel, by the names of their series."""
    return [
        {
            "refId": letter,
            "datasource": DATASOURCE,
            "alias": alias,
            "query": query,
            "rawQuery": True,
            "resultFormat": result_format,
        }
        for letter, (alias, query) in zip(
            ascii_uppercase, queries.items(), strict=False
        )
    ]


def field_config(
    unit: str,
    custom: Config,
    overrides: Iterable[Config],
    *,
    color: str,
    links: Iterable[Config] = (),
    thresholds: Iterable[tuple[float | None, str]] = (),
) -> Config:
    """How fields look: what all have, and what some have instead."""
    steps = [{"color": color, "value": value} for value, color in thresholds]
    return {
        "defaults": {
            "color": {"mode": color},
            "custom": custom,
            "links": list(links),
            "mappings": [],
            "thresholds": {"mode": "absolute", "steps": steps} if steps else _PLAIN,
            "unit": unit,
        },
        "overrides": list(overrides),
    }
