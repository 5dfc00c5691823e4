"""A meter's values by column, as its bytes show them and a frame keeps them.

What the simulated memory packs and the reader of blocks unpacks is done here to whole
columns: steps of resolution, whole Wh, pairs of float32. ``test_generated`` holds both
against each other.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from tests.generated.load import Doubles
from transforms.model.profile import Group, Point, Protocol
from transforms.model.quantity import QUANTITIES

__all__ = ["Column", "shown"]

Column = npt.NDArray[np.float32] | npt.NDArray[np.float64] | npt.NDArray[np.bool_]

_STEPS_PER_UNIT = {"V": 10, "A": 100, "Hz": 100}


def shown(
    group: Group,
    protocol: Protocol,
    multiplier: float,
    values: Mapping[str, npt.NDArray[np.generic]],
) -> dict[str, Column]:
    """The readings of a group, in the order and type of its frame.

    ``values`` are the meter's own by quantity, in the table's units; ``multiplier`` is
    the radix of split counters.
    """
    return {
        point.quantity: _column(point, protocol, multiplier, values[point.quantity])
        for point in group.points
    }


def _column(
    point: Point,
    protocol: Protocol,
    multiplier: float,
    values: npt.NDArray[np.generic],
) -> Column:
    at = point.at(protocol)
    assert at is not None
    scale = point.scale_by(protocol)
    numbers = values.astype(np.float64)
    match at.type:
        case "bit":
            return values.astype(np.bool_)
        case "real":
            unit = QUANTITIES[point.quantity].unit
            steps = _STEPS_PER_UNIT.get(unit, 1000)
            raw = _float32(np.rint(numbers * steps) / (steps / scale))
            return (raw / scale).astype(np.float32)
        case "ulint":
            return np.rint(_whole_wh(numbers) * scale / 1000) / scale
        case "real_pair":
            raw = _whole_wh(numbers) * scale / 1000
            high, low = np.divmod(raw, multiplier)
            return (_float32(high) * multiplier + _float32(low)) / scale
        case "hours_minutes_pair" | "ulint_hours_minutes":
            hours, minutes = np.divmod(np.floor(numbers * 60), 60)
            return hours + minutes / 60
        case other:
            raise NotImplementedError(other)


def _whole_wh(kwh: Doubles) -> Doubles:
    return np.floor(kwh * 1000)


def _float32(numbers: Doubles) -> Doubles:
    return numbers.astype(np.float32).astype(np.float64)
