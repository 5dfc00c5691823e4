"""How values look: Grafana's names of units, and the colors of quality and status."""

from __future__ import annotations

from typing import Any

from transforms.model.quality import Status

__all__ = [
    "BAD",
    "GOOD",
    "LASTS",
    "QUALITY",
    "SEVERITY",
    "STATUS",
    "UNCERTAIN",
    "UNITS",
    "by_name",
    "colored",
    "fixed",
    "unit_of",
]

GOOD, UNCERTAIN, BAD = "green", "orange", "red"

# Units of the fields, as Grafana knows them; it has none for kvarh.
UNITS = {
    "kW": "kwatt",
    "kVA": "kvoltamp",
    "kVAR": "kvoltampreact",
    "kWh": "kwatth",
    "kVARh": "suffix:kvarh",
    "current": "amp",
    "frequency": "hertz",
    "percent": "percent",
    "power_factor": "none",
    "voltage": "volt",
    "voltage_ln": "volt",
}

Config = dict[str, Any]


def _mapping(texts: dict[str, tuple[str, str]]) -> list[Config]:
    options = {
        value: {"text": text, "color": color, "index": index}
        for index, (value, (text, color)) in enumerate(texts.items())
    }
    return [{"type": "value", "options": options}]


QUALITY = _mapping(
    {"192": ("good", GOOD), "64": ("uncertain", UNCERTAIN), "0": ("bad", BAD)}
)
STATUS = _mapping(
    {
        str(int(status)): (status.label, UNCERTAIN if status is Status.PARTIAL else BAD)
        for status in Status
        if status is not Status.OK
    }
)
LASTS = _mapping({"1": ("yes", UNCERTAIN), "0": ("no", GOOD)})
SEVERITY = _mapping(
    {
        "info": ("info", "blue"),
        "warning": ("warning", UNCERTAIN),
        "error": ("error", BAD),
        "critical": ("critical", "dark-red"),
    }
)


def by_name(name: str, **properties: Any) -> Config:
    """An override for the field of one name; ``custom__x`` is ``custom.x``."""
    return {
        "matcher": {"id": "byName", "options": name},
        "properties": [
            {"id": key.replace("__", "."), "value": value}
            for key, value in properties.items()
        ],
    }


def unit_of(field: str, *names: str) -> list[Config]:
    """Overrides that give each named column the unit of a field."""
    return [by_name(name, unit=UNITS[field]) for name in names or (field,)]


def colored(name: str, mappings: list[Config]) -> Config:
    """An override: a cell of a table in the colors of its mapping."""
    return by_name(
        name, mappings=mappings, custom__cellOptions={"type": "color-background"}
    )


def fixed(name: str, color: str) -> Config:
    """An override: a series in one color."""
    return by_name(name, color={"mode": "fixed", "fixedColor": color})
