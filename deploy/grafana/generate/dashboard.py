"""A dashboard around its panels: variables, annotations, links, places."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from deploy.grafana.generate.influxql import FRAMES, select
from deploy.grafana.generate.panels import DATASOURCE, Panel
from transforms.lines.names import LASTING

__all__ = [
    "ACTIVE",
    "annotation",
    "dashboard",
    "datasource_variable",
    "interval_variable",
    "placed",
    "tag_variable",
    "text_variable",
    "to_asset",
]

Config = dict[str, Any]
COLUMNS = 24
ACTIVE = f'"kind" =~ /^({"|".join(sorted(LASTING))})$/'


def dashboard(
    *,
    uid: str,
    title: str,
    about: str,
    variables: Iterable[Config],
    annotations: Iterable[Config],
    panels: Iterable[Panel],
    since: str,
    refresh: str,
    time_zone: str,
) -> Config:
    """The whole, as Grafana 10 and 11 read it from a file."""
    return {
        "uid": uid,
        "title": title,
        "description": about,
        "tags": ["pm500"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "fiscalYearStartMonth": 0,
        "liveNow": False,
        "refresh": refresh,
        "time": {"from": since, "to": "now"},
        "timepicker": {},
        "timezone": time_zone,
        "weekStart": "",
        "templating": {"list": list(variables)},
        "annotations": {"list": list(annotations)},
        "links": [
            {
                "type": "dashboards",
                "title": "pm500",
                "tags": ["pm500"],
                "asDropdown": False,
                "includeVars": False,
                "keepTime": True,
                "targetBlank": False,
                "icon": "external link",
                "tooltip": "",
                "url": "",
            }
        ],
        "panels": placed(panels),
    }


def placed(panels: Iterable[Panel]) -> list[Panel]:
    """Panels with ids and places: left to right, a new line where one does not fit.

    A panel says its size as ``size``: (columns, height).
    """
    out: list[Panel] = []
    x = y = height = 0
    for number, panel in enumerate(panels, start=1):
        is_row = panel["type"] == "row"
        wide, high = (COLUMNS, 1) if is_row else panel["size"]
        if x + wide > COLUMNS or is_row:
            x, y, height = 0, y + height, 0
        rest = {key: value for key, value in panel.items() if key != "size"}
        out.append({"id": number, "gridPos": _place(x, y, wide, high), **rest})
        x, height = x + wide, max(height, high)
    return out


def datasource_variable() -> Config:
    """Which InfluxDB."""
    return {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "influxdb",
        "current": {"selected": False, "text": "pm500", "value": "pm500"},
        "hide": 0,
        "includeAll": False,
        "multi": False,
        "options": [],
        "refresh": 1,
        "regex": "",
        "skipUrlSync": False,
    }


def tag_variable(
    tag: str,
    label: str,
    *,
    source: str = FRAMES,
    name: str = "",
    within: Iterable[str] = (),
    several: bool = False,
    preset: str = "",
) -> Config:
    """The values of a tag, among those of the variables that it lies ``within``."""
    chosen = " AND ".join(f'"{upper}" =~ /^${{{upper}:regex}}$/' for upper in within)
    query = f'SHOW TAG VALUES FROM "{source}" WITH KEY = "{tag}"'
    if chosen:
        query += f" WHERE {chosen}"
    current: Config = {}
    if several:
        current = {"selected": True, "text": ["All"], "value": ["$__all"]}
    elif preset:
        current = {"selected": True, "text": preset, "value": preset}
    return {
        "name": name or tag,
        "label": label,
        "type": "query",
        "datasource": DATASOURCE,
        "definition": query,
        "query": query,
        **({"allValue": ".*"} if several else {}),
        "current": current,
        "hide": 0,
        "includeAll": several,
        "multi": several,
        "options": [],
        "refresh": 1,
        "regex": "",
        "skipUrlSync": False,
        "sort": 3 if preset.isdigit() else 1,
    }


def interval_variable(within: Iterable[str]) -> Config:
    """Of which length the intervals of energy are."""
    return tag_variable(
        "interval",
        "Energy interval (s)",
        source="pm500_energy",
        within=within,
        preset="900",
    )


def text_variable(name: str, label: str, value: str, about: str) -> Config:
    """A text that the reader may change."""
    chosen = {"selected": True, "text": value, "value": value}
    return {
        "name": name,
        "label": label,
        "description": about,
        "type": "textbox",
        "query": value,
        "current": chosen,
        "options": [chosen],
        "hide": 0,
        "skipUrlSync": False,
    }


def annotation(name: str, color: str, *also: str) -> Config:
    """Events as marks on every chart; those that last as ranges."""
    query = select(
        ['"text"', '"kind"', '"severity"', '"until"'], "pm500_event", also=also
    )
    return {
        "name": name,
        "datasource": DATASOURCE,
        "enable": True,
        "hide": False,
        "iconColor": color,
        "target": {
            "refId": "Anno",
            "fromAnnotations": True,
            "queryType": "tags",
            "rawQuery": True,
            "resultFormat": "table",
            "query": query,
            "textColumn": "text",
            "tagsColumn": "kind,severity",
            "timeEndColumn": "until",
            "titleColumn": "",
        },
    }


def to_asset(of: str = "__data.fields.") -> Config:
    """A link to the asset's dashboard, from a row or (``__field.labels.``) a series."""
    place = "&".join(
        f"var-{tag}=${{{of}{tag}:percentencode}}" for tag in ("site", "area", "asset")
    )
    return {
        "title": "Open the meter",
        "targetBlank": False,
        "url": f"/d/pm500-asset?var-datasource=${{datasource}}&{place}"
        "&var-interval=${interval:percentencode}"
        "&${__url_time_range}",
    }


def _place(x: int, y: int, wide: int, high: int) -> Config:
    return {"x": x, "y": y, "w": wide, "h": high}
