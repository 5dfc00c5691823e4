"""What concerns an asset as a whole: its life, settings, demand, energy and alerts."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from transforms import settings as meter_settings
from transforms.alerts.asset import Alerts, AlertsState
from transforms.codec.frame import FrameSchema
from transforms.codec.record import AvroRecord
from transforms.codec.records import Demand, Energy, Event
from transforms.demand import machine as demand_machine
from transforms.demand.mean import DEMAND_QUANTITIES, DemandMinute
from transforms.demand.rules import DemandRules
from transforms.derivation.merge import PowerItem, PowerMerge, ReadItem
from transforms.derivation.rules import DeriveRules
from transforms.energy import intervals
from transforms.energy.intervals import IntervalRules, PowerMinute
from transforms.liveness import FAILED_SLOTS, UNKNOWN, Liveness, watch
from transforms.model.quality import Quality
from transforms.sequence import EMPTY, Failing
from transforms.snapshot import fields_of
from transforms.windows.rows import FLOWS, Rows, means

__all__ = ["AssetMachine", "demand_minutes"]

Bytes = npt.NDArray[np.uint8]
Records = list[AvroRecord]


class AssetMachine:
    """One asset, given what its lanes came to in the order of time.

    ``steady`` says that all is well with its life: as long as it is, slots that were
    all answered need not be looked at.
    """

    VERSION = 1

    def __init__(self, asset: str, rules: DeriveRules) -> None:
        self.asset = asset
        self._rules = rules
        meter = rules.meter(asset)
        self.watched = meter.watched
        self._alerts = Alerts(asset, rules.alerts)
        self._alerts_state: AlertsState = {}
        self._life = UNKNOWN
        self._settings = meter_settings.UNSAID
        self._heard = -1, ""
        self._demand_rules = DemandRules(
            asset=asset,
            calendar=rules.windows.calendar,
            method=meter.demand_method,
            interval_us=meter.demand_interval_us,
            billing_first_day=rules.billing_first_day,
        )
        self._demand = demand_machine.START
        self._counters = {
            quantity: IntervalRules(
                asset=asset,
                counter=counter,
                interval_of=self._interval_of,
                nominal_us=rules.energy_us,
            )
            for quantity, counter in meter.counters.items()
        }
        self._energy = dict.fromkeys(self._counters, intervals.NEW)
        # Changes of settings, each until the series that it splits has come so far.
        self._to_demand: list[tuple[int, str, int]] = []
        self._to_energy: list[tuple[str, int, intervals.Change]] = []
        self._merge = PowerMerge(meter.has_power)
        self._wants: dict[FrameSchema, bool] = {}

    def _interval_of(self, time_us: int) -> tuple[int, int]:
        return self._rules.windows.calendar.window(time_us, self._rules.energy_us)

    @property
    def steady(self) -> bool:
        """Whether answered slots change nothing."""
        return self._life.alive is True and not self._life.failed

    def attends(self, schema: FrameSchema) -> bool:
        """Whether it wants the slots of these frames now, even if all is well.

        Counters always; the watched group while communication is not steady; alerts
        while one of them is raised, or waits.
        """
        watched = schema.group == self.watched
        if self.counts(schema) or (watched and not self.steady):
            return True
        return self.alerted and (watched or self._heeds(schema))

    def counts(self, schema: FrameSchema) -> bool:
        """Whether these frames have counters of it."""
        if schema not in self._wants:
            self._wants[schema] = bool(set(schema.names) & set(self._counters))
        return self._wants[schema]

    def expects(self, schema: FrameSchema, period_us: int) -> None:
        """Frames of this period will come."""
        if self.counts(schema):
            self._merge.expect(period_us)

    def _heeds(self, schema: FrameSchema) -> bool:
        return bool(set(schema.names) & self._alerts.quantities)

    def limits(self, schema: FrameSchema) -> tuple[list[float], list[float]]:
        """Of each reading the values between which no alert is raised."""
        low, high = [-math.inf] * len(schema.names), [math.inf] * len(schema.names)
        for rule in self._alerts.rules.values():
            if rule.kind != "threshold" or rule.quantity not in schema.names:
                continue
            column = schema.names.index(rule.quantity)
            if rule.above is not None:
                high[column] = min(high[column], rule.above)
            if rule.below is not None:
                low[column] = max(low[column], rule.below)
        return low, high

    # -- what comes ------------------------------------------------------------------

    def settings(self, event: Event) -> Records:
        """What the meter said of itself; a change splits the series.

        What was heard before is no news: a state is made again from two sources.
        """
        if event.time < self._heard[0] or event.id == self._heard[1]:
            return []
        self._heard = event.time, event.id
        self._settings, change = meter_settings.step(
            self._settings, event.time, event.data
        )
        method, interval_us = self._demand_settings()
        own = self._demand_rules
        last = (
            self._to_demand[-1][1:]
            if self._to_demand
            else (own.method, own.interval_us)
        )
        if change is None and (method, interval_us) == last:
            return []
        at_us = event.time if change is None else change.at_us
        self._to_demand.append((at_us, method, interval_us))
        if change is None:
            return []
        kinds: list[intervals.Change] = []
        if meter_settings.rescales(change.names):
            kinds.append("ct_change")
        if "serial" in change.names:
            kinds.append("meter_swap")
        self._to_energy += [(n, at_us, kind) for n in self._counters for kind in kinds]
        return [_changed(self.asset, change)]

    def event(self, event: Event) -> Records:
        """An event of the asset's own lanes, for the alerts."""
        if not self._alerts.rules:
            return []
        self._alerts_state, out = self._alerts.on_event(self._alerts_state, event)
        return [*out]

    def failing(self, run: Failing) -> Records:
        """Slots of a lane that fail, and have failed for long, for the alerts."""
        self._alerts_state, out = self._alerts.on_failing(
            self._alerts_state, run.group, run.start_us, run.end_us
        )
        return [*out]

    def ceased(self, quantities: Collection[str], at_us: int) -> Records:
        """Quantities that no lane of it has any more, for the alerts."""
        self._alerts_state, out = self._alerts.on_ceased(
            self._alerts_state, quantities, at_us
        )
        return [*out]

    @property
    def alerted(self) -> bool:
        """Whether an alert is raised, or waits."""
        return any(own.since_us is not None for own in self._alerts_state.values())

    def statuses(self, start_us: int, period_us: int, statuses: Bytes) -> Records:
        """Slots of the watched group; EMPTY where no frame came."""
        out: Records = []
        for place, status in enumerate(statuses.tolist()):
            if status == EMPTY:
                continue
            slot = start_us + place * period_us
            since = self._life.since_us
            self._life, change = watch(self._life, slot, status)
            if change is not None:
                event = self._life_event(change, slot, since)
                out += [event, *self.event(event)]
        return out

    def cell(
        self,
        schema: FrameSchema,
        start_us: int,
        period_us: int,
        status: Bytes,
        quality: Bytes,
        values: npt.NDArray[np.generic],
    ) -> Records:
        """The slots of a cell: counters, and values that alerts watch."""
        out: Records = []
        seen = np.flatnonzero(status != EMPTY)
        slots = start_us + seen * period_us
        has_value = quality < Quality.BAD_NO_VALUE
        columns_of = [
            n for n, name in enumerate(schema.names) if name in self._counters
        ]
        if columns_of:
            names = [schema.names[n] for n in columns_of]
            known = has_value[seen][:, columns_of].tolist()
            numbers = values[seen][:, columns_of].tolist()
            for slot, row, valid in zip(slots.tolist(), numbers, known, strict=True):
                counted = tuple(
                    (name, _wh(number) if good else None)
                    for name, number, good in zip(names, row, valid, strict=True)
                )
                self._merge.read(slot, period_us, counted)
        if self._alerts.rules:
            columns = {
                name: np.where(
                    has_value[seen, n], values[seen, n].astype(float), np.nan
                )
                for n, name in enumerate(schema.names)
                if name in self._alerts.quantities
            }
            if columns or schema.group == self.watched:
                self._alerts_state, told = self._alerts.on_values(
                    self._alerts_state, slots, columns
                )
                out += told
        return out

    def minute(self, minute: DemandMinute) -> Records:
        """A minute for demand; one that comes again is corrected."""
        out: Records = []
        while self._to_demand and self._to_demand[0][0] < minute.end_us:
            at_us, method, interval_us = self._to_demand.pop(0)
            self._demand_rules, self._demand, told = demand_machine.change(
                self._demand_rules, self._demand, method, interval_us, at_us
            )
            out += self._demanded(told, at_us)
            since_us = self._demand.since_us
            assert since_us is not None
            self._alerts_state, events = self._alerts.on_demand_change(
                self._alerts_state, method, interval_us, since_us
            )
            out += events
        self._demand, told = demand_machine.step(
            self._demand_rules, self._demand, minute
        )
        return out + self._demanded(told, minute.end_us)

    @property
    def measures(self) -> bool:
        """Whether it has counters, whose energy is held against the power's."""
        return bool(self._counters)

    def power(self, schema: FrameSchema, row: np.void) -> None:
        """A minute of power, once, for the energy of counters."""
        low, high = row["low"], row["high"]
        measured = []
        for place, quantity in enumerate(FLOWS):
            power = "realPower" if place < 2 else "reactivePower"
            if power not in schema.names:
                continue
            column = schema.names.index(power)
            peak = np.nanmax([0.0, abs(low[column]), abs(high[column])])
            minute = PowerMinute(
                start_us=int(row["start"]),
                end_us=int(row["end"]),
                energy_wh=float(row["flows"][place]) * 1000,
                covered_us=round(float(row["weight"][column]) * 1e6),
                peak_kw=float(peak),
            )
            measured.append((quantity, minute))
        self._merge.power(int(row["end"]), tuple(measured))

    def settle(self) -> Records:
        """What counters and power tell, when all of a batch has come."""
        return self._merged(self._merge.due())

    def finish(self) -> Records:
        """The end of a replay: tell what is open."""
        self._demand, told = demand_machine.flush(self._demand_rules, self._demand)
        out = self._demanded(told, 0)
        out += self._merged(self._merge.rest())
        for name, rules in self._counters.items():
            self._energy[name], told_of = intervals.flush(rules, self._energy[name])
            out += self._metered(told_of)
        return out

    # -- what is told ----------------------------------------------------------------

    def _merged(self, items: Iterable[PowerItem | ReadItem]) -> Records:
        """Power and counters in the order of time."""
        out: Records = []
        for item in items:
            if isinstance(item, PowerItem):
                for quantity, minute in item.minutes:
                    for name in (quantity, _partial(quantity)):
                        if name in self._counters:
                            self._energy[name], told = intervals.power(
                                self._counters[name], self._energy[name], minute
                            )
                            out += self._metered(told)
                continue
            for name, wh in item.counted:
                # What was held may be of a counter that the site has no more.
                if name in self._counters:
                    out += self._count(name, item.time_us, wh, item.period_us)
        return out

    def _count(self, name: str, slot: int, wh: int | None, period_us: int) -> Records:
        rules, out = self._counters[name], Records()
        if self._to_energy:
            due = [c for c in self._to_energy if c[0] == name and c[1] <= slot]
            self._to_energy = [c for c in self._to_energy if c not in due]
            for _, at_us, what in due:
                self._energy[name], told = intervals.change(
                    rules, self._energy[name], at_us, what
                )
                out += self._metered(told)
        self._energy[name], told = intervals.read(
            rules, self._energy[name], slot, wh, period_us
        )
        return out + self._metered(told)

    def _metered(self, told: Iterable[Energy | Event]) -> Records:
        out: Records = []
        for record in told:
            out.append(record)
            if isinstance(record, Energy) and self._alerts.rules:
                self._alerts_state, events = self._alerts.on_energy(
                    self._alerts_state, record
                )
                out += events
        return out

    def _demanded(self, told: Iterable[Demand | Event], at_us: int) -> Records:
        out: Records = []
        for record in told:
            out.append(record)
            if isinstance(record, Demand) and self._alerts.rules:
                self._alerts_state, events = self._alerts.on_demand(
                    self._alerts_state, record, at_us
                )
                out += events
        return out

    def _demand_settings(self) -> tuple[str, int]:
        """What the meter says, else the site."""
        meter, said = self._rules.meter(self.asset), self._settings
        return (
            said.demand_method or meter.demand_method,
            said.demand_interval_us or meter.demand_interval_us,
        )

    def _life_event(self, change: str, slot: int, since: int | None) -> Event:
        if change == "lost":
            time = slot if since is None else since
            text = f"no answer to {FAILED_SLOTS} polls of {self.watched} in a row"
            return Event(
                asset=self.asset,
                kind="comm_lost",
                time=time,
                group=self.watched,
                severity="error",
                text=text,
            )
        return Event(
            asset=self.asset,
            kind="comm_back",
            time=slot,
            group=self.watched,
            text="the meter answers",
        )

    # -- snapshots -------------------------------------------------------------------

    def to_snapshot(self) -> tuple[Any, ...]:
        """The state as plain tuples, version first."""
        own = self._demand_rules
        return (
            self.VERSION, self.asset, _plain_life(self._life),
            meter_settings.to_snapshot(self._settings),
            (own.method, own.interval_us), demand_machine.to_snapshot(self._demand),
            tuple((n, intervals.to_snapshot(e)) for n, e in self._energy.items()),
            self._alerts.to_snapshot(self._alerts_state),
            tuple(self._to_demand), tuple(self._to_energy), self._merge.to_snapshot(),
            self._heard,
        )  # fmt: skip

    @classmethod
    def from_snapshot(
        cls, rules: DeriveRules, snapshot: tuple[Any, ...]
    ) -> AssetMachine:
        """The asset as it was; ValueError for a version that is not known."""
        (
            asset, life, said, counted, demand, energy, alerts, to_demand, to_energy,
            merge, heard,
        ) = fields_of(snapshot, cls.VERSION, "an asset's snapshot")  # fmt: skip
        machine = cls(asset, rules)
        machine._life = _life_from(life)
        machine._settings = meter_settings.from_snapshot(said)
        method, interval_us = counted
        machine._demand_rules = machine._demand_rules._replace(
            method=method, interval_us=interval_us
        )
        machine._demand = demand_machine.from_snapshot(demand)
        for name, own in energy:
            if name in machine._energy:
                machine._energy[name] = intervals.from_snapshot(own)
        machine._alerts_state = machine._alerts.from_snapshot(alerts)
        machine._to_demand = [tuple(each) for each in to_demand]
        if not to_demand and machine._demand_settings() != (method, interval_us):
            # The site says another than it did: from the next minute on.
            machine._to_demand.append((0, *machine._demand_settings()))
        machine._to_energy = [tuple(each) for each in to_energy]
        machine._merge.restore(merge)
        machine._heard = tuple(heard)
        return machine


def _plain_life(life: Liveness) -> tuple[Any, ...]:
    """With a place where the slot's number stood once, which nothing looks at."""
    return (life.alive, life.failed, life.since_us, -1, life.slot_us)


def _life_from(plain: tuple[Any, ...]) -> Liveness:
    alive, failed, since_us, _, slot_us = plain
    return Liveness(alive, failed, since_us, slot_us)


def _wh(kwh: float) -> int | None:
    """Whole watt-hours; None where a foreign hand wrote what is no number."""
    return round(kwh * 1000) if math.isfinite(kwh * 1000) else None


def _partial(quantity: str) -> str:
    return "partial" + quantity[0].upper() + quantity[1:]


def demand_minutes(schema: FrameSchema, rows: Rows) -> list[DemandMinute]:
    """Minutes of lanes as demand takes them; NaN where a quantity is not there."""
    columns = [
        schema.names.index(name) if name in schema.names else 0
        for name in DEMAND_QUANTITIES
    ]
    there = np.array([name in schema.names for name in DEMAND_QUANTITIES])
    weight = np.where(there, rows["weight"][:, columns], 0.0)
    mean = np.where(there, means(rows, columns), np.nan)
    code = np.where(weight > 0, rows["code"][:, columns], int(Quality.BAD_NO_VALUE))
    columns_of = (rows["start"], rows["end"], mean, weight, code)
    return [
        DemandMinute(start, end, tuple(means), tuple(weights), tuple(codes))
        for start, end, means, weights, codes in zip(
            *(column.tolist() for column in columns_of), strict=True
        )
    ]


def _changed(asset: str, change: meter_settings.Change) -> Event:
    """One line of the ledger of settings."""
    data = {}
    for name in change.names:
        data[name] = str(getattr(change.after, name))
        data[f"{name}.before"] = str(getattr(change.before, name))
    return Event(
        asset=asset,
        kind="settings_changed",
        time=change.at_us,
        severity="warning",
        text=f"the series of demand and energy is split: {', '.join(change.names)}",
        data=data,
    )
