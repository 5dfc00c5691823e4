"""Arrays of numbers as text: the shortest digits that give each number back.

A float of 32 bits has up to nine digits so, one of 64 bits up to seventeen; both are
what InfluxDB's parser reads as the same number again, after rounding to 32 bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

__all__ = ["digits"]


def digits(matrix: npt.NDArray[np.generic]) -> list[list[bytes]]:
    """The texts of a matrix, a list for each of its rows; ``null`` for no number.

    Booleans are 1 and 0.

    >>> digits(np.array([[480.2, 12.1]], np.float32))
    [[b'480.2', b'12.1']]
    """
    rows, columns = matrix.shape
    if not rows or not columns:
        return [[] for _ in range(rows)]
    if matrix.dtype == np.bool_:
        matrix = matrix.view(np.uint8)
    whole: Any = np.ascontiguousarray(matrix)
    text = orjson.dumps(whole, option=orjson.OPT_SERIALIZE_NUMPY)
    return [row.split(b",") for row in text[2:-2].split(b"],[")]
