from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bytewax.operators as op
import pytest
from bytewax.dataflow import Dataflow
from bytewax.testing import TestingSource
from structlog.testing import capture_logs

from connectors.log.contract import EVENTS, FRAMES, SCHEMAS, Log, LogError, Record
from connectors.log.embedded import EmbeddedLog
from sinks.log import LogSink
from tests.connectors.log.engine import run_flow
from tests.connectors.log.tmpfs import fill, small_disk
from transforms.codec.records import Event, decode_record

ASSET = "plant/hall/press"
PLENTY = 1_000_000


class Disk:
    """A log whose room can be taken away and given back, by SQLite's own page limit."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.handles: list[EmbeddedLog] = []

    def open(self) -> EmbeddedLog:
        log = EmbeddedLog(self.path, busy_timeout_seconds=0.05)
        self.handles.append(log)
        return log

    def pages(self, pages: int) -> None:
        self.handles[-1]._db.execute(f"PRAGMA max_page_count={pages}")

    def read(self, topic: str = FRAMES) -> list[Record]:
        with EmbeddedLog(self.path) as log:
            first, _ = log.bounds(topic, 0)
            return log.read(topic, 0, first, 1_000_000)

    def numbers(self) -> list[int]:
        return [int(record.value[:10]) for record in self.read()]

    def event(self) -> Event:
        (record,) = self.read(EVENTS)
        event = decode_record(record.value)
        assert isinstance(event, Event)
        return event


class Counted:
    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.gauges: dict[str, float] = {}

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        self.counts[name] += int(amount)

    def gauge(self, name: str, value: float, **labels: str) -> None:
        self.gauges[name] = value

    def observe(self, name: str, value: float, **labels: str) -> None:
        raise AssertionError(name)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    disk = Disk(tmp_path / "edge.sqlite")
    yield disk
    for handle in disk.handles:
        handle.close()


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every write tries again, so that a test needs no time."""
    monkeypatch.setattr("sinks.log._RETRY_SECONDS", 0.0)


def numbered(*numbers: int) -> list[tuple[str, bytes]]:
    # A page holds about three of them: a full log is full at once.
    return [(ASSET, f"{number:010}".encode() + bytes(1000)) for number in numbers]


def part_of(disk: Disk, **keywords: Any) -> Any:
    keywords = {"buffer_records": 100, **keywords}
    return LogSink(disk.open, FRAMES, **keywords).build_part("log", "log", None)


def test_records_are_in_the_log_when_the_write_returns(disk: Disk) -> None:
    metrics = Counted()
    part = part_of(disk, metrics=metrics)
    part.write_batch(numbered(1, 2))
    assert disk.numbers() == [1, 2]
    assert disk.read()[0].key == ASSET
    assert metrics.counts["pm500_log_appended_total"] == 2
    assert disk.read(EVENTS) == []
    part.close()


@pytest.mark.usefixtures("at_once")
def test_a_full_log_is_held_said_and_caught_up_in_order(disk: Disk) -> None:
    said: list[str] = []
    metrics = Counted()
    part = part_of(
        disk,
        metrics=metrics,
        on_hold=lambda reason: said.append(f"hold: {reason}"),
        on_clear=lambda: said.append("clear"),
    )
    part.write_batch(numbered(0))
    disk.pages(1)
    before_us = time.time_ns() // 1000
    with capture_logs() as logs:
        for number in range(1, 41):
            part.write_batch(numbered(number))
    # Said once, at once, and not with every write.
    assert [entry["event"] for entry in logs] == ["log_refuses"]
    assert said == [f"hold: {disk.path}: database or disk is full"]
    kept = len(disk.numbers())
    assert metrics.gauges["pm500_log_held_records"] == 41 - kept > 30

    disk.pages(PLENTY)
    part.write_batch(numbered(41))
    assert disk.numbers() == list(range(42))
    assert said[1:] == ["clear"]
    assert metrics.gauges["pm500_log_held_records"] == 0
    assert metrics.counts["pm500_log_dropped_total"] == 0
    event = disk.event()
    assert (event.kind, event.severity) == ("log_full", "warning")
    assert event.until is not None
    assert before_us <= event.time < event.until
    assert event.data == {"topic": FRAMES, "held": str(42 - kept), "dropped": "0"}
    part.close()


@pytest.mark.usefixtures("at_once")
def test_beyond_the_bound_the_oldest_go_and_are_counted(disk: Disk) -> None:
    metrics = Counted()
    part = part_of(disk, metrics=metrics, buffer_records=10)
    part.write_batch(numbered(0))
    disk.pages(1)
    part.write_batch(numbered(*range(1, 31)))
    disk.pages(PLENTY)
    part.write_batch(numbered(31))
    assert disk.numbers() == [0, *range(22, 32)]
    assert metrics.counts["pm500_log_dropped_total"] == 21
    event = disk.event()
    assert (event.severity, event.data["dropped"]) == ("error", "21")
    assert event.data["held"] == "10"
    part.close()


@pytest.mark.usefixtures("at_once")
def test_every_full_disk_is_an_event_of_its_own(disk: Disk) -> None:
    part = part_of(disk)
    for number in range(3):
        disk.pages(1)
        part.write_batch(numbered(*range(10 * number, 10 * number + 10)))
        disk.pages(PLENTY)
        part.snapshot()
    assert disk.numbers() == list(range(30))
    records = [decode_record(record.value) for record in disk.read(EVENTS)]
    assert len({record.id for record in records}) == 3
    part.close()


def test_between_two_attempts_nothing_is_tried(disk: Disk) -> None:
    part = part_of(disk)
    disk.pages(1)
    part.write_batch(numbered(*range(10)))
    disk.pages(PLENTY)
    part.write_batch(numbered(10))
    assert disk.numbers() == []
    deadline = time.monotonic() + 10
    while not disk.read() and time.monotonic() < deadline:
        time.sleep(0.02)
        part.snapshot()
    assert disk.numbers() == list(range(11))
    part.close()


def test_a_stop_makes_a_last_attempt(disk: Disk) -> None:
    part = part_of(disk)
    disk.pages(1)
    part.write_batch(numbered(*range(10)))
    disk.pages(PLENTY)
    part.close()
    assert disk.numbers() == list(range(10))
    assert disk.event().kind == "log_full"


def test_what_a_stop_loses_is_said(disk: Disk) -> None:
    part = part_of(disk)
    disk.pages(1)
    part.write_batch(numbered(*range(10)))
    with capture_logs() as logs:
        part.close()
    assert {"event": "log_records_lost", "topic": FRAMES, "records": 10} in [
        {name: value for name, value in entry.items() if name != "log_level"}
        for entry in logs
    ]


@pytest.mark.usefixtures("at_once")
def test_a_long_backlog_is_caught_up_over_several_writes(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sinks.log._CATCH_UP_SECONDS", 0.0)
    part = part_of(disk, buffer_records=5000)
    disk.pages(1)
    part.write_batch(numbered(*range(2500)))
    disk.pages(PLENTY)
    part.snapshot()
    assert disk.numbers() == list(range(1000))
    part.write_batch(numbered(2500))
    assert disk.numbers() == list(range(2000))
    part.snapshot()
    part.snapshot()
    assert disk.numbers() == list(range(2501))
    assert disk.event().data["held"] == "2500"
    part.close()


@pytest.mark.usefixtures("at_once")
def test_a_log_that_is_locked_is_held_too_and_named_otherwise(disk: Disk) -> None:
    part = part_of(disk)
    with EmbeddedLog(disk.path) as other, other._transaction():
        part.write_batch(numbered(1))
    part.write_batch(numbered(2))
    assert disk.numbers() == [1, 2]
    assert disk.event().kind == "log_refused"
    part.close()


def test_a_log_that_is_none_is_an_error_at_the_start(disk: Disk) -> None:
    disk.path.write_bytes(b"something else, and long enough to be looked at " * 9)
    with pytest.raises(LogError, match="not a database"):
        part_of(disk)


def test_the_log_is_prepared_before_its_first_record(disk: Disk) -> None:
    def prepare(log: Log) -> None:
        log.append(SCHEMAS, [("00", b"{}")])

    part = part_of(disk, prepare=prepare)
    part.write_batch(numbered(1))
    part.write_batch(numbered(2))
    assert len(disk.read(SCHEMAS)) == 1
    part.close()


@pytest.mark.usefixtures("at_once")
@pytest.mark.integration
def test_a_disk_that_is_full_at_the_start_is_waited_for(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 4_000_000) as folder:
        ballast = fill(folder)
        disk = Disk(folder / "log" / "edge.sqlite")
        said: list[str] = []

        def prepare(log: Log) -> None:
            log.append(SCHEMAS, [("00", b"{}")])

        part = part_of(disk, prepare=prepare, on_hold=said.append)
        assert len(said) == 1
        part.write_batch(numbered(0, 1))
        ballast.unlink()
        part.write_batch(numbered(2))
        assert disk.numbers() == [0, 1, 2]
        assert len(disk.read(SCHEMAS)) == 1
        part.close()


@pytest.mark.usefixtures("at_once")
@pytest.mark.integration
def test_on_a_really_full_disk_polling_goes_on(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 8_000_000) as folder:
        disk = Disk(folder / "edge.sqlite")
        part = part_of(disk, buffer_records=10_000)
        part.write_batch(numbered(0))
        ballast = fill(folder, leave_bytes=200_000)
        waits = []
        for number in range(1, 2001):
            started = time.perf_counter()
            part.write_batch(numbered(number))
            waits.append(time.perf_counter() - started)
        assert len(disk.numbers()) < 1000
        ballast.unlink()
        part.write_batch(numbered(2001))
        assert disk.numbers() == list(range(2002))
        assert disk.event().data["dropped"] == "0"
        assert statistics.median(waits) < 0.1
        part.close()


@pytest.mark.usefixtures("at_once")
@pytest.mark.integration
def test_a_flow_goes_on_while_its_disk_is_full(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 8_000_000) as folder:
        disk = Disk(folder / "edge.sqlite")

        def step(item: tuple[str, bytes]) -> tuple[str, tuple[str, bytes]]:
            match int(item[1][:10]):
                case 300:
                    fill(folder, leave_bytes=100_000)
                case 900:
                    (folder / "ballast").unlink()
            return item[0], item

        flow = Dataflow("writes")
        source = TestingSource(numbered(*range(1000)), batch_size=1)
        items = op.map("step", op.input("in", flow, source), step)
        metrics = Counted()
        sink = LogSink(
            lambda: EmbeddedLog(disk.path), FRAMES, buffer_records=900, metrics=metrics
        )
        op.output("log", items, sink)
        run_flow(flow)
        assert disk.numbers() == list(range(1000))
        assert disk.event().kind == "log_full"
        assert int(disk.event().data["held"]) > 300


@pytest.mark.parametrize("workers", [1, 2])
def test_a_flow_appends_in_order_with_any_number_of_workers(
    disk: Disk, workers: int
) -> None:
    items = [(key, (key, value)) for key, value in numbered(*range(500))]
    flow = Dataflow("writes")
    records = op.input("in", flow, TestingSource(items, batch_size=7))
    sink = LogSink(lambda: EmbeddedLog(disk.path), FRAMES, buffer_records=100)
    op.output("log", records, sink)
    run_flow(flow, workers=workers)
    assert disk.numbers() == list(range(500))
