"""Is this the member order that the profile says? Checks on one set of readings.

Physics of a live three-phase meter: V_LL against √3 · V_LN, the
sum of the phases against the total, mains frequency, |PF| ≤ 1, P against |PF| · S, S
against V · I. Without load the powers show nothing: ``loaded`` says whether there is one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

__all__ = ["energy_radix", "implausible", "loaded"]

_RADICES = (1e3, 1e4, 1e5, 1e6, 1e7, 1e9)


def implausible(readings: Mapping[str, float], system: str | None) -> list[str]:
    """Every relation that does not hold, in words; readings that are absent pass."""
    out: list[str] = []
    known = {k: v for k, v in readings.items() if math.isfinite(v)}

    def value(name: str) -> float | None:
        return known.get(name)

    line_neutral, line_line = value("voltageLNAvg"), value("voltageLLAvg")
    if line_neutral and line_line and system in (None, "3P.n", "3P.1"):
        ratio = line_line / line_neutral
        if abs(ratio / math.sqrt(3) - 1) > 0.05:
            out.append(f"V L-L / V L-N is {ratio:.3f}, not about 1.732")
    frequency = value("frequency")
    if frequency is not None and not 45 < frequency < 65:
        out.append(f"frequency is {frequency:g} Hz")
    for name in ("A", "B", "C", ""):
        factor = value(f"powerFactor{name}")
        if factor is not None and abs(factor) > 1:
            out.append(f"powerFactor{name} is {factor:g}")
    for power in ("realPower", "reactivePower", "apparentPower"):
        phases = [value(f"{power}{phase}") for phase in ("A", "B", "C")]
        total = value(power)
        whole = [p for p in phases if p is not None]
        if total is None or len(whole) < 3:
            continue
        size = max(sum(map(abs, whole)), value("apparentPower") or 0.0)
        # The apparent power of an unbalanced load may be less than its phases' sum.
        slack = 0.3 if power == "apparentPower" else 0.02
        if abs(sum(whole) - total) > slack * size + 0.05:
            out.append(f"{power} is {total:g}, its phases sum to {sum(whole):g}")
    for phase in ("A", "B", "C", ""):
        factor, real = value(f"powerFactor{phase}"), value(f"realPower{phase}")
        apparent = value(f"apparentPower{phase}")
        if factor is None or real is None or apparent is None:
            continue
        if abs(abs(factor) * apparent - abs(real)) > 0.05 * apparent + 0.1:
            out.append(
                f"realPower{phase} is {real:g}, |PF| x S is {abs(factor) * apparent:g}"
            )
    for phase in ("A", "B", "C"):
        volts, amps = value(f"voltage{phase}N"), value(f"current{phase}")
        apparent = value(f"apparentPower{phase}")
        if volts is None or amps is None or apparent is None:
            continue
        expected = volts * abs(amps) / 1000
        if abs(expected - apparent) > 0.05 * max(expected, apparent) + 0.1:
            out.append(f"apparentPower{phase} is {apparent:g}, V x I is {expected:g}")
    return out


def loaded(readings: Mapping[str, float]) -> bool:
    """Whether currents and powers are large enough to tell them from each other."""
    return any(readings.get(f"apparentPower{phase}", 0.0) > 0.5 for phase in "ABC") or (
        "apparentPower" not in readings and abs(readings.get("realPower", 0.0)) > 0.5
    )


def energy_radix(
    pairs: Mapping[str, tuple[float, float]], exact: Mapping[str, float]
) -> float | None:
    """The radix with which all (high, low) pairs give the exact counters, in kWh.

    None where no radix of ten fits, or where every high part is zero: then a check
    shows nothing, and has to be made again when a counter has grown.
    """
    fitting = [
        radix for radix in _RADICES if all(_fits(pairs, exact, radix, n) for n in pairs)
    ]
    if not fitting or not any(high for high, _ in pairs.values()):
        return None
    return fitting[0] if len(fitting) == 1 else None


def _fits(
    pairs: Mapping[str, tuple[float, float]],
    exact: Mapping[str, float],
    radix: float,
    name: str,
) -> bool:
    high, low = pairs[name]
    if name not in exact:
        return True
    value = high * radix + low
    # Float32 steps of the low part, and what the counter may have moved meanwhile.
    allowed = max(abs(low), 1.0) * 2**-22 + 1.0 + abs(exact[name]) * 1e-6
    return low < radix and abs(value - exact[name]) <= allowed
