"""The load model by column: many instants at once, the same numbers.

It reads the model's own courses, so that there is one model and two ways to ask it.
Units are those of ``transforms.model.quantity``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from connectors.simulator.load import LoadModel
from connectors.simulator.shape import WEEK_HOURS

__all__ = ["Doubles", "LoadTwin", "Longs"]

Doubles = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]

_HOUR_US = 3_600_000_000
_WEEK_US = WEEK_HOURS * _HOUR_US
_COUNTERS = (
    "energyImport energyExport reactiveEnergyImport reactiveEnergyExport".split()
)


class LoadTwin:
    """``realtime``, ``energy`` and ``status`` of a load model for arrays of times."""

    def __init__(self, model: LoadModel) -> None:
        self._model = model
        self._phases = len(model._powers)
        courses = [*model._powers, *model._reactives, *model._volts, model._hertz]
        self._courses = np.array(courses)
        self._sums = np.array([model._power, model._reactive])
        shape = model._shape
        self._begins = np.array(shape.begins)
        self._slopes = np.array(shape.ends) - self._begins
        self._shape_sums = np.array(shape.sums)
        self._magnitudes = np.array(shape.magnitudes)
        self._runs = np.array(shape.negative, np.float64).reshape(-1, 2)
        power = np.array(model._power)
        self._at_begins = power @ self._within_week(self._runs[:, 0])
        whole = self._at_begins - power @ self._within_week(self._runs[:, 1])
        self._fed_before = np.concatenate(([0.0], np.cumsum(whole)))

    def realtime(self, time_us: Longs) -> dict[str, Doubles]:
        """Voltages, currents, powers, power factors, frequency; each of shape (n,)."""
        *primitives, hertz = self._courses @ self._basis(time_us)
        count = self._phases
        return self._table(
            primitives[:count],
            primitives[count : 2 * count],
            primitives[2 * count :],
            hertz,
        )

    def energy(self, time_us: Longs) -> dict[str, Doubles]:
        """Every counter, in kWh, kvarh or h; each of shape (n,)."""
        model = self._model
        at = np.maximum(time_us, model.installed_us)
        weeks = at // _WEEK_US
        hours = at % _WEEK_US / _HOUR_US
        within = self._within_week(hours)
        net, fed = model._weekly
        power, reactive = self._sums @ within
        exported = weeks * fed + self._exported_in_week(hours, power)
        sums = (
            weeks * net + power + exported,
            exported,
            weeks * model._weekly_reactive + reactive,
            at / _HOUR_US,
        )
        imported, exported, reactive, running = (
            now - then for now, then in zip(sums, model._at_installation, strict=True)
        )
        out = {}
        grown = (imported, exported, reactive, np.zeros(len(at)))
        for name, by in zip(_COUNTERS, grown, strict=True):
            partial = f"partial{name[0].upper()}{name[1:]}"
            out[name] = model._first[name] + by
            out[partial] = model._first[partial] + by
        out["operatingHours"] = model._first["operatingHours"] + running
        return out

    def status(self, time_us: Longs) -> dict[str, npt.NDArray[np.bool_]]:
        """Alarms and outputs; each of shape (n,)."""
        model = self._model
        basis = self._basis(time_us)
        power = self._sums[0] @ basis > model._alarm_kw
        volts = self._courses[2 * self._phases : 3 * self._phases] @ basis
        out = {name: np.zeros(len(time_us), np.bool_) for name in _QUIET}
        low = (volts < model._alarm_volts).any(axis=0)
        return out | {"alarm1": power, "alarm2": low, "output1": power}

    # -- the basis ---------------------------------------------------------------------

    def _basis(self, time_us: Longs) -> Doubles:
        hours = time_us % _WEEK_US / _HOUR_US
        hour = hours.astype(np.int64)
        shape = self._begins[hour] + self._slopes[hour] * (hours - hour)
        rows = [np.ones(len(hours)), shape, np.abs(shape)]
        for omega in self._model._omega:
            rows += [np.sin(omega * hours), np.cos(omega * hours)]
        return np.array(rows)

    def _within_week(self, hours: Doubles) -> Doubles:
        hour = np.minimum(hours.astype(np.int64), WEEK_HOURS - 1)
        rest = hours - hour
        area = rest * (self._begins[hour] + self._slopes[hour] * rest / 2)
        rows = [
            hours,
            self._shape_sums[hour] + area,
            self._magnitudes[hour] + np.abs(area),
        ]
        for omega in self._model._omega:
            rows += [-np.cos(omega * hours) / omega, np.sin(omega * hours) / omega]
        return np.array(rows)

    def _exported_in_week(self, hours: Doubles, power: Doubles) -> Doubles:
        """Energy fed back since the week's start; ``power`` is its integral so far."""
        if not len(self._runs):
            return np.zeros(len(hours))
        run = np.searchsorted(self._runs[:, 0], hours) - 1
        fed = self._fed_before[run + 1]
        inside = (run >= 0) & (hours < self._runs[run, 1])
        open_run = self._fed_before[run] + self._at_begins[run] - power
        return np.where(inside, open_run, fed)

    # -- from the primitives to all quantities -----------------------------------------

    def _table(
        self,
        powers: Sequence[Doubles],
        reactives: Sequence[Doubles],
        volts: Sequence[Doubles],
        hertz: Doubles,
    ) -> dict[str, Doubles]:
        model = self._model
        three_wires = model._system == "3P"
        blank = np.zeros(len(hertz))
        out: dict[str, Doubles] = dict.fromkeys(_EVERY, blank)
        across, along = blank, blank
        for letter, p, q, v, turn in zip(
            "ABC", powers, reactives, volts, model._turns, strict=False
        ):
            size = np.sqrt(p * p + q * q)
            out[f"voltage{letter}N"] = blank if three_wires else v
            out[f"current{letter}"] = 1000 * size / v
            out[f"realPower{letter}"] = p
            out[f"apparentPower{letter}"] = size
            out[f"reactivePower{letter}"] = q
            out[f"powerFactor{letter}"] = p / size
            along = along + (p * turn.real + q * turn.imag) / v
            across = across + (p * turn.imag - q * turn.real) / v
        count = len(powers)
        power, reactive = _total(powers), _total(reactives)
        size = np.sqrt(power * power + reactive * reactive)
        if not three_wires:
            out["voltageLNAvg"] = _total(volts) / count
            out["currentN"] = 1000 * np.sqrt(along * along + across * across)
        lines = self._line_volts(volts)
        for name, line in zip(("AB", "BC", "CA"), lines, strict=False):
            out[f"voltage{name}"] = line
        if lines:
            out["voltageLLAvg"] = _total(lines) / len(lines)
        out["currentAvg"] = _total([out[f"current{s}"] for s in "ABC"]) / count
        return out | {
            "realPower": power,
            "apparentPower": size,
            "reactivePower": reactive,
            "powerFactor": power / size,
            "frequency": hertz,
        }

    def _line_volts(self, volts: Sequence[Doubles]) -> list[Doubles]:
        """The voltages between the phases that there are."""
        pairs = {1: (), 2: ((0, 1),), 3: ((0, 1), (1, 2), (2, 0))}[len(volts)]
        return [
            np.sqrt(
                volts[a] * volts[a]
                + volts[b] * volts[b]
                - 2 * volts[a] * volts[b] * cosine
            )
            for (a, b), cosine in zip(pairs, self._model._cosines, strict=False)
        ]


def _total(parts: Sequence[Doubles]) -> Doubles:
    total: Doubles = np.sum(parts, axis=0)
    return total


_QUIET = ("alarm3", "alarm4", "output2")
_EVERY = [
    *(f"voltage{s}" for s in "AN BN CN LNAvg AB BC CA LLAvg".split()),
    *(f"current{s}" for s in "A B C N Avg".split()),
    *(f"{kind}Power{s}" for kind in ("real", "apparent", "reactive") for s in "ABC"),
    *(f"powerFactor{s}" for s in "ABC"),
    "phaseSequence",
]
