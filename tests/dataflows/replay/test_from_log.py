from __future__ import annotations

from pathlib import Path

from connectors.log.contract import DERIVED, EVENTS, FRAMES
from connectors.log.embedded import EmbeddedLog
from dataflows.replay.from_log import LogHistory
from dataflows.replay.span import Assets, Span
from tests.dataflows.replay.making import (
    NOON_US,
    REALTIME,
    SECOND_US,
    edge_log,
    frame,
    records_of,
)
from transforms.codec.records import Event

HOUR_US = 3600 * SECOND_US
PRESS, PUMP = "plant/hall/press", "plant/yard/pump"


def history(
    log: EmbeddedLog,
    span: Span = Span(),  # noqa: B008 - frozen
    *assets: str,
    topic: str = FRAMES,
    told: list[str] | None = None,
) -> LogHistory:
    said: list[str] = [] if told is None else told
    return LogHistory(
        log,
        topic,
        span,
        Assets(assets),
        exact=False,
        stopping=lambda: False,
        told=said.append,
    )


def six(folder: Path) -> EmbeddedLog:
    names = (PRESS, PUMP)
    records = [(names[n % 2], frame(REALTIME, n)) for n in range(6)]
    return edge_log(folder / "edge.sqlite", records)


def seconds(found: LogHistory) -> list[int]:
    return [second for second, _, _ in records_of(found)]


def test_all_of_a_log_comes_as_it_is(tmp_path: Path) -> None:
    with six(tmp_path) as log:
        found = history(log)
        assert found.total == 6
        assert records_of(found) == [
            (n, (PRESS, PUMP)[n % 2], frame(REALTIME, n)) for n in range(6)
        ]
        assert found.looked == 6


def test_a_time_is_the_frames_slot_and_the_end_is_left_out(tmp_path: Path) -> None:
    span = Span(start_us=NOON_US + 2 * SECOND_US, end_us=NOON_US + 4 * SECOND_US)
    with six(tmp_path) as log:
        assert seconds(history(log, span)) == [2, 3]


def test_offsets_count_from_the_beginning_and_the_end_is_left_out(
    tmp_path: Path,
) -> None:
    with six(tmp_path) as log:
        found = history(log, Span(start_offset=1, end_offset=3))
        assert (seconds(found), found.total) == ([1, 2], 2)
        assert seconds(history(log, Span(start_offset=9))) == []
        assert seconds(history(log, Span(end_offset=9))) == [0, 1, 2, 3, 4, 5]


def test_an_offset_and_a_time_may_stand_together(tmp_path: Path) -> None:
    with six(tmp_path) as log:
        span = Span(start_offset=3, end_us=NOON_US + 5 * SECOND_US)
        assert seconds(history(log, span)) == [3, 4]


def test_only_the_wanted_assets_come(tmp_path: Path) -> None:
    with six(tmp_path) as log:
        assert seconds(history(log, Span(), "plant/hall/*")) == [0, 2, 4]
        assert seconds(history(log, Span(), PRESS, PUMP)) == [0, 1, 2, 3, 4, 5]


def test_what_is_appended_meanwhile_is_left(tmp_path: Path) -> None:
    with six(tmp_path) as log:
        found = history(log)
        log.append(FRAMES, [(PRESS, frame(REALTIME, 6))])
        assert seconds(found) == [0, 1, 2, 3, 4, 5]


def test_bytes_that_are_no_frame_have_the_time_of_their_append(tmp_path: Path) -> None:
    log = edge_log(tmp_path / "edge.sqlite", [(PRESS, b"nonsense")])
    assert records_of(history(log)) == [(1, PRESS, b"nonsense")]
    before = Span(end_us=NOON_US + SECOND_US)
    assert records_of(history(log, before)) == []
    log.close()


def test_the_time_of_an_event_is_its_beginning(tmp_path: Path) -> None:
    event = Event(asset=PRESS, kind="gap", time=NOON_US - 50 * SECOND_US).encode()
    log = edge_log(tmp_path / "edge.sqlite", [(PRESS, event), (PRESS, b"x")], EVENTS)
    found = records_of(history(log, topic=EVENTS))
    assert found == [(-50, PRESS, event), (1, PRESS, b"x")]
    log.close()


def test_other_records_have_the_time_of_their_append(tmp_path: Path) -> None:
    log = edge_log(tmp_path / "edge.sqlite", [(PRESS, frame(REALTIME, 7))], DERIVED)
    assert seconds(history(log, topic=DERIVED)) == [1]
    log.close()


def test_a_topic_that_does_not_exist_is_empty(tmp_path: Path) -> None:
    with six(tmp_path) as log:
        found = history(log, topic=EVENTS)
        assert (found.total, records_of(found)) == (0, [])


def test_what_retention_takes_meanwhile_is_told(tmp_path: Path) -> None:
    told: list[str] = []
    with six(tmp_path) as log:
        found = history(log, told=told)
        log.take(FRAMES, 4)
        assert seconds(found) == [4, 5]
        assert found.looked == found.total == 6
    assert told == ["pm500.frames-0: offset 0 is gone, the first is 4: going on there"]


def test_a_time_is_found_without_reading_all_before_it(tmp_path: Path) -> None:
    # A hundred frames each hour for 200 hours, of which the last two are asked for.
    clock = iter(range(NOON_US, NOON_US + 200 * HOUR_US, HOUR_US))
    log = EmbeddedLog(tmp_path / "edge.sqlite", clock_us=lambda: next(clock))
    for hour in range(200):
        log.append(FRAMES, [(PRESS, frame(REALTIME, 3600 * hour))] * 100)
    found = history(log, Span(start_us=NOON_US + 198 * HOUR_US))
    assert seconds(found) == [198 * 3600] * 100 + [199 * 3600] * 100
    # It goes by the time of appends, and at most 5,000 are read for nothing.
    assert found.total <= 5000 + 300
    log.close()
