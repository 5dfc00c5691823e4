from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from textwrap import dedent
from typing import Any

import bytewax.operators as op
import pytest
from bytewax.dataflow import Dataflow
from bytewax.testing import TestingSink

from connectors.log.contract import FRAMES, Batch, Log, OffsetGone
from connectors.log.embedded import EmbeddedLog
from connectors.log.source import LogSource
from connectors.stop import STOP
from tests.connectors.log.contract_suite import numbered
from tests.connectors.log.engine import run_flow

ROOT = Path(__file__).parents[3]


@pytest.fixture
def open_log(tmp_path: Path) -> Callable[[], Log]:
    return partial(EmbeddedLog, tmp_path / "edge.sqlite")


@pytest.fixture
def log(open_log: Callable[[], Log]) -> Iterator[Log]:
    log = open_log()
    yield log
    log.close()


@pytest.fixture(autouse=True)
def no_stop() -> Iterator[None]:
    STOP.requested = False
    yield
    STOP.requested = False


def from_start(_: Log, __: int) -> int:
    return 0


def partition(source: LogSource) -> Any:
    (name,) = source.list_parts()
    return source.build_part("frames", name, None)


def test_its_partitions_are_named_after_the_topic(
    open_log: Callable[[], Log],
) -> None:
    assert LogSource(open_log, FRAMES, from_start).list_parts() == ["pm500.frames-0"]


def test_a_batch_is_one_item(open_log: Callable[[], Log], log: Log) -> None:
    log.append(FRAMES, numbered(*range(25)))
    part = partition(LogSource(open_log, FRAMES, from_start, batch_size=10))
    batches = [part.next_batch() for _ in range(4)]
    assert [len(batch.values) for (batch,) in batches[:3]] == [10, 10, 5]
    assert batches[3] == []
    (first,) = batches[0]
    assert isinstance(first, Batch)
    assert (first.topic, first.partition) == (FRAMES, 0)
    assert list(first.offsets) == list(range(10))
    assert first.next_offset == 10
    assert list(first.keys) == ["plant/area/one"] * 10
    assert list(first.values) == [str(n).encode() for n in range(10)]
    part.close()


def test_it_starts_where_it_is_told(open_log: Callable[[], Log], log: Log) -> None:
    log.append(FRAMES, numbered(1, 2, 3))
    log.store_position("archive", FRAMES, 0, 2)

    def stored(handle: Log, number: int) -> int:
        return handle.position("archive", FRAMES, number) or 0

    part = partition(LogSource(open_log, FRAMES, stored))
    ((batch,)) = part.next_batch()
    assert list(batch.values) == [b"3"]
    part.close()


def test_it_comes_back_at_once_after_a_full_batch_and_soon_when_idle(
    open_log: Callable[[], Log], log: Log
) -> None:
    log.append(FRAMES, numbered(*range(10)))
    part = partition(LogSource(open_log, FRAMES, from_start, batch_size=10))
    part.next_batch()
    assert part.next_awake() is None
    quickest = 1.0
    for _ in range(10):
        started = time.perf_counter()
        assert part.next_batch() == []
        quickest = min(quickest, time.perf_counter() - started)
    assert quickest < 0.01
    wait = part.next_awake().timestamp() - time.time()
    assert 0 < wait <= 0.02
    part.close()


def test_a_stop_gives_one_more_batch_and_leaves_the_rest_in_the_log(
    open_log: Callable[[], Log], log: Log
) -> None:
    log.append(FRAMES, numbered(*range(30)))
    part = partition(LogSource(open_log, FRAMES, from_start, batch_size=10))
    part.next_batch()
    STOP.requested = True
    ((last),) = part.next_batch()
    assert list(last.offsets) == list(range(10, 20))
    with pytest.raises(StopIteration):
        part.next_batch()
    assert part.snapshot() is None
    part.close()


def test_a_position_that_is_gone_ends_the_flow_unless_told_otherwise(
    open_log: Callable[[], Log], log: EmbeddedLog
) -> None:
    log.append(FRAMES, numbered(*range(10)))
    log.take(FRAMES, 4)
    part = partition(LogSource(open_log, FRAMES, from_start))
    with pytest.raises(OffsetGone):
        part.next_batch()
    part.close()

    told: list[OffsetGone] = []

    def from_first(gone: OffsetGone) -> int:
        told.append(gone)
        return gone.first

    part = partition(LogSource(open_log, FRAMES, from_start, on_gone=from_first))
    assert part.next_batch() == []
    assert part.next_awake() is None
    ((batch),) = part.next_batch()
    assert batch.offsets[0] == 4
    assert (told[0].asked, told[0].first) == (0, 4)
    part.close()


def stops_after(wanted: int, seen: list[int]) -> Callable[[Batch], Batch]:
    def watch(batch: Batch) -> Batch:
        seen.extend(batch.offsets)
        STOP.requested = len(seen) >= wanted
        return batch

    return watch


@pytest.mark.parametrize("workers", [1, 2])
def test_a_flow_meets_every_record_once_with_any_number_of_workers(
    open_log: Callable[[], Log], log: Log, workers: int
) -> None:
    log.append(FRAMES, numbered(*range(2500)))
    seen: list[int] = []
    out: list[Batch] = []
    flow = Dataflow("reads")
    batches = op.input("frames", flow, LogSource(open_log, FRAMES, from_start))
    op.output(
        "out", op.map("watch", batches, stops_after(2500, seen)), TestingSink(out)
    )
    run_flow(flow, workers=workers)
    assert seen == list(range(2500))
    assert [len(batch.values) for batch in out] == [1000, 1000, 500]


@pytest.mark.integration
def test_a_flow_with_a_recovery_store_can_be_resumed(
    open_log: Callable[[], Log], log: Log, tmp_path: Path
) -> None:
    log.append(FRAMES, numbered(*range(10)))
    for _ in range(2):
        seen: list[int] = []
        STOP.requested = False
        flow = Dataflow("reads")
        batches = op.input("frames", flow, LogSource(open_log, FRAMES, from_start))
        watched = op.map("watch", batches, stops_after(10, seen))
        op.output("out", watched, TestingSink([]))
        run_flow(flow, recovery_folder=tmp_path / "recovery")
        # The position is the log's or the sink's, never the recovery store's.
        assert seen == list(range(10))


@pytest.mark.integration
def test_a_signal_stops_a_real_flow(log: Log, tmp_path: Path) -> None:
    log.append(FRAMES, numbered(1))
    module = tmp_path / "reads_log.py"
    module.write_text(
        dedent(f"""
        from functools import partial
        from pathlib import Path
        import bytewax.operators as op
        from bytewax.connectors.stdio import StdOutSink
        from bytewax.dataflow import Dataflow
        from connectors.log.embedded import EmbeddedLog
        from connectors.log.source import LogSource
        from connectors.stop import install_stop_signals

        def flow():
            install_stop_signals()
            open_log = partial(EmbeddedLog, Path({str(tmp_path / "edge.sqlite")!r}))
            flow = Dataflow("reads")
            source = LogSource(open_log, "pm500.frames", lambda log, number: 0)
            op.output("out", op.input("frames", flow, source), StdOutSink())
            return flow
        """)
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "bytewax.run", f"{module.stem}:flow"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        assert any("Batch(" in line for line in lines)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
    finally:
        process.kill()
        process.wait()
