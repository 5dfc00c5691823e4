"""What is known of a stretch of time of one lane: one row, and how two become one.

A *lane* is one group of one asset. A row stands for a cell or a window; merging is
commutative, so a frame that comes late is merged as a row of its own. All arrays are
numpy records of ``rows_type``, one a lane or window; nothing loops over readings.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from transforms.model.quality import Quality

__all__ = [
    "FLOWS",
    "Rows",
    "codes_of",
    "means",
    "merge",
    "move",
    "no_rows",
    "rows_type",
    "worsen",
]

Rows = npt.NDArray[np.void]

# What the counters of a meter count: power by its direction.
FLOWS = (
    "energyImport",
    "energyExport",
    "reactiveEnergyImport",
    "reactiveEnergyExport",
)


@cache
def rows_type(readings: int) -> np.dtype[np.void]:
    """The fields of a row.

    ``start`` and ``end`` in microseconds; ``due_before`` are slots that an earlier lane
    (another period) had due in it; ``good`` frames were answered whole, ``seen`` came.
    Per reading: ``area`` is the sum of value x seconds and ``rest`` what rounding took
    from it, ``weight`` the seconds with a value, ``goods`` the number of good values;
    ``low``, ``high``, ``last`` and when that was; ``code`` the worst quality with a
    value, ``bad`` the worst without. ``flows`` are kWh and kvarh by direction,
    ``flow_weight`` the seconds of it.
    """
    per_reading = {
        "area": "f8", "rest": "f8", "weight": "f8", "goods": "i4", "low": "f8",
        "high": "f8", "last": "f8", "last_us": "i8", "code": "u1", "bad": "u1",
    }  # fmt: skip
    fields: list[Any] = [
        (n, "i8") for n in ("start", "end", "due_before", "good", "seen")
    ]
    fields += [(name, kind, (readings,)) for name, kind in per_reading.items()]
    fields += [("flows", "f8", (len(FLOWS),)), ("flow_weight", "f8")]
    return np.dtype(fields)


def no_rows(count: int, readings: int) -> Rows:
    """Rows of which nothing is known; their ``start`` is -1."""
    rows = np.zeros(count, rows_type(readings))
    rows["start"] = -1
    for name in ("low", "high", "last"):
        rows[name] = np.nan
    rows["last_us"] = -1
    return rows


def merge(into: Rows, rows: Rows) -> None:
    """Take ``rows`` in, each in its own; bounds and ``due_before`` stay as they are."""
    for name in ("good", "seen", "weight", "goods", "flows", "flow_weight"):
        into[name] += rows[name]
    into["rest"] += rows["rest"]
    _add_exactly(into, rows["area"])
    np.fmin(into["low"], rows["low"], out=into["low"])
    np.fmax(into["high"], rows["high"], out=into["high"])
    later = rows["last_us"] > into["last_us"]
    if later.all():
        into["last"], into["last_us"] = rows["last"], rows["last_us"]
    else:
        into["last"] = np.where(later, rows["last"], into["last"])
        into["last_us"] = np.where(later, rows["last_us"], into["last_us"])
    np.maximum(into["code"], rows["code"], out=into["code"])
    np.maximum(into["bad"], rows["bad"], out=into["bad"])


def _add_exactly(into: Rows, area: npt.NDArray[np.float64]) -> None:
    """Add without losing what rounding takes, so that the order makes no difference.

    Knuth, The Art of Computer Programming 2, 4.2.2, theorem B (TwoSum).
    """
    before = into["area"].copy()
    total = before + area
    added = total - before
    into["rest"] += (before - (total - added)) + (area - added)
    into["area"] = total


def worsen(rows: Rows, where: npt.NDArray[np.bool_], quality: Quality) -> None:
    """Downgrade values there, (n, 1) or (n, readings); what has no value stays."""
    code = np.where(where & (rows["weight"] > 0), quality, 0)
    np.maximum(rows["code"], code, out=rows["code"], casting="unsafe")


def means(rows: Rows, columns: Any = slice(None)) -> npt.NDArray[np.float64]:
    """Time-weighted means of some readings, NaN where there is no value."""
    weight = rows["weight"][:, columns]
    area = rows["area"][:, columns] + rows["rest"][:, columns]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(weight > 0, area / weight, np.nan)


def move(rows: Rows, whole: Rows, due: npt.NDArray[np.int64], period_us: int) -> None:
    """Rows go on with another period: what was due by this one, and whether it came.

    ``whole`` are the same with what their finer windows have not brought up yet.
    """
    code = np.where(whole["weight"] > 0, codes_of(whole, due, period_us), 0)
    rows["code"] = np.maximum(rows["code"], code)
    rows["due_before"] = due


def codes_of(
    rows: Rows, due: npt.NDArray[np.int64], period_us: int
) -> npt.NDArray[np.uint8]:
    """The quality of each reading of each row, the shape (n, readings).

    The worst of what it is made of: without any value the reason of that; else the
    worst code of a value, and incomplete, which is worse than other uncertain ones,
    where a due slot had no value. One bad input more never makes it better.
    """
    nothing = rows["weight"] <= 0
    lacking = ~nothing & (rows["goods"] < due[:, np.newaxis])
    # Of what was due by another period it was said then.
    lacking &= (rows["due_before"] < due)[:, np.newaxis]
    code = rows["code"].copy()
    if lacking.any():
        # Uncertain values are no hole: a slot lacks only where no value stands for it.
        valued = np.rint(rows["weight"] * (1e6 / period_us))
        # Slots of another period count where they are good: its seconds are not known.
        mixed = rows["due_before"] > 0
        valued[mixed] = rows["goods"][mixed]
        lacking &= valued < due[:, np.newaxis]
        code[lacking] = np.maximum(code[lacking], Quality.UNCERTAIN_INCOMPLETE)
    if nothing.any():
        why = np.maximum(rows["bad"], Quality.BAD_NO_VALUE)
        code[nothing] = why[nothing]
    return code
