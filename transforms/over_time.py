"""Quality that only time can show: a frozen value, a wrong wiring, a wrong clock.

A rule downgrades the quality of what is derived, with its reason, and tells an event;
it never changes a value. The rules look at closed cells in the order of time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from transforms.codec.records import Event, content_id
from transforms.model.quality import Quality
from transforms.model.quantity import QUANTITIES
from transforms.snapshot import fields_of
from transforms.windows.level import rounds
from transforms.windows.rows import Rows, worsen

__all__ = ["OverTime", "OverTimeRules", "live_quantities", "mark_clock"]

Longs = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_PHASES = ("A", "B", "C")
# Below these a phase shows nothing: kVA, and its part of the strongest phase.
_LEAST_KVA = 0.05
_LEAST_PART = 0.05
_FACTOR_OFF = 0.15
# Of a phase whose transformer is exchanged the power factor is less.
_LOW_FACTOR = 0.4
# What is said of a lane that goes on with another period or other readings.
_ANEW = "is looked at anew: the period or the readings of its group changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class OverTimeRules:
    """A live quantity is never bit-equal for ``frozen_us`` and ``frozen_readings``.

    Both without a hole: what stands on either side of an outage may be chance. A wiring must look wrong for ``wiring_us``.
    """

    frozen_us: int = 120_000_000
    frozen_readings: int = 10
    wiring_us: int = 600_000_000


def live_quantities(names: Sequence[str]) -> Flags:
    """Which of them always move: voltages, currents, powers and frequency as measured.

    Not what changes once an interval (demand), at a record (maximum) or when it counts.

    >>> live_quantities(["voltageAN", "demandRealPower", "energyImport"]).tolist()
    [True, False, False]
    """
    live = ("voltage", "current", "realPower", "apparentPower", "reactivePower")
    return np.array(
        [
            QUANTITIES[name].kind == "gauge" and name.startswith((*live, "frequency"))
            if name in QUANTITIES
            else False
            for name in names
        ],
        np.bool_,
    )


class OverTime:
    """The rules for the lanes of one layout and period."""

    VERSION = 2

    def __init__(
        self,
        names: Sequence[str],
        group: str,
        rules: OverTimeRules,
        *,
        period_us: int,
        may_freeze: Flags,
    ) -> None:
        self._names = tuple(names)
        self._group = group
        self._rules = rules
        self._period_us = period_us
        self._may_freeze = may_freeze
        self._since: Longs = np.empty((0, len(names)), np.int64)
        # How many readings stood still since then, and when the last cell ended.
        self._equal: Longs = np.empty((0, len(names)), np.int64)
        self._until: Longs = np.empty(0, np.int64)
        self._value = np.empty((0, len(names)))
        self._frozen: Flags = np.empty((0, len(names)), np.bool_)
        self._odd_since: Longs = np.empty((0, len(_PHASES)), np.int64)
        self._odd: Flags = np.empty((0, len(_PHASES)), np.bool_)
        self._powers = _power_columns(names)

    def grow(self, lanes: int) -> None:
        """Make room for so many lanes."""
        more = lanes - len(self._since)
        wide = more, len(self._names)
        self._since = np.concatenate((self._since, np.full(wide, -1)))
        self._equal = np.concatenate((self._equal, np.zeros(wide, np.int64)))
        self._until = np.concatenate((self._until, np.full(more, -1)))
        self._value = np.concatenate((self._value, np.full(wide, np.nan)))
        self._frozen = np.concatenate((self._frozen, np.zeros(wide, np.bool_)))
        phases = more, len(_PHASES)
        self._odd_since = np.concatenate((self._odd_since, np.full(phases, -1)))
        self._odd = np.concatenate((self._odd, np.zeros(phases, np.bool_)))

    def reset(self, lane: int) -> None:
        """As if nothing had ever come of a lane."""
        self._since[lane], self._value[lane], self._frozen[lane] = -1, np.nan, False
        self._equal[lane], self._until[lane] = 0, -1
        self._odd_since[lane], self._odd[lane] = -1, False

    def end(self, lane: int, asset: str, at_us: int) -> list[Event]:
        """The lane goes on elsewhere, where it is looked at anew: all is over here."""
        since, odd_since = self._since[lane].tolist(), self._odd_since[lane].tolist()
        events = [
            self._frozen_event(
                asset, column, since[column], max(since[column], at_us), math.nan,
                text=f"{self._names[column]} {_ANEW}",
            )
            for column in np.flatnonzero(self._frozen[lane]).tolist()
        ]  # fmt: skip
        events += [
            self._wiring_event(
                asset, phase, odd_since[phase], max(odd_since[phase], at_us), _ANEW
            )
            for phase in np.flatnonzero(self._odd[lane]).tolist()
        ]
        self.reset(lane)
        return events

    def judge(self, lanes: Longs, rows: Rows, assets: Sequence[str]) -> list[Event]:
        """Downgrade codes of closed cells, by lane and then by time; events of changes."""
        if self._is_quiet(lanes, rows):
            return []
        events: list[Event] = []
        for places in rounds(lanes):
            own = rows[places]
            events += self._freeze(lanes[places], own, assets)
            if self._powers is not None:
                events += self._wire(lanes[places], own, assets)
            rows["code"][places] = own["code"]
        return events

    def _is_quiet(self, lanes: Longs, rows: Rows) -> bool:
        """Whether nothing stands still or looks odd, nor did before."""
        flat = (rows["low"] == rows["high"]) & self._may_freeze & (rows["low"] != 0)
        if flat.any() or (self._since[lanes] >= 0).any():
            return False
        if self._powers is None:
            return True
        return self._straight(rows) and bool((self._odd_since[lanes] < 0).all())

    # -- frozen values ---------------------------------------------------------------

    def _freeze(self, lanes: Longs, rows: Rows, assets: Sequence[str]) -> list[Event]:
        low, high = rows["low"], rows["high"]
        flat = (low == high) & self._may_freeze & (low != 0)
        some = rows["weight"] > 0
        was_since, was = self._since[lanes], self._frozen[lanes]
        if not flat.any() and not was.any() and (was_since < 0).all():
            return []
        # Where it is not frozen yet, a hole begins it anew.
        on = was | (self._until[lanes] == rows["start"])[:, np.newaxis]
        same = flat & on & (was_since >= 0) & (low == self._value[lanes])
        # A cell without any value neither shows a movement nor a standstill.
        since, lasts = _lasting(
            rows, flat, was_since, was,
            goes_on=same, known=some, least_us=self._rules.frozen_us,
        )  # fmt: skip
        since = np.where(some | was, since, -1)
        equal = np.rint(rows["weight"] * (1e6 / self._period_us)).astype(np.int64)
        equal += np.where(same | ~some, self._equal[lanes], 0)
        frozen = lasts & (equal >= self._rules.frozen_readings)
        self._since[lanes], self._equal[lanes] = since, equal
        self._until[lanes] = rows["end"]
        self._value[lanes] = np.where(
            some, np.where(flat, low, np.nan), self._value[lanes]
        )
        self._frozen[lanes] = frozen
        if frozen.any():
            worsen(rows, frozen, Quality.UNCERTAIN_FROZEN)
        if not (frozen != was).any():
            return []
        return [
            self._frozen_event(
                assets[int(lanes[place])], column,
                int((since if frozen[place, column] else was_since)[place, column]),
                None if frozen[place, column] else int(rows["start"][place]),
                float(low[place, column]),
            )
            for place, column in zip(*np.nonzero(frozen != was), strict=True)
        ]  # fmt: skip

    def _frozen_event(
        self, asset: str, column: int, since: int, until: int | None, value: float,
        text: str = "",
    ) -> Event:  # fmt: skip
        name = self._names[column]
        still = until is None
        moves = "does not move" if still else "moves again"
        return Event(
            id=content_id(asset, "frozen_value", self._group, name, since),
            asset=asset,
            kind="frozen_value",
            time=since,
            until=until,
            group=self._group,
            severity="warning",
            text=text or f"{name} {moves}",
            data={"quantity": name} | ({"value": f"{value:.7g}"} if still else {}),
            revision=0 if still else 1,
        )

    # -- wiring ----------------------------------------------------------------------

    def _wire(self, lanes: Longs, rows: Rows, assets: Sequence[str]) -> list[Event]:
        was_since, was = self._odd_since[lanes], self._odd[lanes]
        if (was_since < 0).all() and self._straight(rows):
            return []
        odd_now, known = self._odd_phases(rows)
        since, odd = _lasting(
            rows, odd_now, was_since, was,
            goes_on=was_since >= 0, known=known[:, np.newaxis],
            least_us=self._rules.wiring_us,
        )  # fmt: skip
        self._odd_since[lanes], self._odd[lanes] = since, odd
        if odd.any():
            self._downgrade(rows, odd)
        return [
            self._wiring_event(
                assets[int(lanes[place])], phase,
                int((since if odd[place, phase] else was_since)[place, phase]),
                None if odd[place, phase] else int(rows["start"][place]),
            )
            for place, phase in zip(*np.nonzero(odd != was), strict=True)
        ]  # fmt: skip

    def _straight(self, rows: Rows) -> bool:
        """Whether every phase plainly takes power all the time: nothing is odd then."""
        assert self._powers is not None
        least = rows["low"][:, self._powers[0:3]]
        most = rows["high"][:, self._powers[6:9]]
        return bool((least >= _LOW_FACTOR * most).all())

    def _odd_phases(self, rows: Rows) -> tuple[Flags, Flags]:
        """Phases that look wrong (n, 3), and whether anything can be said (n,)."""
        assert self._powers is not None
        weight = rows["weight"][:, self._powers]
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = rows["area"][:, self._powers] / weight
        real, reactive, apparent = mean[:, 0:3], mean[:, 3:6], mean[:, 6:9]
        strongest = apparent.max(axis=1, keepdims=True)
        loaded = (apparent > _LEAST_KVA) & (apparent > _LEAST_PART * strongest)
        known = loaded.all(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            factor = real / apparent
        # A reversed transformer turns both powers; feeding back turns only the real one.
        reversed_ = (real < 0) & (reactive < 0)
        straight = (real > 0) & (reactive > 0)
        size = np.abs(factor)
        odd = np.zeros_like(reversed_)
        for phase in range(3):
            others = [other for other in range(3) if other != phase]
            like = np.abs(size[:, others] - size[:, [phase]]).max(axis=1) < _FACTOR_OFF
            odd[:, phase] = reversed_[:, phase] & straight[:, others].all(axis=1) & like
        # Two transformers exchanged: their angles are 120 degrees off, both ways.
        for one, two, third in ((0, 1, 2), (1, 2, 0), (0, 2, 1)):
            exchanged = (
                (reactive[:, one] * reactive[:, two] < 0)
                & (np.abs(reactive[:, [one, two]]) > 0.5 * apparent[:, [one, two]]).all(
                    axis=1
                )
                & (factor[:, [one, two]] < _LOW_FACTOR).all(axis=1)
                & (factor[:, third] > 0.7)
            )
            odd[:, one] |= exchanged
            odd[:, two] |= exchanged
        return odd & known[:, np.newaxis], known

    def _downgrade(self, rows: Rows, odd: Flags) -> None:
        code = rows["code"]
        for phase, letter in enumerate(_PHASES):
            columns = [
                column
                for column, name in enumerate(self._names)
                if name.startswith(("realPower", "reactivePower", "powerFactor"))
                and (name.endswith(letter) or name[-1] not in "ABC")
            ]
            for column in columns:
                own = code[:, column]
                worse = odd[:, phase] & (rows["weight"][:, column] > 0)
                own[worse] = np.maximum(own[worse], Quality.UNCERTAIN_WIRING)

    def _wiring_event(
        self, asset: str, phase: int, since: int, until: int | None, what: str = ""
    ) -> Event:
        letter = _PHASES[phase]
        looks = "looks reversed or exchanged" if until is None else "looks right again"
        return Event(
            id=content_id(asset, "wiring", self._group, letter, since),
            asset=asset,
            kind="wiring",
            time=since,
            until=until,
            group=self._group,
            severity="warning",
            text=f"the current transformer of phase {letter} {what or looks}",
            data={"phase": letter},
            revision=0 if until is None else 1,
        )

    # -- snapshots -------------------------------------------------------------------

    def to_snapshot(self) -> tuple[Any, ...]:
        """The state as plain bytes, version first."""
        parts = (
            self._since, self._value, self._frozen, self._odd_since, self._odd,
            self._equal, self._until,
        )  # fmt: skip
        return (self.VERSION, *(part.tobytes() for part in parts))

    def restore(self, snapshot: tuple[Any, ...]) -> None:
        """Be as when the snapshot was taken; ValueError for an unknown version."""
        if snapshot[0] == 1:
            snapshot = self._from_version_1(snapshot)
        since, value, frozen, odd_since, odd, equal, until = fields_of(
            snapshot, self.VERSION, "a quality snapshot"
        )
        wide, phases = (-1, len(self._names)), (-1, len(_PHASES))
        self._since = np.frombuffer(since, np.int64).reshape(wide).copy()
        self._value = np.frombuffer(value, np.float64).reshape(wide).copy()
        self._frozen = np.frombuffer(frozen, np.bool_).reshape(wide).copy()
        self._odd_since = np.frombuffer(odd_since, np.int64).reshape(phases).copy()
        self._odd = np.frombuffer(odd, np.bool_).reshape(phases).copy()
        self._equal = np.frombuffer(equal, np.int64).reshape(wide).copy()
        self._until = np.frombuffer(until, np.int64).copy()

    def _from_version_1(self, snapshot: tuple[Any, ...]) -> tuple[Any, ...]:
        """It counted no readings: what is frozen stays so, all else begins anew."""
        frozen = np.frombuffer(snapshot[3], np.bool_).reshape(-1, len(self._names))
        equal = np.where(frozen, self._rules.frozen_readings, 0).astype(np.int64)
        until = np.full(len(frozen), -1, np.int64)
        return (2, *snapshot[1:], equal.tobytes(), until.tobytes())


def _lasting(
    rows: Rows, now: Flags, was_since: Longs, was: Flags, *,
    goes_on: Flags, known: Flags, least_us: int,
) -> tuple[Longs, Flags]:  # fmt: skip
    """Since when something is so, -1 where it is not, and whether for long enough.

    Where ``goes_on`` it is the same that was so before. Where nothing is ``known``, all
    stays as it was.
    """
    start, end = rows["start"][:, np.newaxis], rows["end"][:, np.newaxis]
    since = np.where(now, np.where(goes_on, was_since, start), -1)
    since = np.where(known, since, was_since)
    lasts = (since >= 0) & (end - since >= least_us)
    return since, np.where(known, lasts, was)


def mark_clock(rows: Rows, start_us: int, end_us: int | None) -> None:
    """Downgrade what was measured while the host's clock was not synchronized."""
    wrong = rows["end"] > start_us
    if end_us is not None:
        wrong &= rows["start"] < end_us
    worsen(rows, wrong[:, np.newaxis], Quality.UNCERTAIN_CLOCK)


def _power_columns(names: Sequence[str]) -> list[int] | None:
    """Columns of P, Q and S of the phases; None where one of them is not there."""
    wanted = [
        f"{power}{phase}"
        for power in ("realPower", "reactivePower", "apparentPower")
        for phase in _PHASES
    ]
    if not set(wanted) <= set(names):
        return None
    return [list(names).index(name) for name in wanted]
