"""Gaps and 10 s windows of a topic alone: derive's lanes in a flow of their own.

``python -m tests.benchmarks.derive_windows SERVERS FRAMES``: frames from Kafka, their
missing slots and the encoded windows of all readings, which are thrown away. Prints the
seconds from the first message to the last.

One process reads all partitions here, and an asset is always of one of them: lanes are
kept by partition. Derive has a process for each partition, and shards in it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from typing import NamedTuple

import bytewax.operators as op
import numpy as np
from bytewax.dataflow import Dataflow
from bytewax.operators import KeyedStream, StatefulBatchLogic
from bytewax.outputs import StatelessSinkPartition
from bytewax.testing import run_main

from connectors.log.contract import FRAMES, Batch
from connectors.log.kafka.client import KafkaClient
from connectors.log.kafka.source import Consumers, KafkaSource
from connectors.profiles import load_profile
from connectors.stop import STOP
from tests.benchmarks.derive_flows import Into, calm
from tests.benchmarks.kafka_topic import ASSETS, PARTITIONS
from transforms.calendar import Calendar
from transforms.codec.frame import FrameSchema, frame_schema
from transforms.codec.keys import Keys
from transforms.codec.records import LedgerHour
from transforms.codec.sift import Sifter
from transforms.over_time import live_quantities
from transforms.sequence import Sequence
from transforms.windows.bay import Bay, BayOut, WindowRules
from transforms.windows.cells import Slots
from transforms.windows.tails import tails_of

_PERIOD_US = 1_000_000
_LENGTH_US = 10_000_000


class Counted(NamedTuple):
    """What a batch came to: frames, encoded windows, and events of gaps."""

    frames: int
    windows: list[bytes]
    events: int


class _Lanes(StatefulBatchLogic[Batch, Counted, None]):
    """The assets of one partition."""

    def __init__(self, schema: FrameSchema) -> None:
        self._schema = schema
        self._sifter = Sifter()
        self._bay = Bay(
            schema,
            _PERIOD_US,
            WindowRules(calendar=Calendar("UTC"), lengths_us=(_LENGTH_US,)),
            may_freeze=live_quantities(schema.names),
        )

    def on_batch(self, values: list[Batch]) -> tuple[Iterable[Counted], bool]:
        return [self._take(batch) for batch in values], StatefulBatchLogic.RETAIN

    def snapshot(self) -> None:
        return None

    def _take(self, batch: Batch) -> Counted:
        columns = self._sifter.whole(self._schema, batch.keys, batch.values)
        assert columns is not None
        keys = Keys.of(batch.keys).compact()
        lanes = np.array([self._lane(text) for text in keys.texts])[keys.codes]
        values = np.array(list(columns.readings.values())).T
        slots = Slots(lanes, columns.slot_us, columns.status, columns.quality, values)
        out = self._bay.take(slots)
        events = [each for each in out.records if not isinstance(each, LedgerHour)]
        return Counted(len(lanes), self._encoded(out), len(events))

    def _lane(self, asset: str) -> int:
        lane = self._bay.lane_of.get(asset)
        if lane is None:
            sequence = Sequence(asset, self._schema.group, _PERIOD_US)
            lane = self._bay.lane(asset, sequence)
        return lane

    def _encoded(self, out: BayOut) -> list[bytes]:
        encoded: list[bytes] = []
        schema = self._bay.windows
        for told in out.windows:
            rows = told.rows
            encoded += schema.encode(
                [self._bay.assets[lane] for lane in told.lanes.tolist()],
                told.length_us, rows["start"], rows["end"], told.due, rows["good"],
                told.revision, tails_of(schema, rows, told.due, told.code),
            )  # fmt: skip
        return encoded


class _Last(StatelessSinkPartition[tuple[str, Counted]]):
    """Counts until the last frame is done, and stops the source."""

    def __init__(self, frames: int) -> None:
        self._left = frames
        self.windows = self.events = 0
        self.at = 0.0

    def write_batch(self, items: list[tuple[str, Counted]]) -> None:
        for _, counted in items:
            self._left -= counted.frames
            self.windows += len(counted.windows)
            self.events += counted.events
        if self._left <= 0 and not self.at:
            self.at = time.perf_counter()
            STOP.requested = True


def measure(servers: str, frames: int) -> float:
    """The seconds; every asset has windows, and no slot is missing."""
    profile = load_profile("pm500")
    schema = frame_schema(profile, profile.group_named("realtime"))
    first: list[float] = []

    def partition(batch: Batch) -> str:
        if not first:
            first.append(time.perf_counter())
        return str(batch.partition)

    consumers = Consumers(
        KafkaClient(bootstrap_servers=servers), "windows", held=lambda _: None
    )
    source = KafkaSource(
        consumers,
        FRAMES,
        dict.fromkeys(range(PARTITIONS), 0),
        on_gone=lambda gone: gone.first,
    )
    last = _Last(frames)
    flow = Dataflow("windows")
    work = op.key_on("partition", op.input("log", flow, source), partition)
    told: KeyedStream[Counted] = op.stateful_batch(
        "lanes", work, lambda _: _Lanes(schema)
    )
    op.output("out", told, Into(last))
    with calm():
        run_main(flow)  # type: ignore[no-untyped-call]
    assert last.windows >= ASSETS
    assert last.events == 0
    return last.at - first[0]


if __name__ == "__main__":
    print(measure(sys.argv[1], int(sys.argv[2])))
