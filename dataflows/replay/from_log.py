"""History from a log: Kafka or the edge's own, the bytes as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import compress

import numpy as np
import numpy.typing as npt

from connectors.log.contract import EVENTS, FRAMES, Log, OffsetGone, Record
from dataflows.replay.blocks import Block, in_one
from dataflows.replay.span import Assets, Span
from transforms.codec.framing import CodecError
from transforms.codec.records import Event, decode_record
from transforms.codec.slots import NO_SLOT, slots_of

__all__ = ["LogHistory"]

_BATCH = 5000
# A record is appended after its slot, give or take what a clock was set.
_CLOCK_US = 3_600_000_000

Longs = npt.NDArray[np.int64]


class LogHistory:
    """One topic of a log, up to where it ends now.

    The time of a frame is its slot, that of an event its beginning; other records, and
    bytes that are neither, have the time of their append. ``told`` is given what
    retention took while it was read; ``exact`` orders several partitions by time.
    """

    def __init__(
        self,
        log: Log,
        topic: str,
        span: Span,
        assets: Assets,
        *,
        exact: bool,
        stopping: Callable[[], bool],
        told: Callable[[str], None],
    ) -> None:
        self._log = log
        self._topic = topic
        self._span = span
        self._assets = assets
        self._exact = exact
        self._stopping = stopping
        self._told = told
        self._places = {
            number: self._bounds(number) for number in log.partitions(topic)
        }
        self.total = sum(end - start for start, end in self._places.values())
        self.looked = 0

    def blocks(self) -> Iterator[Block]:
        """The wanted records of all partitions; LogError."""
        streams = [self._read(number, *ends) for number, ends in self._places.items()]
        return in_one(streams, exact=self._exact)

    def _bounds(self, number: int) -> tuple[int, int]:
        first, end = self._log.bounds(self._topic, number)
        span = self._span
        if span.end_offset is not None:
            end = max(first, min(end, span.end_offset))
        if span.start_offset is not None:
            first = min(max(first, span.start_offset), end)
        if span.start_us is not None:
            first = self._seek(number, first, end, span.start_us - _CLOCK_US)
        return first, end

    def _seek(self, number: int, first: int, end: int, appended_us: int) -> int:
        """About the first record that was appended at this time or later."""
        while end - first > _BATCH:
            middle = (first + end) // 2
            try:
                found = self._log.read(self._topic, number, middle, 1)
            except OffsetGone as gone:
                first = gone.first
                continue
            if found and found[0].time_us < appended_us:
                first = found[0].offset + 1
            else:
                end = middle
        return first

    def _read(self, number: int, start: int, end: int) -> Iterator[Block]:
        while start < end and not self._stopping():
            try:
                records = self._log.read(
                    self._topic, number, start, min(_BATCH, end - start)
                )
            except OffsetGone as gone:
                self._told(f"{gone}: going on there")
                self.looked += min(gone.first, end) - start
                start = gone.first
                continue
            # Offsets without a record may lie between.
            records = [record for record in records if record.offset < end]
            if not records:
                return
            following = records[-1].offset + 1
            yield self._block(records)
            self.looked += following - start
            start = following

    def _block(self, records: Sequence[Record]) -> Block:
        _, appended_us, keys, values = zip(*records, strict=True)
        times_us = self._times(values, np.array(appended_us, np.int64))
        wanted = np.ones(len(keys), np.bool_)
        if self._span.start_us is not None:
            wanted &= times_us >= self._span.start_us
        if self._span.end_us is not None:
            wanted &= times_us < self._span.end_us
        if not self._assets.all:
            wanted &= np.fromiter(map(self._assets.want, keys), np.bool_, len(keys))
        if wanted.all():
            return Block(times_us, keys, values)
        kept = wanted.tolist()
        return Block(
            times_us[wanted], list(compress(keys, kept)), list(compress(values, kept))
        )

    def _times(self, values: Sequence[bytes], appended_us: Longs) -> Longs:
        match self._topic:
            case topic if topic == FRAMES:
                slots = slots_of(values)
                return np.where(slots == NO_SLOT, appended_us, slots)
            case topic if topic == EVENTS:
                own = zip(values, appended_us.tolist(), strict=True)
                times = (_event_time(value, instant) for value, instant in own)
                return np.fromiter(times, np.int64, len(values))
            case _:
                return appended_us


def _event_time(value: bytes, appended_us: int) -> int:
    try:
        record = decode_record(value)
    except CodecError:
        return appended_us
    return record.time if isinstance(record, Event) else appended_us
