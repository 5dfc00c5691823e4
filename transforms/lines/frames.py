"""Frames of one schema as lines: one for each phase that has readings.

What does not change from slot to slot (measurement, tags, names of fields, qualities)
is put together once for each asset and each pattern of qualities; a frame only fills in
its numbers and its slot.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from transforms.codec.batch import FrameColumns
from transforms.codec.frame import FrameSchema
from transforms.lines.names import FRAME, PHASES, place_of
from transforms.lines.numbers import digits
from transforms.lines.text import LineError, tags
from transforms.model.quality import Quality, Status, worst

__all__ = ["FrameLines"]

_TEMPLATES = 1 << 14
_OK, _PARTIAL = int(Status.OK), int(Status.PARTIAL)


class _Template(NamedTuple):
    """``text % pick(tokens)`` are the lines; the last token is the slot."""

    text: bytes
    pick: Callable[[list[bytes]], tuple[bytes, ...]]


class FrameLines:
    """Makes the lines of frames of one schema.

    ``labels(asset)`` gives the tags of an asset, without group and phase. A reading that
    is bad has no field. Every frame has one line of the total; one without readings
    has that alone, with ``quality`` and ``status``.
    """

    def __init__(
        self, schema: FrameSchema, labels: Callable[[str], dict[str, str]]
    ) -> None:
        self.schema = schema
        self._labels = labels
        self._places = [place_of(name) for name in schema.names]
        # An asset has few patterns of qualities; a storm of others is made anew.
        self._template = lru_cache(_TEMPLATES)(self._make)

    def of(self, keys: Sequence[str], columns: FrameColumns) -> list[bytes | LineError]:
        """The lines of each frame, joined; LineError where its asset has no tags."""
        rows, quality = _tokens(columns)
        template = self._template
        out: list[bytes | LineError] = []
        width = quality.shape[1]
        data = quality.tobytes()
        for at, (key, row, status, slot_us) in enumerate(
            zip(
                keys, rows, columns.status.tolist(), columns.slot_us.tolist(),
                strict=True,
            )
        ):  # fmt: skip
            try:
                text, pick = template(key, data[at * width : (at + 1) * width], status)
            except LineError as error:
                out.append(error)
                continue
            row.append(b"%d000" % slot_us)
            out.append(text % pick(row))
        return out

    def _make(self, key: str, quality: bytes, status: int) -> _Template:
        labels = {**self._labels(key), "group": self.schema.group}
        lines: list[bytes] = []
        picked: list[int] = []
        for phase in PHASES:
            own = [n for n, place in enumerate(self._places) if place.phase == phase]
            found = self._fields(own, quality, status, total=phase == PHASES[-1])
            if found is None:
                continue
            used, texts = found
            tag_set = tags({**labels, "phase": phase}).replace(b"%", b"%%")
            lines.append(FRAME + tag_set + b" " + ",".join(texts).encode() + b" %b")
            picked += [*used, len(self._places)]
        pick: Any = itemgetter(*picked)
        if len(picked) == 1:
            (only,) = picked
            return _Template(b"\n".join(lines), lambda row: (row[only],))
        return _Template(b"\n".join(lines), pick)

    def _fields(
        self, own: Sequence[int], quality: bytes, status: int, *, total: bool
    ) -> tuple[list[int], list[str]] | None:
        """The readings of a phase that have a value, and its fields; None for none."""
        if status not in (_OK, _PARTIAL):
            return ([], [f"quality=0,status={status}"]) if total else None
        if all(quality[n] == Quality.BAD_NOT_IN_SYSTEM for n in own):
            own = []
        if not own and not total:
            return None
        used = [n for n in own if quality[n] < Quality.BAD_NO_VALUE]
        texts = [f"{self._places[n].field}=%b" for n in used]
        # A total without readings of its own speaks for the frame.
        codes = [quality[n] for n in own] or quality
        texts.append(f"quality={worst(codes)}")
        if total and status:
            texts.append(f"status={status}")
        return used, texts


def _tokens(
    columns: FrameColumns,
) -> tuple[list[list[bytes]], npt.NDArray[np.uint8]]:
    """Each frame's readings as text, and their qualities.

    A value that is no number is bad, whatever its quality says.
    """
    quality = columns.quality
    rows: list[list[bytes]] = [[] for _ in range(len(columns))]
    names = columns.schema.names
    at = 0
    while at < len(names):
        kind = columns.readings[names[at]].dtype
        end = at
        while end < len(names) and columns.readings[names[end]].dtype == kind:
            end += 1
        block = np.column_stack([columns.readings[name] for name in names[at:end]])
        if kind != np.bool_:
            lost = ~np.isfinite(block) & (quality[:, at:end] < Quality.BAD_NO_VALUE)
            if lost.any():
                quality = quality.copy()
                quality[:, at:end][lost] = Quality.BAD_NOT_A_NUMBER
        own = digits(block)
        rows = own if at == 0 else [a + b for a, b in zip(rows, own, strict=True)]
        at = end
    return rows, quality
