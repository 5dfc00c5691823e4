"""The slots of many frames, read from the bytes without the rest of the frame. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from transforms.codec.framing import HEADER_BYTES
from transforms.codec.sift import LATEST_US

__all__ = ["NO_SLOT", "slots_of"]

NO_SLOT = -1

_MARKER = np.frombuffer(b"\xc3\x01", np.uint8)
# The slot is the third number, after seq and period; each has ten bytes at most.
_BEFORE = 2
_WIDEST = 10
_HEAD = HEADER_BYTES + (_BEFORE + 1) * _WIDEST

Longs = npt.NDArray[np.int64]


def slots_of(values: Sequence[bytes]) -> Longs:
    """The slot of each frame in microseconds since the epoch, UTC.

    ``NO_SLOT`` where the bytes cannot be a frame's. Which schema they are of is not
    asked, so bytes that only look like a frame give a number too.
    """
    heads = _heads(values)
    body = heads[:, HEADER_BYTES:]
    ends = body < 0x80
    alike = len(ends) > 0 and bool((ends == ends[0]).all())
    ended = np.cumsum(ends[:1] if alike else ends, axis=1, dtype=np.int8)
    start = (ended < _BEFORE).sum(axis=1) + 1
    width = (ended <= _BEFORE).sum(axis=1) - start + 1
    found = np.zeros(len(values), np.uint64)
    rows = np.arange(len(ended))
    for place in range(int(min(width.max(initial=0), _WIDEST))):
        at = np.minimum(start + place, body.shape[1] - 1)
        byte = body[:, at[0]] if alike else body[rows, at]
        septet = (byte & 0x7F).astype(np.uint64) << np.uint64(7 * place)
        found |= np.where(place < width, septet, np.uint64(0))
    slots = (found >> np.uint64(1)).view(np.int64) ^ -(found & np.uint64(1)).view(
        np.int64
    )
    whole = (start + width <= body.shape[1]) & (width <= _WIDEST)
    whole = whole & (heads[:, :2] == _MARKER).all(axis=1)
    return np.where(whole & (slots >= 0) & (slots < LATEST_US), slots, NO_SLOT)


def _heads(values: Sequence[bytes]) -> npt.NDArray[np.uint8]:
    """The first bytes of each, filled up with such as end no number."""
    data = b"".join(
        [
            value[:_HEAD] if len(value) >= _HEAD else value.ljust(_HEAD, b"\xff")
            for value in values
        ]
    )
    return np.frombuffer(data, np.uint8).reshape(len(values), _HEAD)
