"""What a dashboard asks: every query of it, and the names that stand in them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Asked", "asked_of", "queries_of"]

_NAME = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ALIAS = re.compile(r'\bAS\s+"([^"]+)"')
_VALUE = re.compile(r"\"([^\"]+)\"\s*=\s*'([^']*)'")
_FROM = re.compile(r'\bFROM\s+"([^"]+)"')
_BY = re.compile(r"\bGROUP BY\s+(.*?)(?:\s+fill\(|$)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What one query names: ``values`` are the tags that it holds against one text."""

    measurement: str
    names: frozenset[str]
    values: frozenset[tuple[str, str]]


def queries_of(dashboard: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Every query of a dashboard, with the title of its panel, variable or annotation."""
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield f"variable {variable['name']}", variable["query"]
    for annotation in dashboard["annotations"]["list"]:
        if "target" in annotation and "query" in annotation["target"]:
            yield f"annotation {annotation['name']}", annotation["target"]["query"]
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield f"{panel['title']} {target['refId']}", target["query"]


def asked_of(query: str) -> Asked:
    """What a query names of the measurement that it reads in the end.

    A statement around another one may name what that one tells; any other name of it
    counts as one of the measurement's.

    >>> asked = asked_of('''SELECT "n" FROM (SELECT count("kW") AS "n" FROM "frames"
    ...     WHERE "phase" = 'total' GROUP BY "asset") WHERE "n" > 1''')
    >>> asked.measurement, sorted(asked.names), sorted(asked.values)
    ('frames', ['asset', 'kW', 'phase'], [('phase', 'total')])
    """
    outer, inner = _parted(query)
    if inner is None:
        measurements = _FROM.findall(outer)
        if len(measurements) != 1:
            raise ValueError(f"not one measurement: {query}")
        without = _FROM.sub("", _ALIAS.sub("", outer))
        return Asked(
            measurement=measurements[0],
            names=frozenset(_NAME.findall(without)),
            values=frozenset(_VALUE.findall(outer)),
        )
    below = asked_of(inner)
    told = _columns(inner)
    own = set(_NAME.findall(_ALIAS.sub("", outer))) - told
    return Asked(
        measurement=below.measurement,
        names=below.names | own,
        values=below.values | frozenset(_VALUE.findall(outer)),
    )


def _parted(query: str) -> tuple[str, str | None]:
    """The statement without the one in its FROM, and that one."""
    start = query.find("FROM (")
    if start < 0:
        return query, None
    depth, at = 1, start + len("FROM (")
    while depth:
        depth += {"(": 1, ")": -1}.get(query[at], 0)
        at += 1
    inner = query[start + len("FROM (") : at - 1]
    return query[:start] + query[at:], inner


def _columns(statement: str) -> set[str]:
    """What a statement tells: plain columns, those with an alias, the tags of its groups."""
    outer, _ = _parted(statement)
    columns = outer.partition(" FROM ")[0].removeprefix("SELECT ")
    plain = {c.strip().strip('"') for c in columns.split(",") if c.strip()[:1] == '"'}
    groups = _BY.search(outer)
    tags = _NAME.findall(groups[1]) if groups else []
    return {*plain, *tags, *_ALIAS.findall(outer)}
