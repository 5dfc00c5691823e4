"""When the sink rolls, and what it does while the disk refuses."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path
from threading import Event as Signal

import bytewax.operators as op
import polars as pl
import pytest
from bytewax.dataflow import Dataflow
from bytewax.outputs import StatefulSinkPartition
from bytewax.testing import TestingSource, cluster_main, run_main

from connectors.log.contract import EVENTS, FRAMES, Batch
from connectors.log.embedded import EmbeddedLog
from sinks.archive.commit import SecondWriter
from sinks.archive.writer import ArchiveWriter
from sinks.contract import Host, LogBatch
from sinks.rolls.committer import Committer
from sinks.rolls.contract import Refused, roll_now
from sinks.rolls.sink import Rolls, RollSink
from tests.kit import until
from tests.sinks.archive.making import REALTIME, Writer, batch_of, frame, make_log
from transforms.codec.records import Event

NAME = f"{FRAMES}-0"


class Flow:
    """The sink with a clock wound by hand, and what its host was told."""

    def __init__(
        self, tmp_path: Path, rolls: Rolls, background: Executor | None = None
    ) -> None:
        self.now = 0.0
        self.holds: list[str] = []
        self.stopping = False
        self.on_hold: Callable[[], None] = lambda: None
        self.folder = tmp_path / "a"
        self.log = make_log(tmp_path / "log.sqlite")
        self.writer = Writer(self.folder, self.log)
        self.sink = RollSink(
            {NAME: lambda: self.writer.writer},
            rolls=rolls,
            host=lambda _: Host(
                hold=self._hold, clear=lambda: None, stopping=lambda: self.stopping
            ),
            background=background,
            retry_seconds=0.0,
            clock=lambda: self.now,
        )
        self.part: StatefulSinkPartition[LogBatch | None, None] = self.sink.build_part(
            "archive", NAME, None
        )

    def _hold(self, reason: str) -> None:
        self.holds.append(reason)
        self.on_hold()

    def append(self, seconds: int) -> Batch:
        offsets = self.log.append(FRAMES, [("s/a/m", frame(REALTIME, seconds))])
        return batch_of(self.log, FRAMES, offsets)

    def ticked(self) -> list[int]:
        self.part.write_batch([None])
        return self.writer.stored

    @property
    def rows(self) -> int:
        table = self.folder / "frames/realtime"
        return pl.scan_delta(str(table)).collect().height if table.exists() else 0


def _rolls(rows: int = 10**9, size: int = 10**9, seconds: float = 1e9) -> Rolls:
    return Rolls(count=rows, bytes=size, seconds=seconds)


def test_files_roll_by_rows(tmp_path: Path) -> None:
    flow = Flow(tmp_path, _rolls(rows=3))
    flow.part.write_batch([flow.append(0), flow.append(1)])
    assert flow.rows == 0
    flow.part.write_batch([flow.append(2)])
    assert flow.rows == 3


def test_a_batch_is_cut_where_a_roll_ends(tmp_path: Path) -> None:
    flow = Flow(tmp_path, _rolls(rows=3))
    for second in range(8):
        flow.append(second)
    flow.part.write_batch([batch_of(flow.log, FRAMES, range(8))])
    assert flow.rows == 6
    assert flow.writer.stored == [3, 6]
    flow.part.close()
    assert flow.writer.stored == [3, 6, 8]


def test_files_roll_by_bytes(tmp_path: Path) -> None:
    flow = Flow(tmp_path, _rolls(size=2 * len(frame(REALTIME, 0))))
    flow.part.write_batch([flow.append(0)])
    assert flow.rows == 0
    flow.part.write_batch([flow.append(1)])
    assert flow.rows == 2


def test_files_roll_by_the_age_of_their_first_row_at_a_tick(tmp_path: Path) -> None:
    flow = Flow(tmp_path, _rolls(seconds=300))
    flow.part.write_batch([None])
    flow.now = 1000
    flow.part.write_batch([flow.append(0)])
    flow.now = 1299
    flow.part.write_batch([None])
    assert flow.rows == 0
    flow.now = 1300
    flow.part.write_batch([None])
    assert flow.rows == 1
    assert flow.writer.stored == [1]


def test_nothing_new_commits_nothing(tmp_path: Path) -> None:
    flow = Flow(tmp_path, _rolls(seconds=0))
    flow.part.write_batch([flow.append(0)])
    flow.part.write_batch([None, None])
    assert flow.writer.stored == [1]


def test_a_close_commits_what_is_left(tmp_path: Path) -> None:
    flow = Flow(tmp_path, _rolls())
    flow.part.write_batch([flow.append(0)])
    flow.part.close()
    assert flow.rows == 1


def test_a_refusing_disk_is_held_until_it_accepts(tmp_path: Path) -> None:
    flow = Flow(tmp_path, _rolls(rows=1))
    flow.part.write_batch([flow.append(0)])
    flow.folder.rename(tmp_path / "away")
    flow.folder.touch()

    def repair() -> None:
        if len(flow.holds) == 3:
            flow.folder.unlink()
            (tmp_path / "away").rename(flow.folder)

    flow.on_hold = repair
    flow.part.write_batch([flow.append(1)])
    assert len(flow.holds) == 3
    assert flow.rows == 2


def test_a_stop_while_held_gives_up_quietly_and_loses_nothing(tmp_path: Path) -> None:
    flow = Flow(tmp_path, _rolls(rows=1))
    flow.part.write_batch([flow.append(0)])
    flow.folder.rename(tmp_path / "away")
    flow.folder.touch()
    flow.stopping = True
    flow.part.write_batch([flow.append(1)])
    flow.part.write_batch([flow.append(2)])
    flow.part.close()
    flow.folder.unlink()
    (tmp_path / "away").rename(flow.folder)
    again = Writer(flow.folder, flow.log)
    again.roll(range(1, 3))
    assert flow.rows == 3


def test_the_next_roll_is_collected_while_one_is_committed(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as background:
        flow = Flow(tmp_path, _rolls(rows=2), background)
        let_go = Signal()
        background.submit(let_go.wait)
        flow.part.write_batch([flow.append(0), flow.append(1)])
        flow.part.write_batch([flow.append(2), None])
        assert (flow.rows, flow.writer.stored) == (0, [])
        let_go.set()
        until(lambda: flow.ticked() == [2], "the first roll")
        assert flow.rows == 2
        flow.part.close()
        assert (flow.rows, flow.writer.stored) == (3, [2, 3])


def test_a_roll_refused_in_the_background_is_tried_again_before_the_next(
    tmp_path: Path,
) -> None:
    with ThreadPoolExecutor(1) as background:
        flow = Flow(tmp_path, _rolls(rows=1), background)
        flow.part.write_batch([flow.append(0)])
        until(lambda: flow.ticked() == [1], "the first roll")
        flow.folder.rename(tmp_path / "away")
        flow.folder.touch()

        def repair() -> None:
            if len(flow.holds) == 3:
                flow.folder.unlink()
                (tmp_path / "away").rename(flow.folder)

        flow.on_hold = repair
        flow.part.write_batch([flow.append(1)])
        flow.part.write_batch([flow.append(2)])
        flow.part.close()
        assert len(flow.holds) == 3
        assert (flow.rows, flow.writer.stored) == (3, [1, 2, 3])


def test_a_second_writer_met_in_the_background_ends_the_flow(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as background:
        flow = Flow(tmp_path, _rolls(rows=2), background)
        flow.part.write_batch([flow.append(0)])
        Writer(flow.folder, flow.log).roll(range(1))
        flow.part.write_batch([flow.append(1)])
        with pytest.raises(SecondWriter):
            flow.part.write_batch([flow.append(2), flow.append(3)])
        flow.part.close()
        assert flow.rows == 1


def test_a_second_writer_ends_the_flow(tmp_path: Path) -> None:
    flow = Flow(tmp_path, _rolls(rows=2))
    flow.part.write_batch([flow.append(0)])
    Writer(flow.folder, flow.log).roll(range(1))
    with pytest.raises(SecondWriter):
        flow.part.write_batch([flow.append(1)])
    flow.part.close()
    assert flow.rows == 1


def test_a_flow_lives_while_it_waits_to_try_again() -> None:
    alive: list[None] = []

    class Late:
        tries = 0

        def commit(self) -> None:
            self.tries += 1
            if self.tries == 1:
                raise Refused("later", 0.3)

    class Writes:
        count = bytes = 0
        close = stop = lambda _: None

        def add(self, batch: LogBatch) -> None: ...

        def cut(self) -> Late:
            return Late()

        def committed(self, roll: Late) -> None:
            assert roll.tries == 2

    host = Host(
        hold=lambda _: None,
        clear=lambda: None,
        stopping=lambda: False,
        alive=lambda: alive.append(None),
    )
    committer = Committer(Writes(), host=host, background=None, retry_seconds=60.0)
    assert committer.roll()
    assert len(alive) > 3


@pytest.mark.parametrize("workers", [1, 2])
def test_the_engine_routes_each_partition_to_its_own_writer(
    tmp_path: Path, workers: int
) -> None:
    with make_log(tmp_path / "log.sqlite") as log:
        log.append(FRAMES, [("s/a/m", frame(REALTIME, s)) for s in range(5)])
        event = Event(asset="s/a/m", kind="comm_lost", time=0)
        log.append(EVENTS, [("s/a/m", event.encode())])
        items = [
            (NAME, batch_of(log, FRAMES, range(5))),
            (f"{EVENTS}-0", batch_of(log, EVENTS, range(1))),
            (NAME, None),
        ]
    sink = RollSink(
        {f"{topic}-0": partial(_writer, tmp_path, topic) for topic in (FRAMES, EVENTS)},
        rolls=_rolls(),
        host=lambda _: Host(hold=print, clear=lambda: None, stopping=lambda: False),
    )
    flow = Dataflow("test")
    op.output("archive", op.input("items", flow, TestingSource(items)), sink)
    if workers == 1:
        run_main(flow, epoch_interval=timedelta(0))  # type: ignore[no-untyped-call]
    else:
        cluster_main(flow, [], 0, worker_count_per_proc=workers)  # type: ignore[no-untyped-call]
    assert pl.scan_delta(str(tmp_path / "a/frames/realtime")).collect().height == 5
    assert pl.scan_delta(str(tmp_path / "a/events")).collect().height == 1


def _writer(tmp_path: Path, topic: str) -> ArchiveWriter:
    log = EmbeddedLog(tmp_path / "log.sqlite")
    return Writer(tmp_path / "a", log, topic).writer


def test_nothing_is_committed_before_the_log_is_durable(tmp_path: Path) -> None:
    flow = Flow(tmp_path, _rolls())
    rows = flow.writer.rows

    def refuse() -> None:
        raise OSError("cannot sync")

    writer = ArchiveWriter(
        flow.writer.archive, rows, settle=refuse, bury=print, stored=print
    )
    writer.add(flow.append(0))
    with pytest.raises(OSError, match="cannot sync"):
        roll_now(writer)
    assert flow.rows == 0
