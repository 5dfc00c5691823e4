"""Lines read back by the strict parser, which knows nothing of how they were made."""

from __future__ import annotations

from collections.abc import Sequence

from tests.line_protocol import Point, parse
from transforms.lines.text import LineError

__all__ = ["labels", "points_of", "texts", "the_point"]


def labels(asset: str) -> dict[str, str]:
    """Tags as a site without breakers gives them."""
    parts = zip(("site", "area", "asset"), asset.split("/"), strict=False)
    return {name: part for name, part in parts if part}


def points_of(text: bytes) -> list[Point]:
    """Every line's point; what is no line protocol fails the test."""
    found = list(parse(text.decode()))
    assert [each.problem for each in found if each.point is None] == []
    assert len(found) == text.count(b"\n") + 1
    return [each.point for each in found if each.point is not None]


def the_point(text: bytes) -> Point:
    """The only point."""
    (point,) = points_of(text)
    return point


def texts(lines: Sequence[bytes | LineError]) -> list[bytes]:
    """The lines of frames that all have some."""
    assert not [each for each in lines if isinstance(each, LineError)]
    return [each for each in lines if not isinstance(each, LineError)]
