"""All alerts of one asset: values, events, demand and energy in, alerts out.

Its state maps (alert, subject) to an occurrence. A subject is what a rule leaves open:
which quantity is frozen, or of what kind of block the demand is; empty otherwise.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from transforms.alerts.condition import (
    COMMUNICATION,
    frozen_words,
    gap_events,
    gap_goes_on,
    reconciliation_words,
)
from transforms.alerts.occurrence import (
    INACTIVE,
    Change,
    Occurrence,
    Words,
    tell,
    turn,
)
from transforms.alerts.rule import AlertRule
from transforms.alerts.threshold import run, step
from transforms.codec.derived import Demand, Energy
from transforms.codec.records import Event
from transforms.snapshot import fields_of

__all__ = ["Alerts", "AlertsState"]

AlertsState = Mapping[tuple[str, str], Occurrence]
Longs = npt.NDArray[np.int64]
Columns = Mapping[str, npt.NDArray[np.floating[Any]]]


class Alerts:
    """The rules that watch one asset. It never changes; what does is the state.

    Each function takes a state and gives the next, with the events in the order of
    what caused them; the state that it took is left as it was. A new state is ``{}``.
    """

    VERSION = 1

    def __init__(self, asset: str, rules: Iterable[AlertRule]) -> None:
        self.asset = asset
        self.rules = {rule.name: rule for rule in rules if rule.watches(asset)}
        self._by_kind: dict[str, list[AlertRule]] = {}
        for rule in self.rules.values():
            self._by_kind.setdefault(rule.kind, []).append(rule)
        quantities = (rule.quantity for rule in self._of("threshold"))
        self.quantities = frozenset(name for name in quantities if name is not None)

    def on_values(
        self, state: AlertsState, slots_us: Longs, values: Columns
    ) -> tuple[AlertsState, list[Event]]:
        """Take slots in order and what they have of ``quantities``, NaN for no value.

        Failed slots belong here too: they show how far time has come, for the delays
        of lost communication and of frozen values.
        """
        found: list[tuple[int, Event]] = []
        changed = dict(state)
        for rule in self._of("threshold"):
            column = values.get(rule.quantity or "")
            if column is None:
                continue
            before = state.get((rule.name, ""), INACTIVE)
            after, events = run(rule, self.asset, before, slots_us, column)
            found += events
            _keep(changed, rule, "", after)
        for (name, subject), before in state.items():
            rule = self.rules[name]
            words = _words_that_wait(rule, subject) if _waits(before) else None
            if words is None:
                continue
            after = before
            for place, slot_us in enumerate(slots_us.tolist()):
                if not _waits(after):
                    break
                after, told = turn(rule, self.asset, after, slot_us, None, words)
                found += ((place, event) for event in told)
            _keep(changed, rule, subject, after)
        found.sort(key=itemgetter(0))
        return changed, [event for _, event in found]

    def on_event(
        self, state: AlertsState, event: Event
    ) -> tuple[AlertsState, list[Event]]:
        """Take an event of this asset; those that no rule is about do nothing."""
        match event.kind:
            case "comm_lost" | "comm_back":
                on = event.kind == "comm_lost"
                return self._turn(state, "comm_lost", "", event.time, on)
            case "frozen_value":
                at_us = event.time if event.until is None else event.until
                quantity = event.data.get("quantity", "")
                return self._turn(state, "frozen", quantity, at_us, event.until is None)
            case "gap":
                return self._gap(state, event)
            case _:
                return state, []

    def on_failing(
        self, state: AlertsState, group: str, since_us: int, until_us: int
    ) -> tuple[AlertsState, list[Event]]:
        """Take a gap that goes on: the slots of a group that failed up to now."""
        out: list[Event] = []
        changed = dict(state)
        for rule in self._of("gap"):
            before = state.get((rule.name, group), INACTIVE)
            if before.raised or until_us - since_us <= rule.longer_than_us:
                continue
            out.append(gap_goes_on(rule, self.asset, group, since_us))
            changed[rule.name, group] = Occurrence(since_us, raised=True)
        return changed, out

    def on_demand(
        self, state: AlertsState, demand: Demand, at_us: int
    ) -> tuple[AlertsState, list[Event]]:
        """Take what is known at ``at_us``; of a block that is over nothing is.

        Of sliding demand the value itself counts, as it is told first.
        """
        value, what = demand.forecast, "demand forecast"
        if demand.method == "sliding":
            value = None if demand.revision else demand.value
            what = "sliding demand"
        out: list[Event] = []
        changed = dict(state)
        for rule in self._of("demand_forecast"):
            if rule.quantity != demand.quantity or value is None:
                continue
            # Blocks of different lengths come to different values.
            subject = _of_demand(demand.method, demand.interval)
            before = state.get((rule.name, subject), INACTIVE)
            after, events = step(rule, self.asset, before, at_us, value, subject, what)
            out += events
            _keep(changed, rule, subject, after)
        return changed, out

    def on_demand_change(
        self, state: AlertsState, method: str, interval_us: int, at_us: int
    ) -> tuple[AlertsState, list[Event]]:
        """Demand is counted so from ``at_us`` on: no other is heard of any more."""
        now = _of_demand(method, interval_us)
        over = [
            (name, subject)
            for name, subject in state
            if self.rules[name].kind == "demand_forecast" and subject != now
        ]
        return self._end(state, over, at_us, "demand is counted in another way")

    def on_ceased(
        self, state: AlertsState, quantities: Collection[str], at_us: int
    ) -> tuple[AlertsState, list[Event]]:
        """These quantities are measured no more from ``at_us`` on."""
        over = [
            (name, subject)
            for name, subject in state
            if self.rules[name].kind != "gap"
            and (self.rules[name].quantity or subject) in quantities
        ]
        return self._end(state, over, at_us, "it is measured no more")

    def on_energy(
        self, state: AlertsState, energy: Energy
    ) -> tuple[AlertsState, list[Event]]:
        """Take an interval; it counts from its start, for as long as it lasts."""
        if energy.verdict not in ("agrees", "differs"):
            return state, []
        on = energy.verdict == "differs"
        words = reconciliation_words(energy)
        args = ("reconciliation", energy.quantity)
        state, events = self._turn(state, *args, energy.start, on, words)
        state, more = self._turn(state, *args, energy.end, None, words)
        return state, events + more

    def to_snapshot(self, state: AlertsState) -> tuple[Any, ...]:
        """The state as plain tuples, version first, each with what its rule is about."""
        entries = (
            (name, self.rules[name].kind, self.rules[name].quantity, subject, *own)
            for (name, subject), own in sorted(state.items())
        )
        return (self.VERSION, *entries)

    def from_snapshot(self, snapshot: tuple[Any, ...]) -> AlertsState:
        """The state as it was, without rules that are gone or about something else."""
        entries = fields_of(snapshot, self.VERSION, "an alerts snapshot")
        out: dict[tuple[str, str], Occurrence] = {}
        for name, kind, quantity, subject, *own in entries:
            rule = self.rules.get(name)
            if rule and (rule.kind, rule.quantity) == (kind, quantity):
                out[name, subject] = Occurrence(*own)
        return out

    def _of(self, kind: str) -> list[AlertRule]:
        return self._by_kind.get(kind, [])

    def _gap(self, state: AlertsState, gap: Event) -> tuple[AlertsState, list[Event]]:
        out: list[Event] = []
        changed = dict(state)
        for rule in self._of("gap"):
            key = rule.name, gap.group or ""
            since_us = state.get(key, INACTIVE).since_us
            was_told = since_us == gap.time and not gap.revision
            if was_told:
                del changed[key]
            out += gap_events(rule, gap, was_told=was_told)
        return changed, out

    def _end(
        self,
        state: AlertsState,
        over: Iterable[tuple[str, str]],
        at_us: int,
        why: str,
    ) -> tuple[AlertsState, list[Event]]:
        """Clear occurrences of which nothing comes any more, whatever their delays."""
        out: list[Event] = []
        changed = dict(state)
        for name, subject in over:
            rule, own = self.rules[name], changed.pop((name, subject))
            until_us = own.over_us
            if until_us is None:
                until_us = max(at_us, own.told_us or at_us)
            if rule.kind in ("frozen", "reconciliation"):
                # What is told of the time before counts no more.
                changed[name, subject] = Occurrence(told_us=until_us)
            if own.since_us is None or not own.raised:
                continue
            change = Change(own.since_us, until_us, own.revision + 1)
            data = {"quantity": rule.quantity or subject}
            text = f"{data['quantity']}: {why}"
            out.append(tell(rule, self.asset, change, text, data, subject))
        return changed, out

    def _turn(
        self,
        state: AlertsState,
        kind: str,
        quantity: str,
        at_us: int,
        on: bool | None,
        words: Words | None = None,
    ) -> tuple[AlertsState, list[Event]]:
        out: list[Event] = []
        changed = dict(state)
        for rule in self._of(kind):
            if rule.quantity not in (None, quantity):
                continue
            subject = quantity if rule.quantity is None else ""
            own = words or _words_that_wait(rule, subject)
            if own is None:
                continue
            before = state.get((rule.name, subject), INACTIVE)
            own = own._replace(subject=subject)
            after, events = turn(rule, self.asset, before, at_us, on, own)
            out += events
            _keep(changed, rule, subject, after)
        return changed, out


def _keep(
    state: dict[tuple[str, str], Occurrence],
    rule: AlertRule,
    subject: str,
    own: Occurrence,
) -> None:
    if own == INACTIVE:
        state.pop((rule.name, subject), None)
    else:
        state[rule.name, subject] = own


def _of_demand(method: str, interval_us: int) -> str:
    """The subject of a demand's forecast."""
    return f"{method}/{interval_us}"


def _waits(state: Occurrence) -> bool:
    """Whether only time is needed to raise or to clear it."""
    return state.since_us is not None and (
        not state.raised or state.over_us is not None
    )


def _words_that_wait(rule: AlertRule, subject: str) -> Words | None:
    """What is said of a condition that slots alone bring forward."""
    match rule.kind:
        case "comm_lost":
            return COMMUNICATION
        case "frozen":
            return frozen_words(rule.quantity or subject)._replace(subject=subject)
        case _:
            return None
