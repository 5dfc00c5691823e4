"""THE table of quantities: name, unit, kind, range. Units are defined nowhere else.

Sign convention: power and current taken from the grid (import) are positive, fed back
(export) negative; reactive power is positive for inductive load. Counters only grow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["QUANTITIES", "Kind", "Quantity"]

Kind = Literal["gauge", "counter", "state"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """One measurable thing. ``low`` and ``high`` bound a credible value, in ``unit``."""

    name: str
    unit: str
    kind: Kind
    low: float
    high: float

    @property
    def avro_type(self) -> Literal["float", "double", "boolean"]:
        """How its value stands in a frame."""
        if self.kind == "state":
            return "boolean"
        return "double" if self.kind == "counter" else "float"

    @property
    def phase(self) -> str:
        """``A B C N AB BC CA`` or ``total``: which conductor it speaks of."""
        for phase in ("AN", "BN", "CN", "AB", "BC", "CA", "A", "B", "C", "N"):
            if self.kind == "gauge" and self.name.endswith(phase):
                return phase[0] if phase in ("AN", "BN", "CN") else phase
        return "total"


def _gauges() -> dict[str, tuple[str, float, float]]:
    volts = "AN BN CN LNAvg AB BC CA LLAvg"
    table = {f"voltage{s}": ("V", 0.0, 1e6) for s in volts.split()}
    table |= {f"current{s}": ("A", -1e6, 1e6) for s in "A B C N Avg".split()}
    for phase in ("A", "B", "C", ""):
        table[f"realPower{phase}"] = ("kW", -1e6, 1e6)
        table[f"apparentPower{phase}"] = ("kVA", 0.0, 1e6)
        table[f"reactivePower{phase}"] = ("kvar", -1e6, 1e6)
        table[f"powerFactor{phase}"] = ("", -1.001, 1.001)
    table["frequency"] = ("Hz", 0.0, 500.0)
    table["phaseSequence"] = ("", -10.0, 10.0)
    return table


def _build() -> dict[str, Quantity]:
    out: dict[str, Quantity] = {}

    def add(name: str, unit: str, kind: Kind, low: float, high: float) -> None:
        out[name] = Quantity(name=name, unit=unit, kind=kind, low=low, high=high)

    for name, (unit, low, high) in _gauges().items():
        add(name, unit, "gauge", low, high)
    for prefix in ("demand", "maximum"):
        for name, (unit, low, high) in _gauges().items():
            add(prefix + name[0].upper() + name[1:], unit, "gauge", low, high)
    # 9+1 digits (1420-UM001D p. 66); the sign of the export counters is unknown.
    for name, unit in (
        ("energyImport", "kWh"),
        ("energyExport", "kWh"),
        ("reactiveEnergyImport", "kvarh"),
        ("reactiveEnergyExport", "kvarh"),
    ):
        add(name, unit, "counter", -1e10, 1e10)
        partial = "partial" + name[0].upper() + name[1:]
        add(partial, unit, "counter", -1e10, 1e10)
    add("operatingHours", "h", "counter", 0.0, 1e8)
    for number in (1, 2, 3, 4):
        add(f"alarm{number}", "", "state", 0.0, 1.0)
    for number in (1, 2):
        add(f"output{number}", "", "state", 0.0, 1.0)
    return out


QUANTITIES = _build()
