"""Time to three-phase electricity that obeys physics; pure and cheap.

Every primitive (active and reactive power and voltage of each phase, frequency) is a
linear function of a few *basis* courses: a constant, the weekly shape, its magnitude,
and sine and cosine of three ripples whose periods divide the week. The rest follows:
S = sqrt(P^2 + Q^2), I = S / V, line voltages by the law of cosines, the neutral current
as a phasor sum. Basis courses have exact integrals, so energies and demand are closed
forms of time. Units are those of ``transforms.model.quantity``.

The system's S is vectorial, sqrt((sum P)^2 + (sum Q)^2); power factors carry the sign of
P; system voltage and ``currentAvg`` are means, system P and Q sums.
"""

from __future__ import annotations

from math import cos, hypot, pi, radians, sin, sqrt

from connectors.simulator.course import Basis, Course, Dice, course, course_sum
from connectors.simulator.shape import WEEK_HOURS, shape_named
from transforms.model.quantity import QUANTITIES

__all__ = ["INSTALLED_US", "PARTS", "LoadModel", "part_of"]

INSTALLED_US = 1_704_067_200_000_000  # 2024-01-01: counters begin to run
PARTS = ("realtime", "energy", "demand", "maximum", "status")
_HOUR_US = 3_600_000_000
_WEEK_US = WEEK_HOURS * _HOUR_US
_RIPPLE_SECONDS = (7.0, 47.0, 611.0)
_PHASES = {"1P": 1, "2P": 2}
_COUNTERS = (
    "energyImport energyExport reactiveEnergyImport reactiveEnergyExport".split()
)


def _prefixed(prefix: str, name: str) -> str:
    return prefix + name[0].upper() + name[1:]


def part_of(quantity: str) -> str:
    """Which of ``PARTS`` holds the quantity."""
    kind = QUANTITIES[quantity].kind
    if kind != "gauge":
        return "energy" if kind == "counter" else "status"
    for prefix in ("demand", "maximum"):
        if quantity.startswith(prefix):
            return prefix
    return "realtime"


class LoadModel:
    """One meter's electricity as a function of time; the same seed, the same course."""

    def __init__(
        self,
        seed: int,
        *,
        nominal_volts: float = 230.0,
        rated_amps: float = 100.0,
        nominal_hertz: float = 50.0,
        electrical_system: str = "3P.n",
        feeds_back: bool = False,
        demand_minutes: int = 15,
        installed_us: int = INSTALLED_US,
    ) -> None:
        dice = Dice(seed)
        self.installed_us = installed_us
        self.demand_us = demand_minutes * 60_000_000
        self._system = electrical_system
        self._phases = range(_PHASES.get(electrical_system, 3))
        kinds = ("office", "two_shift", "three_shift")
        kind = "solar" if feeds_back else kinds[int(dice.between(0, 3, "shape"))]
        self._shape = shape_named(kind)
        # Whole ripples in a week: then the integral over a week is the shape's alone.
        self._omega = tuple(
            2
            * pi
            * round(WEEK_HOURS * 3600 / (s * dice.between(0.8, 1.2, f"r{s}")))
            / WEEK_HOURS
            for s in _RIPPLE_SECONDS
        )  # radians an hour
        rated = nominal_volts * rated_amps / 1000 * dice.between(0.5, 0.8, "load")
        self._powers: list[Course] = []
        self._reactives: list[Course] = []
        self._volts: list[Course] = []
        for phase in self._phases:
            power = rated * dice.between(0.92, 1.08, f"balance{phase}")
            tangent = dice.between(0.25, 0.7, f"tangent{phase}")
            bias = dice.between(-0.008, 0.008, f"bias{phase}")
            self._powers.append(
                course(dice, f"p{phase}", 0, power, 0, power, (0.015, 0.025, 0.04))
            )
            reactive = power * tangent
            self._reactives.append(
                course(
                    dice,
                    f"q{phase}",
                    0.3 * reactive,
                    0,
                    0.7 * reactive,
                    reactive,
                    (0.01, 0.02, 0.03),
                )
            )
            self._volts.append(
                course(
                    dice,
                    f"v{phase}",
                    nominal_volts * (1 + bias),
                    -0.012 * nominal_volts,
                    0,
                    nominal_volts,
                    (0.001, 0.002, 0.004),
                )
            )
        self._hertz = course(
            dice, "f", nominal_hertz, 0, 0, nominal_hertz, (0.0001, 0.0003, 0.0005)
        )
        self._power = course_sum(self._powers)
        self._reactive = course_sum(self._reactives)
        self._set_angles(dice)
        self._first: dict[str, float] = {}
        self._set_counters(dice, feeds_back=feeds_back)
        self._alarm_kw = 0.9 * self._power.shape
        self._alarm_volts = 0.93 * nominal_volts

    def _set_angles(self, dice: Dice) -> None:
        angles = [
            radians(angle + dice.between(-0.4, 0.4, f"angle{angle}"))
            for angle in (0, -120, 120)
        ]
        self._turns = [complex(cos(angle), sin(angle)) for angle in angles]
        a, b, c = angles
        self._cosines = cos(a - b), cos(b - c), cos(c - a)

    def _set_counters(self, dice: Dice, *, feeds_back: bool) -> None:
        """First readings, and what the weeks and the installation mean to the sums."""
        week = self._course_integral(self._power, float(WEEK_HOURS))
        exported = self._exported_in_week(float(WEEK_HOURS))
        reactive = self._course_integral(self._reactive, float(WEEK_HOURS))
        self._weekly = week - self._course_integral(self._power, 0.0), exported
        self._weekly_reactive = reactive - self._course_integral(self._reactive, 0.0)
        # What is not fed back was counted in test runs; a partial counter began later.
        most = (2e6, 2e6 if feeds_back else 1000.0, 1e6, 1000.0)
        for name, kwh in zip(_COUNTERS, most, strict=True):
            first = dice.between(0.2 * kwh, kwh, name)
            share = dice.between(0.0, 0.9, f"partial {name}")
            self._first |= {name: first, _prefixed("partial", name): share * first}
        self._first["operatingHours"] = dice.between(0.0, 20_000.0, "operatingHours")
        self._at_installation = self._sums(self.installed_us)

    # -- the parts ------------------------------------------------------------------

    def at(
        self, time_us: int, *, maximum_since_us: int | None = None
    ) -> dict[str, float]:
        """Every quantity at this instant."""
        out = self.realtime(time_us)
        out |= self.energy(time_us)
        out |= self.demand(time_us)
        out |= self.maximum(time_us, maximum_since_us)
        out |= self.status(time_us)
        return out

    def realtime(self, time_us: int) -> dict[str, float]:
        """Voltages, currents, powers, power factors, frequency."""
        return self._electricity(self._basis(time_us))

    def energy(self, time_us: int) -> dict[str, float]:
        """Counters: they integrate power from the installation on and never fall."""
        imported, exported, reactive, hours = (
            now - then
            for now, then in zip(
                self._sums(max(time_us, self.installed_us)),
                self._at_installation,
                strict=True,
            )
        )
        grown = dict(zip(_COUNTERS, (imported, exported, reactive, 0.0), strict=True))
        grown |= {_prefixed("partial", name): by for name, by in grown.items()}
        grown["operatingHours"] = hours
        return {name: self._first[name] + by for name, by in grown.items()}

    def demand(self, time_us: int) -> dict[str, float]:
        """Means over the last whole interval, aligned to the clock.

        P, Q, V and frequency are exact means; S, I and power factor follow from them.
        """
        end = time_us // self.demand_us * self.demand_us
        hours = self.demand_us / _HOUR_US
        first = self._integral_basis(end - self.demand_us)
        last = self._integral_basis(end)
        mean = tuple((b - a) / hours for a, b in zip(first, last, strict=True))
        electricity = self._electricity(mean)  # type: ignore[arg-type] # nine of them
        return {_prefixed("demand", name): v for name, v in electricity.items()}

    def maximum(self, time_us: int, since_us: int | None = None) -> dict[str, float]:
        """The least values that no reading since ``since_us`` can exceed; they only grow.

        They are bounds of the model (each ripple at its crest), not samples.
        """
        since = self.installed_us if since_us is None else since_us
        start = since // _WEEK_US * _WEEK_US
        seen = self._shape.extremes(
            (since - start) / _HOUR_US, (max(time_us, since) - start) / _HOUR_US
        )
        powers, reactives, volts, amps, factors = [], [], [], [], []
        for p, q, v in zip(self._powers, self._reactives, self._volts, strict=True):
            high = p.shape * seen.high + p.ripple
            size = max(abs(high), abs(p.shape * seen.low - p.ripple))
            least = q.constant + q.magnitude * seen.magnitude_low - q.ripple
            most = q.constant + q.magnitude * seen.magnitude_high + q.ripple
            powers.append(high)
            reactives.append(most)
            volts.append(v.constant + v.shape * seen.low + v.ripple)
            low_volts = v.constant + v.shape * seen.high - v.ripple
            amps.append(1000 * hypot(size, most) / low_volts)
            factors.append(high / hypot(high, least))
        hertz = self._hertz.constant + self._hertz.ripple
        bounds = self._table(powers, reactives, volts, hertz)
        for letter, current, factor in zip("ABC", amps, factors, strict=False):
            bounds[f"current{letter}"] = current
            bounds[f"powerFactor{letter}"] = factor
        bounds["powerFactor"] = max(factors)
        bounds["currentAvg"] = bounds["currentN"] = max(amps)
        return {_prefixed("maximum", name): value for name, value in bounds.items()}

    def status(self, time_us: int) -> dict[str, float]:
        """Alarm 1: much power; alarm 2: low voltage; output 1 follows alarm 1."""
        basis = self._basis(time_us)
        power = self._power.of(basis) > self._alarm_kw
        low = any(volts.of(basis) < self._alarm_volts for volts in self._volts)
        out = dict.fromkeys(("alarm3", "alarm4", "output2"), 0.0)
        return out | {"alarm1": power, "alarm2": low, "output1": power}

    # -- the basis ------------------------------------------------------------------

    def _basis(self, time_us: int) -> Basis:
        hours = time_us % _WEEK_US / _HOUR_US
        shape = self._shape.value(hours)
        w1, w2, w3 = self._omega
        a, b, c = w1 * hours, w2 * hours, w3 * hours
        return 1.0, shape, abs(shape), sin(a), cos(a), sin(b), cos(b), sin(c), cos(c)

    def _integral_basis(self, time_us: int) -> Basis:
        """Integrals of the basis in hours, up to a constant that cancels."""
        weeks, rest = divmod(time_us, _WEEK_US)
        inner = self._within_week(rest / _HOUR_US)
        sums, sizes = self._shape.sums[-1], self._shape.magnitudes[-1]
        return (
            inner[0] + weeks * WEEK_HOURS,
            inner[1] + weeks * sums,
            inner[2] + weeks * sizes,
            *inner[3:],
        )

    def _within_week(self, hours: float) -> Basis:
        shape, magnitude = self._shape.integral(hours)
        w1, w2, w3 = self._omega
        a, b, c = w1 * hours, w2 * hours, w3 * hours
        return (
            hours,
            shape,
            magnitude,
            -cos(a) / w1,
            sin(a) / w1,
            -cos(b) / w2,
            sin(b) / w2,
            -cos(c) / w3,
            sin(c) / w3,
        )

    def _course_integral(self, of: Course, hours: float) -> float:
        return of.of(self._within_week(hours))

    def _exported_in_week(self, hours: float) -> float:
        """Energy fed back from the week's start to ``hours``, in kWh, positive."""
        fed = 0.0
        for begin, end in self._shape.negative:
            if hours <= begin:
                break
            fed -= self._course_integral(self._power, min(hours, float(end)))
            fed += self._course_integral(self._power, float(begin))
        return fed

    def _sums(self, time_us: int) -> tuple[float, float, float, float]:
        """Imported, exported, reactive energy and hours, up to constants."""
        weeks, rest = divmod(time_us, _WEEK_US)
        hours = rest / _HOUR_US
        within = self._within_week(hours)
        net, fed = self._weekly
        exported = weeks * fed + self._exported_in_week(hours)
        imported = weeks * net + self._power.of(within) + exported
        reactive = weeks * self._weekly_reactive + self._reactive.of(within)
        return imported, exported, reactive, time_us / _HOUR_US

    # -- from the primitives to all quantities ---------------------------------------

    def _electricity(self, basis: Basis) -> dict[str, float]:
        return self._table(
            [p.of(basis) for p in self._powers],
            [q.of(basis) for q in self._reactives],
            [v.of(basis) for v in self._volts],
            self._hertz.of(basis),
        )

    def _table(
        self,
        powers: list[float],
        reactives: list[float],
        volts: list[float],
        hertz: float,
    ) -> dict[str, float]:
        sizes = [hypot(p, q) for p, q in zip(powers, reactives, strict=True)]
        amps = [1000 * s / v for s, v in zip(sizes, volts, strict=True)]
        neutral = 0j
        for p, q, v, turn in zip(powers, reactives, volts, self._turns, strict=False):
            neutral += complex(p, -q) * turn / v
        count = len(powers)
        mean_volts, mean_amps = sum(volts) / count, sum(amps) / count
        power, reactive = sum(powers), sum(reactives)
        size = hypot(power, reactive)
        factors = [p / s for p, s in zip(powers, sizes, strict=True)]
        if count < 3:
            blank = [0.0] * (3 - count)
            powers, reactives, volts = powers + blank, reactives + blank, volts + blank
            sizes, amps, factors = sizes + blank, amps + blank, factors + blank
        a, b, c = volts
        ab, bc, ca = self._line_volts(a, b, c)
        lines = max(1, (ab > 0) + (bc > 0) + (ca > 0))
        if self._system == "3P":  # three wires: there is no neutral to measure against
            a = b = c = mean_volts = 0.0
        return {
            "voltageAN": a,
            "voltageBN": b,
            "voltageCN": c,
            "voltageLNAvg": mean_volts,
            "voltageAB": ab,
            "voltageBC": bc,
            "voltageCA": ca,
            "voltageLLAvg": (ab + bc + ca) / lines,
            "currentA": amps[0],
            "currentB": amps[1],
            "currentC": amps[2],
            "currentN": 0.0 if self._system == "3P" else 1000 * abs(neutral),
            "currentAvg": mean_amps,
            "realPowerA": powers[0],
            "realPowerB": powers[1],
            "realPowerC": powers[2],
            "realPower": power,
            "apparentPowerA": sizes[0],
            "apparentPowerB": sizes[1],
            "apparentPowerC": sizes[2],
            "apparentPower": size,
            "reactivePowerA": reactives[0],
            "reactivePowerB": reactives[1],
            "reactivePowerC": reactives[2],
            "reactivePower": reactive,
            "powerFactorA": factors[0],
            "powerFactorB": factors[1],
            "powerFactorC": factors[2],
            "powerFactor": power / size,
            "frequency": hertz,
            "phaseSequence": 0.0,
        }

    def _line_volts(self, a: float, b: float, c: float) -> tuple[float, float, float]:
        ab, bc, ca = self._cosines
        if c:
            return (
                sqrt(a * a + b * b - 2 * a * b * ab),
                sqrt(b * b + c * c - 2 * b * c * bc),
                sqrt(c * c + a * a - 2 * c * a * ca),
            )
        return (sqrt(a * a + b * b - 2 * a * b * ab) if b else 0.0), 0.0, 0.0
