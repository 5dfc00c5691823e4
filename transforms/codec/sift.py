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
from transforms.codec.keys import Keys
from transforms.model.asset import Asset

__all__ = ["LATEST_US", "Sifted", "Sifter"]

LATEST_US = 7_258_118_400_000_000  # 2200-01-01: later times are none


class Sifted(NamedTuple):
    """``kept`` are the places of the frames in ``columns``; the rest has a reason.

    ``kept`` is a range where nothing was rejected.
    """

    columns: FrameColumns
    kept: Sequence[int]
    rejected: list[tuple[int, str]]


class Sifter:
    """Decodes keys and values of one schema, and tells which are none of it.

    A key must be an asset, and a frame must stand on its own grid: bytes that decode
    may still be wrong.
    """

    def __init__(self) -> None:
        self._assets: set[str] = set()

    def sift(
        self, schema: FrameSchema, keys: Sequence[str], values: Sequence[bytes]
    ) -> Sifted:
        """Sort them; nothing that an item holds raises."""
        problems = self._problems(keys)
        if not any(problems.values()):
            try:
                columns = decode_batch(schema, values)
            except CodecError:
                pass
            else:
                if _on_grid(columns).all():
                    return Sifted(columns, range(len(values)), [])
        return _one_by_one(schema, values, [problems.get(key, "") for key in keys])

    def whole(
        self, schema: FrameSchema, keys: Sequence[str], values: Sequence[bytes]
    ) -> FrameColumns | None:
        """All of them where they are frames of one layout, as most are; else None."""
        if any(self._problems(keys).values()):
            return None
        try:
            columns = decode_batch(schema, values, alike=True)
        except CodecError:
            return None
        return columns if _on_grid(columns).all() else None

    def _problems(self, keys: Sequence[str]) -> dict[str, str]:
        """Of keys that were not seen before; empty where a key is an asset."""
        different = set(Keys.of(keys).compact().texts)
        return {key: self._problem_with(key) for key in different - self._assets}

    def _problem_with(self, key: str) -> str:
        try:
            Asset.parse(key)
        except ValueError as error:
            return str(error)
        self._assets.add(key)
        return ""


def _one_by_one(
    schema: FrameSchema, values: Sequence[bytes], problems: list[str]
) -> Sifted:
    """The slow way, which finds out which one is wrong."""
    reasons = [
        problem or _problem_in(schema, value)
        for problem, value in zip(problems, values, strict=True)
    ]
    kept = [place for place, reason in enumerate(reasons) if not reason]
    fits = _on_grid(decode_batch(schema, [values[place] for place in kept]))
    for place, fit in zip(kept, fits, strict=True):
        if not fit:
            reasons[place] = "its slot is not seq x period"
    kept = [place for place, reason in enumerate(reasons) if not reason]
    columns = decode_batch(schema, [values[place] for place in kept])
    return Sifted(columns, kept, [(n, why) for n, why in enumerate(reasons) if why])


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
