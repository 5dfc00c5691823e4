"""The slots of a cell to one row; every slot has its place, so nothing is counted twice."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from transforms.model.quality import Quality, Status
from transforms.sequence import EMPTY
from transforms.windows.rows import Rows, no_rows

__all__ = ["Powers", "fold"]

_SECONDS_PER_HOUR = 3600.0

# The columns of real and reactive power; None where there is none.
Powers = tuple[int | None, int | None]


def fold(
    start_us: npt.NDArray[np.int64],
    end_us: npt.NDArray[np.int64],
    period_us: int,
    status: npt.NDArray[np.uint8],
    quality: npt.NDArray[np.uint8],
    values: npt.NDArray[np.generic],
    powers: Powers,
) -> Rows:
    """One row for each of ``n`` cells of ``k`` slots.

    ``status`` has the shape (n, k), EMPTY where no frame came; ``quality`` and
    ``values`` (n, k, readings). Each value holds for the period from its slot on.
    """
    count, slots, readings = values.shape
    rows = no_rows(count, readings)
    rows["start"], rows["end"] = start_us, end_us
    seen = status != EMPTY
    rows["good"] = (status == Status.OK).sum(axis=1)
    rows["seen"] = seen.sum(axis=1)
    valid = quality < Quality.BAD_NO_VALUE
    numbers = values.astype(np.float64)
    seconds = period_us / 1e6
    rows["weight"] = valid.sum(axis=1) * seconds
    rows["goods"] = (quality <= Quality.UNCERTAIN_NOT_COMMISSIONED).sum(axis=1)
    if valid.all():
        rows["low"], rows["high"] = numbers.min(axis=1), numbers.max(axis=1)
        rows["last"] = numbers[:, -1]
        rows["last_us"] = (start_us + (slots - 1) * period_us)[:, np.newaxis]
        rows["code"] = quality.max(axis=1)
    else:
        _partly(rows, seen, quality, valid, numbers, period_us)
        numbers = np.where(valid, numbers, 0.0)
    rows["area"] = numbers.sum(axis=1) * seconds
    _flows(rows, numbers, valid, powers, seconds)
    return rows


def _partly(
    rows: Rows,
    seen: npt.NDArray[np.bool_],
    quality: npt.NDArray[np.uint8],
    valid: npt.NDArray[np.bool_],
    numbers: npt.NDArray[np.float64],
    period_us: int,
) -> None:
    """Extremes, last and codes where some slots have no value."""
    slots = valid.shape[1]
    some = valid.any(axis=1)
    blank = np.where(valid, numbers, np.nan)
    rows["low"] = np.fmin.reduce(blank, axis=1)
    rows["high"] = np.fmax.reduce(blank, axis=1)
    last = slots - 1 - valid[:, ::-1].argmax(axis=1)
    found = np.take_along_axis(numbers, last[:, np.newaxis], axis=1)[:, 0]
    rows["last"] = np.where(some, found, np.nan)
    at = rows["start"][:, np.newaxis] + last * period_us
    rows["last_us"] = np.where(some, at, -1)
    rows["code"] = np.where(valid, quality, 0).max(axis=1)
    lacking = seen[:, :, np.newaxis] & ~valid
    rows["bad"] = np.where(lacking, quality, 0).max(axis=1)


def _flows(
    rows: Rows,
    numbers: npt.NDArray[np.float64],
    valid: npt.NDArray[np.bool_],
    powers: Powers,
    seconds: float,
) -> None:
    """Energies by direction; a value that is not there flows nowhere."""
    flows = rows["flows"]
    for place, column in enumerate(powers):
        if column is None:
            continue
        power = np.ascontiguousarray(numbers[:, :, column])
        taken = np.maximum(power, 0.0).sum(axis=1)
        flows[:, 2 * place] = taken * (seconds / _SECONDS_PER_HOUR)
        if (power < 0).any():
            given = np.maximum(-power, 0.0).sum(axis=1)
            flows[:, 2 * place + 1] = given * (seconds / _SECONDS_PER_HOUR)
    if powers[0] is not None:
        rows["flow_weight"] = valid[:, :, powers[0]].sum(axis=1) * seconds
