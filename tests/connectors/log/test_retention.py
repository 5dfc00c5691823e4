from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.log.contract import DEAD, EVENTS, FRAMES, SCHEMAS, OffsetGone
from connectors.log.embedded import EmbeddedLog
from connectors.log.retention import RetentionThread, Taken, event_of, retain
from transforms.codec.records import Event, decode_record

SECOND = 1_000_000
NO_LIMIT = 10**12


class Clock:
    us = 0

    def __call__(self) -> int:
        return self.us


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def log(tmp_path: Path, clock: Clock) -> Iterator[EmbeddedLog]:
    with EmbeddedLog(tmp_path / "edge.sqlite", clock_us=clock) as log:
        yield log


def no_pause(_: float) -> None:
    pass


def one_each_second(log: EmbeddedLog, clock: Clock, topic: str, count: int) -> None:
    """Record n is appended at second n."""
    for _ in range(count):
        log.append(topic, [("plant/area/one", bytes(1000))])
        clock.us += SECOND


def megabytes(log: EmbeddedLog, clock: Clock, topic: str, count: int) -> None:
    for _ in range(count):
        log.append(topic, [("plant/area/one", bytes(1000))] * 1000)
        clock.us += SECOND


def by_age(log: EmbeddedLog, now_us: int, seconds: int) -> tuple[Taken, ...]:
    return retain(
        log,
        now_us=now_us,
        max_age_us=seconds * SECOND,
        max_bytes=NO_LIMIT,
        pause=no_pause,
    )


def by_size(log: EmbeddedLog, max_bytes: int) -> tuple[Taken, ...]:
    return retain(
        log, now_us=0, max_age_us=NO_LIMIT, max_bytes=max_bytes, pause=no_pause
    )


def test_nothing_goes_from_a_young_and_small_log(
    log: EmbeddedLog, clock: Clock
) -> None:
    one_each_second(log, clock, FRAMES, 10)
    assert by_age(log, clock.us, 10) == ()
    assert log.bounds(FRAMES, 0) == (0, 10)


def test_what_is_older_than_the_age_goes(log: EmbeddedLog, clock: Clock) -> None:
    one_each_second(log, clock, FRAMES, 10)
    (taken,) = by_age(log, clock.us, 4)
    assert taken == Taken(
        topic=FRAMES,
        first_offset=0,
        last_offset=5,
        first_us=0,
        last_us=5 * SECOND,
        readers=(),
    )
    assert taken.records == 6
    assert log.bounds(FRAMES, 0) == (6, 10)


def test_age_takes_chunk_after_chunk(log: EmbeddedLog, clock: Clock) -> None:
    megabytes(log, clock, FRAMES, 5)
    (taken,) = by_age(log, clock.us, 2)
    assert (taken.first_offset, taken.last_offset) == (0, 2999)
    assert log.bounds(FRAMES, 0) == (3000, 5000)


def test_age_spares_what_the_slowest_reader_needs(
    log: EmbeddedLog, clock: Clock
) -> None:
    one_each_second(log, clock, FRAMES, 10)
    log.store_position("publish", FRAMES, 0, 9)
    log.store_position("archive", FRAMES, 0, 3)
    (taken,) = by_age(log, clock.us, 0)
    assert (taken.last_offset, taken.readers) == (2, ())
    assert log.bounds(FRAMES, 0) == (3, 10)
    log.store_position("archive", FRAMES, 0, 10)
    by_age(log, clock.us, 0)
    assert log.bounds(FRAMES, 0) == (9, 10)


def test_a_reader_of_one_topic_spares_no_other(log: EmbeddedLog, clock: Clock) -> None:
    one_each_second(log, clock, FRAMES, 5)
    one_each_second(log, clock, EVENTS, 5)
    log.store_position("archive", FRAMES, 0, 0)
    by_age(log, clock.us, 0)
    assert log.bounds(FRAMES, 0) == (0, 5)
    assert log.bounds(EVENTS, 0) == (5, 5)


def test_schemas_are_never_taken(log: EmbeddedLog, clock: Clock) -> None:
    one_each_second(log, clock, SCHEMAS, 5)
    assert by_age(log, clock.us, 0) == ()
    assert by_size(log, 1) == ()
    assert log.bounds(SCHEMAS, 0) == (0, 5)


def test_a_clock_that_was_set_back_keeps_what_lies_behind_it(
    log: EmbeddedLog, clock: Clock
) -> None:
    clock.us = 100 * SECOND
    one_each_second(log, clock, FRAMES, 2)
    clock.us = 0
    one_each_second(log, clock, FRAMES, 2)
    assert by_age(log, 50 * SECOND, 10) == ()
    assert log.bounds(FRAMES, 0) == (0, 4)


def test_size_takes_the_oldest_until_the_bound_holds(
    log: EmbeddedLog, clock: Clock
) -> None:
    megabytes(log, clock, FRAMES, 10)
    (taken,) = by_size(log, 5_000_000)
    assert taken.first_offset == 0
    assert taken.readers == ()
    assert 4_000_000 < log.used_bytes() <= 5_000_000
    assert log.bounds(FRAMES, 0) == (taken.last_offset + 1, 10_000)


def test_size_takes_what_nobody_needs_first_though_it_is_younger(
    log: EmbeddedLog, clock: Clock
) -> None:
    megabytes(log, clock, FRAMES, 3)
    megabytes(log, clock, EVENTS, 3)
    log.store_position("archive", FRAMES, 0, 0)
    (taken,) = by_size(log, 5_000_000)
    assert (taken.topic, taken.readers) == (EVENTS, ())
    assert log.bounds(FRAMES, 0) == (0, 3000)


def test_size_takes_the_older_of_two_topics(log: EmbeddedLog, clock: Clock) -> None:
    megabytes(log, clock, DEAD, 2)
    megabytes(log, clock, FRAMES, 3)
    by_size(log, 4_500_000)
    assert log.bounds(DEAD, 0)[0] > 0
    assert log.bounds(FRAMES, 0) == (0, 3000)


def test_over_the_bound_readers_lose_and_it_is_said_who_and_what(
    log: EmbeddedLog, clock: Clock
) -> None:
    megabytes(log, clock, FRAMES, 10)
    log.store_position("archive", FRAMES, 0, 1500)
    log.store_position("publish", FRAMES, 0, 9000)
    unneeded, needed = by_size(log, 5_000_000)
    assert (unneeded.last_offset, unneeded.readers) == (1499, ())
    assert needed.readers == ("archive",)
    assert needed.first_offset == 1500
    assert needed.first_us == 1 * SECOND
    assert log.used_bytes() <= 5_000_000
    with pytest.raises(OffsetGone) as gone:
        log.read(FRAMES, 0, 1500, 10)
    assert gone.value.first == needed.last_offset + 1


def test_each_reader_s_loss_is_a_run_of_its_own(log: EmbeddedLog, clock: Clock) -> None:
    megabytes(log, clock, FRAMES, 10)
    log.store_position("archive", FRAMES, 0, 0)
    log.store_position("publish", FRAMES, 0, 2500)
    first, second = by_size(log, 5_000_000)
    assert (first.readers, first.last_offset) == (("archive",), 2499)
    assert (second.readers, second.first_offset) == (("archive", "publish"), 2500)


def test_freed_pages_are_used_again(log: EmbeddedLog, clock: Clock) -> None:
    for _ in range(12):
        megabytes(log, clock, FRAMES, 2)
        by_size(log, 4_000_000)
    log._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert log.path.stat().st_size < 8_000_000


def test_the_event_names_topic_range_and_readers() -> None:
    taken = Taken(
        topic=FRAMES,
        first_offset=10,
        last_offset=29,
        first_us=5,
        last_us=9,
        readers=("archive", "publish"),
    )
    event = event_of("a-log", taken)
    assert (event.kind, event.time, event.until) == ("log_truncated", 5, 9)
    assert event.severity == "error"
    assert (
        event.text
        == "20 records of pm500.frames went before archive, publish read them"
    )
    assert event.data == {
        "topic": "pm500.frames",
        "partition": "0",
        "first_offset": "10",
        "last_offset": "29",
        "records": "20",
        "readers": "archive, publish",
    }
    assert event_of("a-log", taken).id == event.id
    assert event_of("another", taken).id != event.id


def test_a_true_pause_ends_the_work(log: EmbeddedLog, clock: Clock) -> None:
    megabytes(log, clock, FRAMES, 5)
    (taken,) = retain(
        log, now_us=clock.us, max_age_us=0, max_bytes=NO_LIMIT, pause=lambda _: True
    )
    assert taken.records == 1000


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    appended=st.lists(st.integers(1, 300), min_size=1, max_size=12),
    positions=st.lists(st.integers(0, 2000), max_size=3),
    age=st.integers(0, 14),
)
def test_age_never_takes_what_is_needed_or_young(
    tmp_path_factory: pytest.TempPathFactory,
    appended: list[int],
    positions: list[int],
    age: int,
) -> None:
    clock = Clock()
    folder = tmp_path_factory.mktemp("log")
    with EmbeddedLog(folder / "edge.sqlite", clock_us=clock) as log:
        for count in appended:
            log.append(FRAMES, [("plant/area/one", b"")] * count)
            clock.us += SECOND
        total = sum(appended)
        for number, position in enumerate(positions):
            log.store_position(f"reader-{number}", FRAMES, 0, min(position, total))
        by_age(log, clock.us, age)
        old = sum(appended[: max(0, len(appended) - age)])
        needed = min([total, *positions])
        assert log.bounds(FRAMES, 0) == (min(old, needed), total)


def test_the_thread_keeps_the_bound_and_writes_the_event(tmp_path: Path) -> None:
    path = tmp_path / "edge.sqlite"
    thread = RetentionThread(
        lambda: EmbeddedLog(path),
        max_age_us=3600 * SECOND,
        max_bytes=3_000_000,
        period_seconds=0.01,
    )
    with EmbeddedLog(path) as log:
        for _ in range(6):
            log.append(FRAMES, [("plant/area/one", bytes(1000))] * 1000)
        log.store_position("archive", FRAMES, 0, 0)
        thread.start()
        deadline = time.monotonic() + 20
        while not log.bounds(EVENTS, 0)[1] and time.monotonic() < deadline:
            time.sleep(0.005)
        thread.stop()
        assert not thread.is_alive()
        assert log.used_bytes() <= 3_000_000
        event = decode_record(log.read(EVENTS, 0, 0, 1)[0].value)
        assert isinstance(event, Event)
        assert event.kind == "log_truncated"
        assert event.data["readers"] == "archive"
        assert log.bounds(FRAMES, 0)[0] == int(event.data["last_offset"]) + 1


def test_appends_hardly_wait_while_much_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "edge.sqlite"
    with EmbeddedLog(path) as log:
        for _ in range(50):
            log.append(FRAMES, [("plant/area/one", bytes(200))] * 2000)

        def takes() -> None:
            with EmbeddedLog(path) as own:
                retain(own, now_us=NO_LIMIT * 10**6, max_age_us=0, max_bytes=NO_LIMIT)

        thread = threading.Thread(target=takes)
        thread.start()
        waits = []
        while thread.is_alive():
            started = time.perf_counter()
            log.append(EVENTS, [("plant/area/one", b"x")])
            waits.append(time.perf_counter() - started)
            time.sleep(0.002)
        thread.join()
        assert log.bounds(FRAMES, 0) == (100_000, 100_000)
        assert len(waits) > 20
        assert statistics.median(waits) < 0.1


def test_a_reader_that_the_site_has_no_more_keeps_nothing(
    log: EmbeddedLog, clock: Clock
) -> None:
    megabytes(log, clock, FRAMES, 1)
    _, end = log.bounds(FRAMES, 0)
    log.store_position("archive", FRAMES, 0, 1)
    log.store_position("forward", FRAMES, 0, end)
    late: dict[str, Any] = {
        "now_us": clock.us + 10**12,
        "max_age_us": 1,
        "max_bytes": 10**12,
    }
    (kept,) = retain(log, **late, pause=lambda _: False)
    assert kept.records == 1
    (taken,) = retain(log, **late, readers=("forward",), pause=lambda _: False)
    assert (taken.readers, taken.last_offset) == ((), end - 1)
