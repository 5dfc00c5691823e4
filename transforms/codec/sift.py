"""Frames that can be used, apart from bytes that only look like frames. Pure.

Everyone who counts frames must agree on what one is: the archive and the ledger do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from transforms.codec.batch import FrameColumns, decode_batch
from transforms.codec.frame import FrameSchema
from transforms.codec.framing import CodecError
from transforms.model.asset import Asset

__all__ = ["LATEST_US", "Sifted", "Sifter"]

LATEST_US = 7_258_118_400_000_000  # 2200-01-01: later times are none

Item = tuple[str, bytes]


class Sifted(NamedTuple):
    """``kept`` are the places of the frames in ``columns``; the rest has a reason."""

    columns: FrameColumns
    kept: list[int]
    rejected: list[tuple[int, str]]


class Sifter:
    """Decodes (key, value) items of one schema, and tells which are none of it.

    A key must be an asset, and a frame must stand on its own grid: bytes that decode
    may still be wrong.
    """

    def __init__(self) -> None:
        self._assets: set[str] = set()

    def sift(self, schema: FrameSchema, items: Sequence[Item]) -> Sifted:
        """Sort them; nothing that an item holds raises."""
        rejected = []
        kept = []
        for place, (key, _) in enumerate(items):
            if problem := self._problem_with(key):
                rejected.append((place, problem))
            else:
                kept.append(place)
        try:
            columns = decode_batch(schema, [items[place][1] for place in kept])
        except CodecError:
            cut = [(place, _problem_in(schema, items[place][1])) for place in kept]
            rejected += [(place, problem) for place, problem in cut if problem]
            kept = [place for place, problem in cut if not problem]
            columns = decode_batch(schema, [items[place][1] for place in kept])
        fits = _on_grid(columns)
        if not fits.all():
            reason = "its slot is not seq x period"
            rejected += [(kept[i], reason) for i in np.flatnonzero(~fits)]
            kept = [kept[i] for i in np.flatnonzero(fits)]
            columns = decode_batch(schema, [items[place][1] for place in kept])
        return Sifted(columns, kept, sorted(rejected))

    def _problem_with(self, key: str) -> str:
        if key not in self._assets:
            try:
                Asset.parse(key)
            except ValueError as error:
                return str(error)
            self._assets.add(key)
        return ""


def _problem_in(schema: FrameSchema, value: bytes) -> str:
    try:
        schema.decode(value)
    except CodecError as error:
        return str(error)
    return ""


def _on_grid(columns: FrameColumns) -> npt.NDArray[np.bool_]:
    slot = columns.slot_us
    fits: npt.NDArray[np.bool_] = columns.seq * columns.period_us == slot
    return fits & (columns.period_us > 0) & (slot >= 0) & (slot < LATEST_US)
