"""The name of a meter at its place: ``site/area/asset``."""

from __future__ import annotations

import re
from typing import NamedTuple
from uuid import NAMESPACE_URL, UUID, uuid5

__all__ = ["RESERVED", "Asset", "problem_with_part"]

# Sparkplug 3.0 message types: as a site they would turn a contract topic into another.
RESERVED = frozenset("NBIRTH NDEATH DBIRTH DDEATH NDATA DDATA NCMD DCMD STATE".split())
_PART = re.compile(r"[^\s\x00-\x1f\x7f+/#=%*.][^\s\x00-\x1f\x7f+/#=%*]*")


def problem_with_part(part: str) -> str | None:
    """Say why ``part`` cannot be a part of an asset name; None where it can.

    >>> problem_with_part("hall+1")
    "'hall+1' must not be empty, hold space, control characters, '+', '/', '#', '=', '%' or '*', or start with '.'"
    >>> problem_with_part("hall1")
    """
    if part in RESERVED:
        return f"{part!r} is a Sparkplug message type"
    if not _PART.fullmatch(part):
        return (
            f"{part!r} must not be empty, hold space, control characters, '+', '/', '#', "
            "'=', '%' or '*', or start with '.'"
        )
    return None


class Asset(NamedTuple):
    """One meter at one place; its text form is the key of every record."""

    site: str
    area: str
    name: str

    @classmethod
    def parse(cls, text: str) -> Asset:
        """Parse ``site/area/asset``; ValueError says what is wrong with it."""
        parts = text.split("/")
        if len(parts) != 3:
            raise ValueError(f"{text!r} is not of the form site/area/asset")
        for place, part in zip(("site", "area", "asset"), parts, strict=True):
            if problem := problem_with_part(part):
                raise ValueError(f"{place}: {problem}")
            if place != "asset" and "." in part:
                # `<site>.<area>` names the edge node and must split one way only.
                raise ValueError(f"{place}: {part!r} must not hold '.'")
        return cls(*parts)

    @property
    def uuid(self) -> UUID:
        """The asset's UUID5, unless the site configures another."""
        return uuid5(NAMESPACE_URL, f"pm500:{self}")

    def __str__(self) -> str:
        return f"{self.site}/{self.area}/{self.name}"
