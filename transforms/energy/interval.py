"""One interval of one counter: what was booked into it, and its record. Pure."""

from __future__ import annotations

import math
from typing import NamedTuple

from transforms.codec.derived import Energy, energy_id
from transforms.energy.counter import CounterRules, step_wh
from transforms.energy.load import PowerMinute, measured
from transforms.energy.reconcile import BudgetRules, verdict
from transforms.model.quality import Quality

__all__ = ["Interval", "energy_of", "with_energy", "with_power"]


class Interval(NamedTuple):
    """``[start_us, end_us)`` as it is known by now; energy in Wh or varh.

    ``cut_wh`` and ``power_cut_wh`` are how far cuts between two readings, and cuts of a
    minute of power, may be wrong; ``lost`` are the stretches whose energy is not wholly
    known. ``whole`` is false for the first, which begins with the first reading.
    ``first_kw`` and ``final_kw`` are the peaks nearest to its ends. ``revision`` and
    ``told_wh`` are those of the last record, -1 and 0 before any; ``due``: it has to be
    told again, ``late``: once its power is known.
    """

    start_us: int
    end_us: int
    energy_wh: int = 0
    before_wh: int | None = None
    after_wh: int | None = None
    whole: bool = True
    reasons: tuple[str, ...] = ()
    substituted_wh: int = 0
    cut_wh: int = 0
    lost: tuple[tuple[int, int], ...] = ()
    power_wh: float = 0.0
    power_cut_wh: float = 0.0
    covered_us: int = 0
    peak_kw: float = 0.0
    first_kw: float = 0.0
    final_kw: float = 0.0
    revision: int = -1
    told_wh: int = 0
    due: bool = False
    late: bool = False

    @property
    def told(self) -> bool:
        """Whether a record of it went out."""
        return self.revision >= 0

    @property
    def lost_us(self) -> int:
        """Time whose energy is not wholly known."""
        return sum(end_us - start_us for start_us, end_us in self.lost)


def with_energy(
    interval: Interval, before_wh: int, after_wh: int, delta_wh: int
) -> Interval:
    """The interval, not told yet, with what was counted between two readings in it."""
    first_wh = interval.before_wh
    return Interval(
        interval.start_us,
        interval.end_us,
        interval.energy_wh + delta_wh,
        before_wh if first_wh is None else first_wh,
        after_wh,
        *interval[5:],
    )


def with_power(interval: Interval, minute: PowerMinute) -> Interval:
    """The interval with what a minute knows of it."""
    energy_wh, covered_us = measured([minute], interval.start_us, interval.end_us)
    if covered_us <= 0:
        return interval
    other_wh = minute.energy_wh - energy_wh
    peak_kw = minute.peak_kw if math.isfinite(minute.peak_kw) else 0.0
    return interval._replace(
        power_wh=interval.power_wh + energy_wh,
        power_cut_wh=interval.power_cut_wh + max(0.0, min(energy_wh, other_wh)),
        covered_us=interval.covered_us + covered_us,
        peak_kw=max(interval.peak_kw, peak_kw),
        first_kw=interval.first_kw if interval.covered_us else peak_kw,
        final_kw=peak_kw,
        late=interval.told,
    )


def energy_of(
    asset: str,
    counter: CounterRules,
    budget: BudgetRules,
    interval: Interval,
    *,
    ended: bool,
    nominal_us: int = 0,
) -> Energy:
    """The record. ``ended`` is false where its end was not reached yet.

    ``nominal_us`` is the length of the site's intervals: records of another length have
    ids of their own.

    Quality: ``bad_counter`` where a fault hides all of its energy, else
    ``uncertain_incomplete`` where some is not known or an end is missing, else
    ``uncertain_substituted`` where a part was distributed, else good.
    """
    length_us = interval.end_us - interval.start_us
    agreement = verdict(
        budget,
        energy_wh=interval.energy_wh,
        integral_wh=interval.power_wh,
        length_us=length_us,
        covered_us=interval.covered_us,
        lost=bool(interval.lost) or not ended,
        step_wh=step_wh(counter, interval.after_wh or 0),
        cut_wh=interval.cut_wh + interval.power_cut_wh,
        peak_kw=interval.peak_kw,
        ends_kw=(interval.first_kw, interval.final_kw),
    )
    reasons = [*interval.reasons]
    if not interval.whole:
        reasons.insert(0, "starts_late")
    if not ended:
        reasons.append("ends_early")
    if agreement.why:
        reasons.append(agreement.why)
    if interval.lost_us >= length_us and not interval.energy_wh:
        quality = Quality.BAD_COUNTER
    elif interval.lost or not interval.whole or not ended:
        quality = Quality.UNCERTAIN_INCOMPLETE
    elif interval.substituted_wh:
        quality = Quality.UNCERTAIN_SUBSTITUTED
    else:
        quality = Quality.GOOD
    return Energy(
        asset=asset,
        quantity=counter.quantity,
        start=interval.start_us,
        end=interval.end_us,
        energy=interval.energy_wh / 1000,
        counterStart=_kilo(interval.before_wh),
        counterEnd=_kilo(interval.after_wh),
        substituted=interval.substituted_wh / 1000,
        integral=interval.power_wh / 1000 if interval.covered_us else None,
        budget=_kilo(agreement.budget_wh),
        verdict=agreement.verdict,
        reason=",".join(reasons) or None,
        quality=int(quality),
        revision=interval.revision + 1,
        id=energy_id(asset, counter.quantity, nominal_us, interval.start_us),
    )


def _kilo(wh: float | None) -> float | None:
    return None if wh is None else wh / 1000
