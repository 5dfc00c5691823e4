"""Feeding the machine of one counter in tests: inputs in the order of their time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from transforms.codec.records import Energy, Event
from transforms.energy.counter import CounterRules
from transforms.energy.intervals import (
    NEW,
    Change,
    Counting,
    IntervalRules,
    PowerMinute,
    change,
    from_snapshot,
    power,
    read,
    to_snapshot,
)

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US


def every(length_us: int) -> Any:
    """Intervals of one length from the epoch on."""

    def interval_of(time_us: int) -> tuple[int, int]:
        start_us = time_us // length_us * length_us
        return start_us, start_us + length_us

    return interval_of


def rules(interval_seconds: int = 60, **counter: Any) -> IntervalRules:
    """Rules of ``energyImport`` of one meter."""
    return IntervalRules(
        asset="site/meter",
        counter=CounterRules(**({"quantity": "energyImport"} | counter)),
        interval_of=every(interval_seconds * SECOND_US),
    )


@dataclass(slots=True)
class Run:
    """A machine and all that it told; ``restarting`` goes through a snapshot each time."""

    rules: IntervalRules
    period_us: int = 10 * SECOND_US
    restarting: bool = False
    state: Counting = NEW
    out: list[Energy | Event] = field(default_factory=list)

    def read(self, seconds: float, wh: int | None) -> None:
        slot_us = round(seconds * SECOND_US)
        self._take(read(self.rules, self.state, slot_us, wh, self.period_us))

    def power(self, minute: int, kw: float) -> None:
        """A whole minute, by its number from the epoch, at one power."""
        start_us = minute * MINUTE_US
        fed = PowerMinute(start_us, start_us + MINUTE_US, kw * 1000 / 60, MINUTE_US, kw)
        self._take(power(self.rules, self.state, fed))

    def change(self, seconds: float, what: Change) -> None:
        at_us = round(seconds * SECOND_US)
        self._take(change(self.rules, self.state, at_us, what))

    @property
    def energies(self) -> list[Energy]:
        """The last revision of each record, in the order of time."""
        last = {r.id: r for r in self.out if isinstance(r, Energy)}
        return sorted(last.values(), key=lambda record: record.start)

    @property
    def events(self) -> list[Event]:
        return [record for record in self.out if isinstance(record, Event)]

    def _take(self, told: tuple[Counting, list[Energy | Event]]) -> None:
        self.state, out = told
        self.out += out
        if self.restarting:
            self.state = from_snapshot(to_snapshot(self.state))
