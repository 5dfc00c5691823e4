"""A day of many meters as the log would hold it, and the truth beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from connectors.simulator.faults import STATE_KINDS
from tests.generated.arrival import Arrival
from tests.generated.lane import Lane, Records
from tests.generated.load import Longs
from tests.generated.meter import GeneratedMeter
from tests.generated.plan import TURN_US, LanePlan
from tests.generated.told import descriptions
from tests.generated.trouble import Trouble
from tests.generated.truth import Truth
from tests.generated.work import MeterAtWork
from transforms.assemble import PolledMeter
from transforms.codec.frame import FrameSchema
from transforms.codec.framing import HEADER_BYTES, CodecError
from transforms.codec.records import Event

__all__ = ["PERIODS", "Day", "Delivery"]

PERIODS: Mapping[str, float] = {
    "realtime": 1.0,
    "energy": 10.0,
    "demand": 60.0,
    "maximum": 60.0,
    "status": 1.0,
}
_PIECE_US = 3_600_000_000


class Delivery(NamedTuple):
    """Events, then the frames that came after them: assets and bytes, in order."""

    events: tuple[Event, ...]
    keys: list[str]
    values: list[bytes]


class Day:
    """All slots in ``[start_us, end_us)``; the same arguments give the same bytes.

    Iterated it gives ``(asset, bytes)`` in the order of arrival; what comes after the
    end comes last. It is made anew each time, an hour at once, so it can be long.
    """

    def __init__(
        self,
        meters: Sequence[GeneratedMeter],
        start_us: int,
        end_us: int,
        *,
        troubles: Iterable[Trouble] = (),
        periods: Mapping[str, float] = PERIODS,
    ) -> None:
        self.meters = tuple(meters)
        self.start_us = start_us
        self.end_us = end_us
        self.troubles = tuple(troubles)
        self._lanes: list[Lane] = []
        events: list[Event] = []
        for meter in meters:
            work = MeterAtWork(meter, self.troubles)
            polled = meter.polled(periods)
            self._lanes += self._lanes_of(work, polled)
            events += self._events_of(work, polled)
        self.events = tuple(sorted(events, key=lambda event: event.time))
        self._schemas = {lane.schema.header: lane.schema for lane in self._lanes}
        self.truth = Truth(self._lanes)

    @property
    def schemas(self) -> tuple[FrameSchema, ...]:
        """Those of its frames, each once."""
        return tuple(self._schemas.values())

    def schema_of(self, value: bytes) -> FrameSchema:
        """The codec of a frame's bytes; CodecError where none of them is its."""
        try:
            return self._schemas[value[:HEADER_BYTES]]
        except KeyError:
            raise CodecError(f"unknown schema {value[:HEADER_BYTES].hex()}") from None

    def __iter__(self) -> Iterator[Arrival]:
        for delivery in self.deliveries():
            yield from zip(delivery.keys, delivery.values, strict=True)

    def deliveries(self) -> Iterator[Delivery]:
        """Everything in the order of arrival, cut where a meter told of itself."""
        held = _Held()
        for start in range(self.start_us, self.end_us, _PIECE_US):
            end = min(start + _PIECE_US, self.end_us)
            for lane in self._lanes:
                plan = lane.plan
                records = lane.records(slice(plan.place(start), plan.place(end)))
                held.add(plan.asset, records)
            yield from self._cut(held, None if end == self.end_us else end)

    def _cut(self, held: _Held, end_us: int | None) -> Iterator[Delivery]:
        """What arrived before ``end_us``, in pieces that begin with an event."""
        events = [e for e in self.events if end_us is None or e.time < end_us]
        for event in events[held.told :]:
            yield held.take(event.time)
            held.events.append(event)
            held.told += 1
        yield held.take(end_us)

    # -- from meters to lanes ----------------------------------------------------------

    def _lanes_of(self, work: MeterAtWork, polled: PolledMeter) -> Iterator[Lane]:
        for turn, group in enumerate(polled.groups):
            plan = LanePlan(
                asset=polled.asset,
                polled=group,
                start_us=self.start_us,
                end_us=self.end_us,
                stagger_us=work.meter.stagger_us,
                turn=turn,
                salt=work.meter.seed * 16 + turn,
                troubles=self.troubles,
            )
            yield Lane(work, plan)

    def _events_of(self, work: MeterAtWork, polled: PolledMeter) -> list[Event]:
        """A description is read at the end of the first round, and after a change."""
        period = min(group.period_us for group in polled.groups)
        after = work.meter.stagger_us + len(polled.groups) * TURN_US
        changes = [(self.start_us, 0)]
        changes += [
            (trouble.start_us, trouble.delay_us)
            for trouble in self.troubles
            if trouble.kind in STATE_KINDS and trouble.asset in (None, polled.asset)
        ]
        reads = [-(-at // period) * period + after + delay for at, delay in changes]
        return descriptions(work, polled, reads)


class _Held:
    """Records that were made and have not yet arrived."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.told = 0
        self._keys: list[str] = []
        self._values: list[bytes] = []
        self._arrival_us: list[Longs] = [np.zeros(0, np.int64)]

    def add(self, asset: str, records: Records) -> None:
        self._keys += [asset] * len(records.values)
        self._values += records.values
        self._arrival_us.append(records.arrival_us)

    def take(self, end_us: int | None) -> Delivery:
        """What arrived before this time, in order; None takes all."""
        arrival = np.concatenate(self._arrival_us)
        order = np.argsort(arrival, kind="stable")
        count = len(order)
        if end_us is not None:
            count = int(np.searchsorted(arrival[order], end_us))
        places, rest = order[:count].tolist(), np.sort(order[count:])
        delivery = Delivery(
            tuple(self.events),
            [self._keys[n] for n in places],
            [self._values[n] for n in places],
        )
        self.events = []
        self._keys = [self._keys[n] for n in rest.tolist()]
        self._values = [self._values[n] for n in rest.tolist()]
        self._arrival_us = [arrival[rest]]
        return delivery
