"""Which measurement, field and phase a quantity has in InfluxDB.

The names of gauges and of the total counters are those that dashboards rely on; what
they have no name for follows the same pattern. The group tells demand and maximum apart,
so their quantities have the fields of the base quantity.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from transforms.model.quantity import QUANTITIES

__all__ = [
    "DEMAND",
    "ENERGY",
    "EVENT",
    "FRAME",
    "LASTING",
    "LEDGER",
    "PHASES",
    "WINDOW",
    "Place",
    "place_of",
]

FRAME = b"powermonitor_500"
WINDOW = b"pm500_window"
DEMAND = b"pm500_demand"
ENERGY = b"pm500_energy"
LEDGER = b"pm500_ledger"
EVENT = b"pm500_event"

# Kinds of events that are told when they begin, and again once they have an end. All
# others are instants, as the loss of a meter and its return, or over when they are told.
LASTING = frozenset({"alert", "clock_unsynchronized", "frozen_value", "wiring"})

# In the order of the lines of a frame; the total has what belongs to no conductor.
PHASES = ("A", "B", "C", "N", "AB", "BC", "CA", "total")

_FIELDS = {
    "voltage": "voltage",
    "current": "current",
    "realPower": "kW",
    "apparentPower": "kVA",
    "reactivePower": "kVAR",
    "powerFactor": "power_factor",
    "frequency": "frequency",
    "phaseSequence": "phase_sequence",
    "energyImport": "kWh",
    "energyExport": "kWh_export",
    "reactiveEnergyImport": "kVARh",
    "reactiveEnergyExport": "kVARh_export",
    "operatingHours": "operating_hours",
}
# Both averages are of the total: the one that every electrical system has is `voltage`.
_AVERAGES = {"voltageLLAvg": "voltage", "voltageLNAvg": "voltage_ln"}
_PREFIX = re.compile(r"(demand|maximum|partial)(?=[A-Z])")
_PHASE = re.compile(r"(AN|BN|CN|AB|BC|CA|A|B|C|N|Avg)$")


class Place(NamedTuple):
    """A field of the line of a phase."""

    phase: str
    field: str


@lru_cache(maxsize=1024)
def place_of(quantity: str) -> Place:
    """Where a quantity stands; one that the table does not have keeps its name.

    >>> place_of("voltageAN"), place_of("demandRealPower")
    (Place(phase='A', field='voltage'), Place(phase='total', field='kW'))
    >>> place_of("partialEnergyExport").field
    'partial_kWh_export'
    """
    prefix, base = "", quantity
    if quantity in QUANTITIES and (found := _PREFIX.match(quantity)):
        prefix = found[1]
        base = base.removeprefix(prefix)
        base = base[0].lower() + base[1:]
    known = QUANTITIES.get(base)
    if known is None or known.kind == "state":
        return Place("total", quantity)
    stem = base if base in _FIELDS else _PHASE.sub("", base)
    field = _AVERAGES.get(base) or _FIELDS[stem]
    return Place(known.phase, f"partial_{field}" if prefix == "partial" else field)
