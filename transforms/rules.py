"""Rules that one frame can answer for by itself: range, number, physics, system.

A rule downgrades a reading's quality with its reason and never changes a value; a
reading that has no number any more stands as NaN.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from transforms.model.quality import Quality
from transforms.model.quantity import QUANTITIES

__all__ = ["SYSTEMS", "PowerTriangles", "classify", "not_in_system"]

# 1420-UM001E p. 57; the meaning of a member in each system is inferred (medium).
SYSTEMS = ("1P", "2P", "3P", "3P.2", "3P.1", "3P.n")

OVERLOAD = 1e9

# Beyond the meter's accuracy: class 1 for each of P, Q, S, and a tick of resolution.
_RELATIVE = 0.02
_ABSOLUTE_KVA = 0.05


def classify(name: str, raw: float, value: float) -> Quality:
    """The quality of one number by itself.

    ``raw`` is the number on the wire: 1420-UM001D p. 66 shows EEEE on overload, the
    number that stands for it is unknown, so anything over 1e9 counts as one.
    """
    if not math.isfinite(value):
        return Quality.BAD_NOT_A_NUMBER
    quantity = QUANTITIES[name]
    if quantity.kind == "gauge" and abs(raw) > OVERLOAD:
        return Quality.BAD_OVERLOAD
    if not quantity.low <= value <= quantity.high:
        return Quality.BAD_OUT_OF_RANGE
    return Quality.GOOD


def not_in_system(name: str, system: str | None) -> bool:
    """Whether a reading means nothing in this electrical system.

    >>> not_in_system("voltageBN", "1P"), not_in_system("voltageBN", "3P.n")
    (True, False)
    """
    if system is None or QUANTITIES[name].kind != "gauge":
        return False
    base = name
    for prefix in ("demand", "maximum"):
        if name.startswith(prefix):
            base = name[len(prefix)].lower() + name[len(prefix) + 1 :]
    line_to_line = base in ("voltageAB", "voltageBC", "voltageCA", "voltageLLAvg")
    line_to_neutral = base.startswith("voltage") and not line_to_line
    phase = QUANTITIES[name].phase
    match system:
        case "1P":
            return phase in ("B", "C", "AB", "BC", "CA") or line_to_line
        case "2P":
            return phase in ("C", "BC", "CA")
        case "3P":
            return line_to_neutral or base == "currentN"
        case _:
            return False


class PowerTriangles:
    """S² ≥ P² + Q² for each phase and the system, beyond the meter's accuracy."""

    def __init__(self, names: Sequence[str]) -> None:
        place = {name: index for index, name in enumerate(names)}
        triples = (
            (f"realPower{p}", f"reactivePower{p}", f"apparentPower{p}")
            for p in ("A", "B", "C", "")
        )
        self._triples = tuple(
            (place[p], place[q], place[s])
            for p, q, s in triples
            if p in place and q in place and s in place
        )

    def broken(self, values: Sequence[float]) -> list[int]:
        """Places of the readings in a triangle that cannot be; NaN never breaks one."""
        out: list[int] = []
        for p, q, s in self._triples:
            real, reactive = values[p], values[q]
            most = values[s] * (1 + _RELATIVE) + _ABSOLUTE_KVA
            if real * real + reactive * reactive > most * most:
                out += (p, q, s)
        return out
