"""Many assets at once: their frames in, everything that is derived from them out.

An asset belongs to one shard for ever, by its name. What a shard tells is a function of
the frames and settings that it was given, in whatever batches. Frames of one layout are
looked at together; what is rare, or concerns an asset as a whole, is told by
``transforms.derivation.asset``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt

from transforms.codec.batch import FrameColumns
from transforms.codec.frame import Column, FrameSchema
from transforms.codec.framing import HEADER_BYTES, CodecError
from transforms.codec.keys import Keys
from transforms.codec.record import AvroRecord
from transforms.codec.records import Event, LedgerHour, decode_record
from transforms.codec.sift import Sifter
from transforms.codec.window import WindowSchema
from transforms.derivation.asset import AssetMachine, demand_minutes
from transforms.derivation.parked import park
from transforms.derivation.rules import DeriveRules
from transforms.model.quality import Quality
from transforms.sequence import Failing
from transforms.sequence import Sequence as SlotSequence
from transforms.settings import rescales
from transforms.snapshot import fields_of
from transforms.windows.bay import Bay, BayOut
from transforms.windows.cells import NOWHERE, Closed, Slots
from transforms.windows.rows import Rows
from transforms.windows.tails import tails_of

__all__ = ["SHARDS", "Derived", "Shard", "shard_of"]

# Part of the state's schema, as the names of steps are: never changed.
SHARDS = 2

Longs = npt.NDArray[np.int64]
Layout = tuple[FrameSchema, int]
SchemaOf = Callable[[bytes], FrameSchema]
# So many times in which the clock was off are known at most.
_CLOCKS = 1000
# Frames of one layout, and where they stood in the batch.
Part = tuple[Layout, Sequence[str], Slots, Sequence[int]]


def shard_of(asset: str) -> int:
    """The shard of an asset, the same in every process.

    >>> shard_of("plant/hall1/main")
    1
    """
    return crc32(asset.encode()) % SHARDS


@dataclass(slots=True)
class Derived:
    """What came of a batch: records by asset, encoded, for two topics.

    ``rejected`` are places in the batch whose bytes are no frame, each with the reason;
    ``counts`` what became of frames and slots, by a word. ``schemas`` are those of the
    windows among the records.
    """

    derived: list[tuple[str, bytes]] = field(default_factory=list)
    events: list[tuple[str, bytes]] = field(default_factory=list)
    rejected: list[tuple[int, str]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    schemas: set[WindowSchema] = field(default_factory=set)

    def add(self, records: Iterable[AvroRecord]) -> None:
        """Records of any kind, to their topics."""
        for record in records:
            if isinstance(record, Event):
                self.events.append((record.asset, record.encode()))
                self.counts[f"event {record.kind}"] += 1
            else:
                self.derived.append((record.asset, record.encode()))
                self.counts[type(record).__name__] += 1


class Shard:
    """The assets of one shard; ``schema_of`` finds the codec of a frame's bytes."""

    VERSION = 1

    def __init__(self, rules: DeriveRules, schema_of: SchemaOf) -> None:
        self._rules = rules
        self._schema_of = schema_of
        self._sifter = Sifter()
        self._bays: dict[Layout, Bay] = {}
        # The lane of each group of each asset.
        self._lanes: dict[tuple[str, str], tuple[Layout, int]] = {}
        self._assets: dict[str, AssetMachine] = {}
        self._unsettled: dict[str, AssetMachine] = {}
        # For lanes that are still to come: settings are read before frames.
        self._splits: dict[str, list[int]] = {}
        self._parked: dict[str, list[Event]] = {}
        self._clock_off: dict[int, int | None] = {}

    # -- input -----------------------------------------------------------------------

    def settings(self, event: Event) -> Derived:
        """What a meter said of itself, or the host of its clock; before later frames."""
        out = Derived()
        if not event.asset:
            self._clock(event)
            return out
        if event.asset in self._assets:
            self._set(event, out)
        else:
            # Until a frame comes of it: it may be another partition's.
            park(self._parked.setdefault(event.asset, []), event)
        return out

    def _set(self, event: Event, out: Derived) -> None:
        told = self._asset(event.asset).settings(event)
        self._tell(out, told)
        for record in told:
            if isinstance(record, Event) and rescales(record.data):
                self._split(record.asset, record.time)

    def _split(self, asset: str, at_us: int) -> None:
        """Windows that hold the instant are of two kinds of values."""
        self._splits.setdefault(asset, []).append(at_us)
        for (own, _), (layout, lane) in self._lanes.items():
            if own == asset:
                self._bays[layout].splits.setdefault(lane, []).append(at_us)

    def _clock(self, event: Event) -> None:
        """The clock was off from an event on, until its next revision or any later word."""
        known: dict[int, int | None] = {
            start: max(start, event.time) if until is None else until
            for start, until in self._clock_off.items()
        }
        if event.kind == "clock_unsynchronized":
            known[event.time] = event.until
        self._clock_off = dict(sorted(known.items())[-_CLOCKS:])
        for bay in self._bays.values():
            bay.clock_off[:] = self._clock_off.items()

    def take(self, keys: Sequence[str], values: Sequence[bytes]) -> Derived:
        """Frames in the order of the log; bytes that are none are told as rejected."""
        out = Derived()
        keys = Keys.of(keys).compact()
        parts = self._alike(keys, values)
        if parts is None:
            parts = []
            for places, same in _by_header(values):
                some = [keys[place] for place in places]
                parts += self._decode(places, some, same, out)
        if len(parts) > 1 and _crossed(parts):
            # One lane in two layouts: their order counts, so one after the other.
            parts = _one_by_one(parts)
        else:
            # Power comes first: energy is held against it.
            parts.sort(key=_rank)
        for layout, own, slots, _ in parts:
            self._frames(layout, own, slots, out)
        for machine in self._unsettled.values():
            self._tell(out, machine.settle())
        self._unsettled.clear()
        return out

    def finish(self) -> Derived:
        """The end of a replay: tell all that is open."""
        out = Derived()
        for layout, lane in list(self._lanes.values()):
            bay = self._bays[layout]
            if bay.cells.newest_us[lane] != NOWHERE:
                self._collect(bay, bay.finish(lane), out)
        for machine in self._assets.values():
            self._tell(out, machine.finish())
        return out

    # -- frames ----------------------------------------------------------------------

    def _alike(self, keys: Sequence[str], values: Sequence[bytes]) -> list[Part] | None:
        """All of them where they are frames of one layout, as most are; else None."""
        try:
            schema = self._schema_of(values[0])
        except CodecError:
            return None
        columns = self._sifter.whole(schema, keys, values)
        if columns is None:
            return None
        period = int(columns.period_us[0])
        ahead = columns.slot_us > columns.received_us + self._rules.future_us
        if ahead.any() or (columns.period_us != period).any():
            return None
        return [((schema, period), keys, _slots(columns), range(len(keys)))]

    def _decode(
        self,
        places: Sequence[int],
        keys: Sequence[str],
        values: Sequence[bytes],
        out: Derived,
    ) -> list[Part]:
        """Frames of one schema by their period, with where they stood in the batch."""
        try:
            schema = self._schema_of(values[0])
        except CodecError as error:
            out.rejected += [(place, str(error)) for place in places]
            return []
        columns, kept, rejected = self._sifter.sift(schema, keys, values)
        out.rejected += [(places[place], why) for place, why in rejected]
        if not len(columns):
            return []
        ahead = columns.slot_us > columns.received_us + self._rules.future_us
        if rejected:
            keys = [keys[place] for place in kept]
            places = [places[place] for place in kept]
        if ahead.any():
            self._ahead(keys, columns.slot_us, columns.received_us, ahead, schema, out)
        found: list[Part] = []
        for period in np.unique(columns.period_us[~ahead]).tolist():
            own = np.flatnonzero(~ahead & (columns.period_us == period))
            chosen = [keys[place] for place in own.tolist()]
            at = [places[place] for place in own.tolist()]
            found.append(((schema, period), chosen, _slots(columns).take(own), at))
        return found

    def _ahead(
        self,
        keys: Sequence[str],
        slot_us: Longs,
        received_us: Longs,
        ahead: npt.NDArray[np.bool_],
        schema: FrameSchema,
        out: Derived,
    ) -> None:
        """Frames of a time that was still to come: told, and left out of all else."""
        for place in np.flatnonzero(ahead).tolist():
            out.counts["future"] += 1
            self._tell(
                out,
                [
                    Event(
                        asset=keys[place],
                        kind="future",
                        time=int(slot_us[place]),
                        group=schema.group,
                        severity="error",
                        text="the slot lies after the instant of its answer",
                        data={"received": str(int(received_us[place]))},
                    )
                ],
            )

    def _frames(
        self, layout: Layout, keys: Sequence[str], slots: Slots, out: Derived
    ) -> None:
        coded = Keys.of(keys).compact()
        bay = self._bay(layout)
        lanes = np.array([self._lane(bay, layout, key) for key in coded.texts])
        if (lanes == NOWHERE).any():
            places = np.flatnonzero(lanes[coded.codes] == NOWHERE)
            elsewhere = self._other_layout(layout, keys, slots, places, out)
            rest = np.ones(len(keys), np.bool_)
            rest[elsewhere] = False
            lanes = np.array([self._lane(bay, layout, key) for key in coded.texts])
            slots = Slots(lanes[coded.codes], *slots[1:]).take(rest)
        else:
            slots = Slots(lanes[coded.codes], *slots[1:])
        for asset in coded.texts if self._parked else ():
            for event in self._parked.pop(asset, ()):
                self._set(event, out)
        out.counts["frames"] += len(slots.lane)
        if len(slots.lane):
            self._collect(bay, bay.take(slots), out)

    def _bay(self, layout: Layout) -> Bay:
        if layout not in self._bays:
            schema, period_us = layout
            self._bays[layout] = Bay(
                schema,
                period_us,
                self._rules.windows,
                may_freeze=self._rules.may_freeze(schema),
            )
            self._bays[layout].clock_off[:] = self._clock_off.items()
            self._bays[layout].failing_us = self._rules.failing_us
        return self._bays[layout]

    def _lane(self, bay: Bay, layout: Layout, asset: str) -> int:
        """The lane of an asset in this bay; NOWHERE where it stands in another."""
        lane = bay.lane_of.get(asset)
        if lane is not None:
            return lane
        key = asset, layout[0].group
        if key not in self._lanes:
            sequence = SlotSequence(asset, layout[0].group, layout[1])
            self._lanes[key] = layout, self._new_lane(bay, asset, sequence)
            return self._lanes[key][1]
        return NOWHERE

    def _other_layout(
        self,
        layout: Layout,
        keys: Sequence[str],
        slots: Slots,
        places: npt.NDArray[np.intp],
        out: Derived,
    ) -> list[int]:
        """Lanes go on in another layout; the frames that belong to the one before."""
        before = []
        for place in places.tolist():
            asset, slot = keys[place], int(slots.slot_us[place])
            old_layout, old_lane = self._lanes[asset, layout[0].group]
            if old_layout == layout:
                continue
            old = self._bays[old_layout]
            if slot > int(old.cells.newest_us[old_lane]):
                self._move(layout, asset, old, old_lane, slot, out)
                continue
            before.append(place)
            self._count_there(old, old_lane, slot, int(slots.status[place]), out)
        return before

    def _count_there(
        self, bay: Bay, lane: int, slot: int, status: int, out: Derived
    ) -> None:
        """The slot of a frame of another layout counts; its values have no window."""
        on_grid = slot % bay.period_us == 0
        if on_grid and slot >= int(bay.cells.closed_us[lane]):
            count = len(bay.schema.names)
            alone = Slots(
                np.array([lane]),
                np.array([slot]),
                np.array([status], np.uint8),
                np.full((1, count), Quality.BAD_NO_VALUE, np.uint8),
                np.zeros((1, count)),
            )
            self._collect(bay, bay.take(alone), out)
            return
        arrived = bay.sequences[lane].late(slot, status)
        out.counts[arrived.kind] += 1
        self._tell(out, arrived.out)

    def _move(
        self, layout: Layout, asset: str, old: Bay, old_lane: int, slot: int,
        out: Derived,
    ) -> None:  # fmt: skip
        schema, period_us = layout
        bay = self._bay(layout)
        sequence = old.sequences[old_lane]
        if old.schema == schema:
            left, held = old.leave(old_lane, slot)
        else:
            left, held = old.finish(old_lane, slot), {}
        # What lasts over time ends here where its first cell there begins.
        first_us = slot // bay.cells.cell_us * bay.cells.cell_us
        left.records += old.end_over_time(old_lane, first_us)
        self._collect(old, left, out)
        if sequence.period_us != period_us:
            self._tell(out, sequence.change_period(period_us, slot))
        old.give_up(old_lane)
        lane = self._new_lane(bay, asset, sequence)
        self._lanes[asset, schema.group] = layout, lane
        self._collect(bay, bay.join(lane, held), out)
        self._ceased(asset, set(old.schema.names) - set(schema.names), slot, out)

    def _ceased(
        self, asset: str, quantities: set[str], at_us: int, out: Derived
    ) -> None:
        """A lane has these no more; alerts end of those that no other lane has."""
        machine = self._asset(asset)
        if not quantities or not machine.alerted:
            return
        for (own, _), ((schema, _), _) in self._lanes.items():
            if own == asset:
                quantities -= set(schema.names)
        self._tell(out, machine.ceased(quantities, at_us))

    # -- output ----------------------------------------------------------------------

    def _tell(self, out: Derived, records: Iterable[AvroRecord]) -> None:
        """Records to their topics; events say where in the plant they are."""
        label = self._rules.enricher.labelled
        out.add(label(each) if isinstance(each, Event) else each for each in records)

    def _collect(self, bay: Bay, came: BayOut, out: Derived) -> None:
        out.counts.update(came.counts)
        for windows in came.windows:
            out.counts["Window"] += len(windows.lanes)
            out.schemas.add(bay.windows)
            assets = [bay.assets[lane] for lane in windows.lanes.tolist()]
            rows = windows.rows
            encoded = bay.windows.encode(
                assets, windows.length_us, rows["start"], rows["end"], windows.due,
                rows["good"], windows.revision,
                tails_of(bay.windows, rows, windows.due, windows.code),
            )  # fmt: skip
            out.derived += zip(assets, encoded, strict=True)
        for record in came.records:
            if isinstance(record, Failing):
                self._tell(out, self._asset(record.asset).failing(record))
                continue
            self._tell(out, [record])
            if isinstance(record, Event):
                machine = self._asset(record.asset)
                self._tell(out, machine.event(record))
                lane = bay.lane_of.get(record.asset)
                if lane is not None:
                    # An alert may wait for time now, which only slots bring.
                    bay.attention[lane] |= machine.attends(bay.schema)
            elif not record.revision:
                _count_hour(record, out.counts)
        for lanes, rows, again in came.minutes:
            self._minutes(bay, lanes, rows, out, again=again)
        for closed in came.cells:
            self._cells(bay, closed, out)

    def _minutes(
        self, bay: Bay, lanes: Longs, rows: Rows, out: Derived, *, again: bool
    ) -> None:
        if "realPower" not in bay.schema.names:
            return
        minutes = demand_minutes(bay.schema, rows)
        for place, (lane, minute) in enumerate(
            zip(lanes.tolist(), minutes, strict=True)
        ):
            machine = self._asset(bay.assets[lane])
            self._tell(out, machine.minute(minute))
            if machine.measures and not again:
                machine.power(bay.schema, rows[place])
                self._unsettled[machine.asset] = machine

    def _cells(self, bay: Bay, closed: Closed, out: Derived) -> None:
        """Slots of cells to those assets that look at them now."""
        wanted = bay.attention[closed.lane]
        if bay.watched_by_some:
            wanted = wanted | (closed.rows["good"] != bay.cells.slots)
        if bay.limits is not None:
            wanted = wanted | bay.beyond_limits(closed)
        if wanted.any() and not wanted.all():
            # One look may ask for the next: a lane is looked at as a whole.
            wanted = np.isin(closed.lane, closed.lane[wanted])
        group = bay.schema.group
        for place in np.flatnonzero(wanted).tolist():
            lane = int(closed.lane[place])
            machine = self._asset(bay.assets[lane])
            start = int(closed.rows["start"][place])
            if group == machine.watched:
                self._tell(
                    out, machine.statuses(start, bay.period_us, closed.status[place])
                )
            self._tell(
                out,
                machine.cell(
                    bay.schema,
                    start,
                    bay.period_us,
                    closed.status[place],
                    closed.quality[place],
                    closed.values[place],
                ),
            )
            if machine.measures:
                self._unsettled[machine.asset] = machine
            bay.attention[lane] = machine.attends(bay.schema)

    def _new_lane(self, bay: Bay, asset: str, sequence: SlotSequence) -> int:
        lane = bay.lane(asset, sequence)
        machine = self._asset(asset)
        _look_out(bay, lane, machine)
        machine.expects(bay.schema, bay.period_us)
        if asset in self._splits:
            bay.splits[lane] = list(self._splits[asset])
        return lane

    def _asset(self, asset: str) -> AssetMachine:
        if asset not in self._assets:
            self._assets[asset] = AssetMachine(asset, self._rules)
        return self._assets[asset]

    # -- snapshots -------------------------------------------------------------------

    def to_snapshot(self) -> tuple[Any, ...]:
        """The state as plain tuples, version first."""
        bays = tuple(
            (_plain(schema), period_us, bay.to_snapshot())
            for (schema, period_us), bay in self._bays.items()
        )
        places = {layout: place for place, layout in enumerate(self._bays)}
        lanes = tuple(
            (asset, group, places[layout], lane)
            for (asset, group), (layout, lane) in self._lanes.items()
        )
        assets = tuple(each.to_snapshot() for each in self._assets.values())
        splits = tuple((asset, tuple(own)) for asset, own in self._splits.items())
        clock_off = tuple(self._clock_off.items())
        parked = tuple(event.encode() for own in self._parked.values() for event in own)
        return (self.VERSION, bays, lanes, assets, clock_off, splits, parked)

    @classmethod
    def from_snapshot(
        cls, rules: DeriveRules, schema_of: SchemaOf, snapshot: tuple[Any, ...]
    ) -> Shard:
        """The shard as it was; ValueError for a version that is not known."""
        bays, lanes, assets, clock_off, splits, parked = fields_of(
            snapshot, cls.VERSION, "a snapshot"
        )
        shard = cls(rules, schema_of)
        shard._clock_off = dict(clock_off)
        shard._splits = {asset: list(own) for asset, own in splits}
        for value in parked:
            event = decode_record(value)
            assert isinstance(event, Event)
            shard._parked.setdefault(event.asset, []).append(event)
        layouts: list[Layout] = []
        for plain, period_us, own in bays:
            layouts.append((_schema(plain), period_us))
            shard._bay(layouts[-1]).restore(own)
        for asset, group, place, lane in lanes:
            shard._lanes[asset, group] = layouts[place], lane
        for own in assets:
            machine = AssetMachine.from_snapshot(rules, own)
            shard._assets[machine.asset] = machine
        for (asset, _), (layout, lane) in shard._lanes.items():
            bay, machine = shard._bays[layout], shard._asset(asset)
            bay.lane_of[asset] = lane
            _look_out(bay, lane, machine)
        return shard


def _look_out(bay: Bay, lane: int, machine: AssetMachine) -> None:
    """What the bay has to look out for on behalf of a lane's asset."""
    bay.attention[lane] = machine.attends(bay.schema)
    bay.watched_by_some |= machine.watched == bay.schema.group
    bay.limit(lane, *machine.limits(bay.schema))


def _slots(columns: FrameColumns) -> Slots:
    """Frames without their lanes, which are not known yet.

    What is no number has no value, whatever quality a foreign hand gave it.
    """
    matrix = np.array(list(columns.readings.values())).T
    quality = columns.quality
    odd = ~np.isfinite(matrix) & (quality < Quality.BAD_NO_VALUE)
    if odd.any():
        quality = np.where(odd, np.uint8(Quality.BAD_NOT_A_NUMBER), quality)
    return Slots(columns.seq, columns.slot_us, columns.status, quality, matrix)


def _by_header(
    values: Sequence[bytes],
) -> Iterator[tuple[Sequence[int], Sequence[bytes]]]:
    """Places and values of each schema."""
    found: dict[bytes, list[int]] = {}
    for place, value in enumerate(values):
        found.setdefault(value[:HEADER_BYTES], []).append(place)
    for places in found.values():
        yield places, [values[place] for place in places]


def _count_hour(hour: LedgerHour, counts: Counter[str]) -> None:
    counts[f"slots {hour.group} good"] += hour.good
    counts[f"slots {hour.group} failed"] += sum(hour.failed.values())
    counts[f"slots {hour.group} missing"] += hour.missing


def _plain(schema: FrameSchema) -> tuple[Any, ...]:
    return schema.profile, schema.group, tuple(tuple(c) for c in schema.columns)


def _schema(plain: tuple[Any, ...]) -> FrameSchema:
    profile, group, columns = plain
    return FrameSchema(profile, group, tuple(Column(*column) for column in columns))


def _rank(part: Part) -> bool:
    return "realPower" not in part[0][0].names


def _crossed(parts: Sequence[Part]) -> bool:
    """Whether frames of one lane stand in more than one part."""
    seen: dict[str, set[str]] = {}
    for (schema, _), keys, _, _ in parts:
        own = set(Keys.of(keys).compact().texts)
        known = seen.setdefault(schema.group, set())
        if known & own:
            return True
        known |= own
    return False


def _one_by_one(parts: Sequence[Part]) -> list[Part]:
    """The same frames, each by itself, in the order of the batch."""
    single = [
        (layout, [keys[n]], slots.take(slice(n, n + 1)), [places[n]])
        for layout, keys, slots, places in parts
        for n in range(len(places))
    ]
    return sorted(single, key=lambda part: part[3][0])
