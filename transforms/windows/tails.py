"""Rows to the statistics of window records, all readings at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from transforms.codec.window import WindowSchema
from transforms.windows.rows import Rows, means

__all__ = ["tails_of"]


def tails_of(
    schema: WindowSchema,
    rows: Rows,
    due: npt.NDArray[np.int64],
    code: npt.NDArray[np.uint8],
) -> npt.NDArray[np.void]:
    """One record of ``schema.tail`` for each row; NaN where nothing had a value."""
    tails = np.empty(len(rows), schema.tail)
    tails["quality"] = code
    reading = tails["reading"]
    reading["Mean"] = means(rows)
    with np.errstate(divide="ignore", invalid="ignore"):
        reading["Good"] = np.where(
            due[:, np.newaxis] > 0, 100.0 * rows["goods"] / due[:, np.newaxis], 0.0
        )
    reading["Min"], reading["Max"] = rows["low"], rows["high"]
    reading["Last"] = rows["last"]
    return tails
