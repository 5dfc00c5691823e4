"""Panels of rows and of states."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from deploy.grafana.generate.panels import (
    LEGEND,
    Config,
    Panel,
    field_config,
    panel,
    targets,
)

__all__ = ["states", "table"]


def table(
    title: str,
    query: str,
    *,
    about: str = "",
    overrides: Iterable[Config] = (),
    hidden: Iterable[str] = (),
    renamed: Mapping[str, str] | None = None,
    sorted_by: str = "",
    falling: bool = False,
    **rest: Any,
) -> Panel:
    """Rows, of which columns may be hidden and renamed."""
    organized = _without(hidden, renamed or {})
    return panel(
        "table",
        title,
        about,
        targets=targets({"": query}, "table"),
        fieldConfig=field_config(
            "none",
            {"align": "auto", "cellOptions": {"type": "auto"}, "filterable": True},
            overrides,
            color="thresholds",
        ),
        options={
            "cellHeight": "sm",
            "footer": {"show": False, "reducer": ["sum"]},
            "showHeader": True,
            "sortBy": [{"displayName": sorted_by, "desc": falling}]
            if sorted_by
            else [],
        },
        transformations=[organized],
        **rest,
    )


def states(
    title: str,
    queries: Mapping[str, str],
    *,
    mappings: list[Config],
    least: str,
    about: str = "",
    **rest: Any,
) -> Panel:
    """A band for each series: one color for each state, nothing where nothing is known."""
    custom = {"fillOpacity": 80, "lineWidth": 0, "spanNulls": False}
    config = field_config("none", custom, (), color="thresholds")
    config["defaults"]["mappings"] = mappings
    return panel(
        "state-timeline",
        title,
        about,
        targets=targets(queries, "time_series"),
        interval=least,
        fieldConfig=config,
        options={
            "alignValue": "left",
            "legend": LEGEND,
            "mergeValues": True,
            "rowHeight": 0.9,
            "showValue": "never",
            "tooltip": {"mode": "single", "sort": "none"},
        },
        **rest,
    )


def _without(hidden: Iterable[str], renamed: Mapping[str, str]) -> Config:
    """A transformation that takes columns out and gives others another name."""
    return {
        "id": "organize",
        "options": {
            "excludeByName": dict.fromkeys(hidden, True),
            "includeByName": {},
            "indexByName": {},
            "renameByName": dict(renamed),
        },
    }
