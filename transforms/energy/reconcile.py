"""Whether a counter and the measured power tell the same energy, and how exactly. Pure.

The two may differ by a budget, the sum of what each of these can do at most:

- resolution: the counter's step at either end; that of float32 where it comes so
- jitter: a poll reads the counter somewhat early or late, at the power of that moment
- cut: where a bound parts two readings, or a minute of power, the smaller part
- gaps: time without a measured power, at the peak of what was measured
- accuracy: of power sampled by polls, as a part of the energy

All are kWh or kvarh like the energy they belong to, here in Wh or varh.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

__all__ = ["Agreement", "BudgetRules", "Verdict", "budget_wh", "verdict"]

_HOUR_US = 3_600_000_000

Verdict = Literal["agrees", "differs", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetRules:
    """What a site allows: seconds that a poll may be off, and the accuracy of power."""

    jitter_seconds: float = 1.0
    accuracy: float = 0.005


class Agreement(NamedTuple):
    """A verdict, the budget that it rests on, and why it is unknown, if it is."""

    verdict: Verdict
    budget_wh: float | None = None
    why: str | None = None


def budget_wh(
    rules: BudgetRules,
    *,
    energy_wh: int,
    integral_wh: float,
    step_wh: int,
    cut_wh: float,
    uncovered_us: int,
    peak_kw: float,
    ends_kw: tuple[float, float],
) -> float:
    """How much a counter and the integral of power may differ over an interval, in Wh.

    ``ends_kw`` is the peak power near the start and near the end of it.
    """
    resolution = 2.0 * step_wh
    jitter = rules.jitter_seconds / 3600 * sum(ends_kw) * 1000
    gaps = uncovered_us / _HOUR_US * peak_kw * 1000
    accuracy = rules.accuracy * max(energy_wh, integral_wh)
    return resolution + jitter + cut_wh + gaps + accuracy


def verdict(
    rules: BudgetRules,
    *,
    energy_wh: int,
    integral_wh: float,
    length_us: int,
    covered_us: int,
    lost: bool,
    step_wh: int,
    cut_wh: float,
    peak_kw: float,
    ends_kw: tuple[float, float],
) -> Agreement:
    """Compare; unknown where less than half was measured or the counter lost some.

    ``covered_us`` of ``length_us`` have a measured power; ``lost``: the counter does
    not know all energy, and whoever says so knows why.
    """
    if not covered_us:
        return Agreement("unknown", None, "no_power")
    budget = budget_wh(
        rules,
        energy_wh=energy_wh,
        integral_wh=integral_wh,
        step_wh=step_wh,
        cut_wh=cut_wh,
        uncovered_us=max(0, length_us - covered_us),
        peak_kw=peak_kw,
        ends_kw=ends_kw,
    )
    if lost:
        return Agreement("unknown", budget)
    if 2 * covered_us < length_us:
        return Agreement("unknown", budget, "power_gaps")
    agrees = abs(energy_wh - integral_wh) <= budget
    return Agreement("agrees" if agrees else "differs", budget)
