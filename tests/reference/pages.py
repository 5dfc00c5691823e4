"""README.md and docs/*.md, and what is generated in them.

A generated part stands between ``<!-- generated: NAME -->`` and
``<!-- generated: end -->``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tests.reference.commands import command_pages
from tests.reference.settings import example, profile_language, settings
from tests.reference.tables import (
    event_columns,
    frame_columns,
    metrics,
    ports,
    profiles,
    qualities,
    quantities,
    statuses,
)

__all__ = ["PARTS", "ROOT", "filled", "pages"]

ROOT = Path(__file__).parents[2]

PARTS: Mapping[str, Callable[[], Iterator[str]]] = {
    "settings": settings,
    "example": example,
    "commands": command_pages,
    "profiles": profiles,
    "profile-language": profile_language,
    "statuses": statuses,
    "qualities": qualities,
    "quantities": quantities,
    "frame-columns": frame_columns,
    "event-columns": event_columns,
    "ports": ports,
    "metrics": metrics,
}

_PART = re.compile(
    r"(<!-- generated: (?P<name>[a-z-]+) -->\n).*?(<!-- generated: end -->)", re.DOTALL
)


def pages() -> list[Path]:
    """README.md and the pages of docs/."""
    return [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]


def filled(text: str) -> str:
    """The page with every generated part made anew; KeyError for an unknown one."""

    def part(match: re.Match[str]) -> str:
        made = "\n".join(PARTS[match["name"]]()).strip("\n")
        return f"{match[1]}\n{made}\n\n{match[3]}"

    return _PART.sub(part, text)
