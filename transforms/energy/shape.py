"""How energy lay in time, where only its sum is known: the load shape. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

__all__ = ["Piece", "shares", "split"]

_HOUR_US = 3_600_000_000
_FINE = 1 << 40  # weights become whole numbers, so that shares are exact


class Piece(NamedTuple):
    """A stretch of time; ``known_wh`` was measured over ``known_us`` of it."""

    start_us: int
    end_us: int
    known_wh: float
    known_us: int


def split(
    total_wh: int,
    pieces: Sequence[Piece],
    before_kw: float | None,
    after_kw: float | None,
) -> list[int]:
    """A sum distributed over adjacent pieces by their load; the parts make the sum.

    Where at least half of a piece was measured its mean power counts. Elsewhere power
    runs straight between what is known around, ``before_kw`` and ``after_kw`` at the
    two ends; and flat where nothing is known.
    """
    start_us, end_us = pieces[0].start_us, pieces[-1].end_us
    known = [(start_us, before_kw), *map(_level, pieces), (end_us, after_kw)]
    anchors = [(at_us, kw) for at_us, kw in known if kw is not None]
    if not anchors:
        return shares(total_wh, [p.end_us - p.start_us for p in pieces])
    middles = [(p.start_us + p.end_us) / 2 - start_us for p in pieces]
    levels = np.interp(
        middles, [at_us - start_us for at_us, _ in anchors], [kw for _, kw in anchors]
    )
    loads = [
        p.known_wh + float(kw) * 1000 * (p.end_us - p.start_us - p.known_us) / _HOUR_US
        for p, kw in zip(pieces, levels, strict=True)
    ]
    if not max(loads) > 0:
        return shares(total_wh, [p.end_us - p.start_us for p in pieces])
    return shares(total_wh, loads)


def shares(total: int, weights: Sequence[float]) -> list[int]:
    """A whole number in parts by weight, by largest remainder; some weight is over 0.

    >>> shares(10, [1.0, 1.0, 1.0])
    [4, 3, 3]
    """
    most = max(weights)
    fine = [round(max(0.0, w) / most * _FINE) for w in weights]
    whole = sum(fine)
    parts, rests = zip(*(divmod(total * f, whole) for f in fine), strict=True)
    order = sorted(range(len(fine)), key=lambda place: (-rests[place], place))
    ahead = set(order[: total - sum(parts)])
    return [part + (place in ahead) for place, part in enumerate(parts)]


def _level(piece: Piece) -> tuple[int, float | None]:
    """The middle of a piece and its mean power in kW, None where too little is known."""
    length_us = piece.end_us - piece.start_us
    middle_us = piece.start_us + length_us // 2
    if not piece.known_us or 2 * piece.known_us < length_us:
        return middle_us, None
    return middle_us, max(0.0, piece.known_wh / 1000 / (piece.known_us / _HOUR_US))
