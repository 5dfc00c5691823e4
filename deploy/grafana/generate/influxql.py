"""Words of InfluxQL, with every identifier quoted: ``group`` is a keyword."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

__all__ = [
    "CHOSEN",
    "FRAMES",
    "INTERVAL",
    "METER",
    "WHOLE",
    "grouped",
    "latest",
    "quoted",
    "select",
    "series",
    "sums",
]

METER = ("site", "area", "asset")

# Variables of the dashboards, as Grafana makes them regular expressions: All is `.*`.
CHOSEN = " AND ".join(f'"{tag}" =~ /^${{{tag}:regex}}$/' for tag in METER)
FRAMES = "powermonitor_500"
# Of energy there may be two lengths of intervals over one time: one of them counts.
INTERVAL = {"interval": "${interval:raw}"}
WHOLE = {"group": "realtime", "phase": "total"}


def quoted(name: str) -> str:
    """An identifier.

    >>> quoted("group")
    '"group"'
    """
    return f'"{name}"'


def grouped(by: Iterable[str]) -> str:
    """The end of a statement that tells one row, or series, for each of some tags."""
    return f"GROUP BY {', '.join(map(quoted, by))}"


def select(
    columns: Iterable[str],
    source: str,
    *,
    where: Mapping[str, str] | None = None,
    also: Iterable[str] = (),
    time: str = "$timeFilter",
    rest: str = "",
) -> str:
    """A statement over what is chosen; ``source`` is a measurement or a statement.

    ``where`` are tags with the one value they must have. A statement that reads another
    one leaves the choice to it.
    """
    inner = source.startswith("SELECT ")
    conditions = [] if inner else [f"\"{k}\" = '{v}'" for k, v in (where or {}).items()]
    conditions += also
    if not inner:
        conditions += [CHOSEN, time]
    origin = f"({source})" if inner else quoted(source)
    ruled = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    parts = ("SELECT", ", ".join(columns), "FROM", origin, ruled, rest)
    return " ".join(part for part in parts if part)


def series(
    columns: Iterable[str],
    source: str,
    *,
    by: Iterable[str] = (),
    every: str = "$__interval",
    fill: str = "null",
    rest: str = "",
    where: Mapping[str, str] | None = None,
    also: Iterable[str] = (),
    time: str = "$timeFilter",
) -> str:
    """A statement for a chart: a value for every step of time, null where there is none."""
    groups = ", ".join([f"time({every})", *map(quoted, by)])
    tail = f"GROUP BY {groups} fill({fill}) {rest}".rstrip()
    return select(columns, source, where=where, also=also, time=time, rest=tail)


def latest(
    columns: Iterable[str],
    source: str,
    *,
    key: str,
    by: Iterable[str] = METER,
    kept: Iterable[str] = (),
    where: Mapping[str, str] | None = None,
    also: Iterable[str] = (),
    time: str = "$timeFilter",
) -> str:
    """The last point with a ``key`` of every combination of tags, as rows of one table.

    The tags are columns in a fixed order: Grafana puts those of GROUP BY in any order.
    """
    columns, by = list(columns), list(by)
    inner = select(
        [f'last("{key}") AS "{key}"', *(quoted(c) for c in columns if c != key)],
        source,
        where=where,
        also=also,
        time=time,
        rest=grouped(by),
    )
    return select([quoted(name) for name in (*by, *columns)], inner, also=kept)


def sums(
    columns: Mapping[str, str],
    source: str,
    *,
    by: Iterable[str] = METER,
    where: Mapping[str, str] | None = None,
    also: Iterable[str] = (),
    time: str = "$timeFilter",
) -> str:
    """One row of aggregates, by name, for every combination of tags."""
    by = list(by)
    inner = select(
        [f'{what} AS "{name}"' for name, what in columns.items()],
        source,
        where=where,
        also=also,
        time=time,
        rest=grouped(by),
    )
    return select([quoted(name) for name in (*by, *columns)], inner)
