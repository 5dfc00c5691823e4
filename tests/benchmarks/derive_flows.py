"""Raw Bytewax over frames in memory, and derive over the same."""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.operators import StatefulBatchLogic
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.testing import TestingSource, run_main

from dataflows.deriving.operator import Told, derive, route
from dataflows.runtime import _calm_collector
from tests.benchmarks.derive_frames import Frames
from transforms.codec.frame import FrameSchema

__all__ = ["Into", "calm", "derived_seconds", "raw_seconds"]

_RAW_BATCH = 1000
_USUAL = {"event comm_back", "event demand_peak"}


class _Empty(StatefulBatchLogic[bytes, bytes, None]):
    """Gives what it gets, and keeps nothing."""

    def on_batch(self, values: list[bytes]) -> tuple[Iterable[bytes], bool]:
        return values, StatefulBatchLogic.RETAIN

    def snapshot(self) -> None:
        return None


class _Discard(StatelessSinkPartition[Any]):
    def write_batch(self, items: list[Any]) -> None:
        pass


class _Tally(StatelessSinkPartition[Any]):
    """Nearly nothing: what was told, counted by a word."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def write_batch(self, items: list[tuple[str, Told]]) -> None:
        for _, (derived, rejected) in items:
            assert not rejected
            self.counts.update(derived.counts)


class Into(DynamicSink[Any]):
    """Writes to the one part that it is given."""

    def __init__(self, part: StatelessSinkPartition[Any]) -> None:
        self._part = part

    def build(
        self, step_id: str, worker_index: int, worker_count: int
    ) -> StatelessSinkPartition[Any]:
        return self._part


@contextmanager
def calm() -> Iterator[None]:
    """The collector of garbage as it is in a flow's process, until the end."""
    before = gc.get_threshold()
    _calm_collector()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)


def raw_seconds(frames: Frames) -> float:
    """(a): a logic for each asset that does nothing."""
    flow = Dataflow("raw")
    items = op.input("frames", flow, TestingSource(frames.items, _RAW_BATCH))
    op.output(
        "out", op.stateful_batch("empty", items, lambda _: _Empty()), Into(_Discard())
    )
    return _seconds(flow)


def derived_seconds(frames: Frames) -> float:
    """(b): derive as its own flow builds it, with everything on."""
    tally = _Tally()
    flow = Dataflow("derived")
    batches = op.input("log", flow, TestingSource(frames.batches, 1))
    work = op.flat_map("shards", batches, route)

    def schema_of(_: bytes) -> FrameSchema:
        return frames.schema

    told = derive("derive", work, frames.rules, lambda: schema_of, lambda: False, {})
    op.output("records", told, Into(tally))
    took = _seconds(flow)
    assert tally.counts["frames"] == len(frames)
    assert tally.counts["Window"] >= frames.assets
    assert {kind for kind in tally.counts if kind.startswith("event")} <= _USUAL
    return took


def _seconds(flow: Dataflow) -> float:
    with calm():
        started = time.perf_counter()
        run_main(flow)  # type: ignore[no-untyped-call]
        return time.perf_counter() - started
