"""What a counter shows after resets, swaps, rollovers and CT changes; pure.

The load model says what energy went through the wires; a counter counts it from a
beginning, times a factor, within a number of digits.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from connectors.simulator.faults import Fault

__all__ = ["Counter", "counter_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    """From ``start_us`` on: ``base + factor * (energy - reference)``, then wrapped."""

    start_us: int
    base: float
    reference: float
    factor: float
    modulus: float | None = None
    shift: float = 0.0

    def value(self, energy: float) -> float:
        shown = self.base + self.factor * (energy - self.reference)
        if self.modulus is None:
            return shown
        return (shown - self.shift) % self.modulus


class Counter:
    """One counter's reading as a function of time and of the energy so far."""

    __slots__ = ("_pieces", "_starts")

    def __init__(self, pieces: list[_Piece]) -> None:
        self._pieces = pieces
        self._starts = [piece.start_us for piece in pieces]

    def value(self, time_us: int, energy: float) -> float:
        """The reading in kWh (kvarh, h) while the model's own counter says ``energy``."""
        at = max(0, bisect_right(self._starts, time_us) - 1)
        return self._pieces[at].value(energy)


def counter_of(
    quantity: str, energy: Callable[[int], float], faults: Iterable[Fault]
) -> Counter | None:
    """The counter that these state faults make; None where they leave it alone.

    ``energy(time_us)`` is the model's own counter. A rollover shifts the readings back
    to the last beginning, so that exactly at its start the counter passes its modulus.
    """
    pieces = [_Piece(start_us=-(2**62), base=0.0, reference=0.0, factor=1.0)]
    began = 0
    for fault in sorted(faults, key=lambda fault: fault.start_us):
        at = fault.start_us
        if not _concerns(fault, quantity):
            continue
        last = pieces[-1]
        now = energy(at)
        match fault.kind:
            case "counter_reset" | "meter_swap":
                began = len(pieces)
                pieces.append(
                    _Piece(
                        start_us=at,
                        base=fault.counter_kwh,
                        reference=now,
                        factor=last.factor,
                    )
                )
            case "ct_ratio_change":
                raw = last.base + last.factor * (now - last.reference)
                factor = last.factor * fault.factor
                pieces.append(
                    replace(last, start_us=at, base=raw, reference=now, factor=factor)
                )
            case _:
                shift = last.base + last.factor * (now - last.reference)
                pieces[began:] = [
                    replace(piece, modulus=fault.modulus_kwh, shift=shift)
                    for piece in pieces[began:]
                ]
    touched = len(pieces) > 1 or pieces[0].modulus is not None
    return Counter(pieces) if touched else None


def _concerns(fault: Fault, quantity: str) -> bool:
    if fault.kind == "counter_rollover":
        return quantity == (fault.quantity or "energyImport")
    if fault.kind == "counter_reset":
        named = fault.quantity
        return quantity == named or (named is None and quantity != "operatingHours")
    if fault.kind == "ct_ratio_change":
        return quantity != "operatingHours"
    return fault.kind == "meter_swap"
