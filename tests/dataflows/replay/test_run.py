from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from connectors.log.contract import FRAMES, LogFull
from connectors.log.embedded import EmbeddedLog
from dataflows.replay.from_log import LogHistory
from dataflows.replay.pace import Pace
from dataflows.replay.progress import Lines
from dataflows.replay.run import Replayed, replay
from dataflows.replay.span import Assets, Span
from dataflows.replay.target import LogTarget
from tests.dataflows.replay.making import REALTIME, edge_log, frame

INTO = "pm500.replayed"
KEYS = [f"plant/hall/m{n % 3}" for n in range(12_000)]
ONE = frame(REALTIME, 0)


class Stops:
    """A stop that comes when so many records have been handed over."""

    def __init__(self, after: int = 1 << 60) -> None:
        self.after = after
        self.seen: list[tuple[int, int]] = []

    def advance(self, looked: int, sent: int) -> None:
        self.seen.append((looked, sent))

    def requested(self) -> bool:
        return bool(self.seen) and self.seen[-1][1] >= self.after


class FullAfter(LogTarget):
    """A disk that is full after some records."""

    def __init__(self, log: EmbeddedLog, room: int) -> None:
        super().__init__(log, INTO)
        self._room = room

    def send(self, keys: Sequence[str], values: Sequence[bytes]) -> bool:
        if self.acknowledged + len(keys) > self._room:
            raise LogFull("no room\nis left")
        return super().send(keys, values)


def run(log: EmbeddedLog, stops: Stops, target: LogTarget | None = None) -> Replayed:
    history = LogHistory(
        log,
        FRAMES,
        Span(),
        Assets(),
        exact=False,
        stopping=stops.requested,
        told=lambda _: None,
    )
    pace = Pace(None, stopping=stops.requested)
    target = target or LogTarget(log, INTO)
    return replay(history, target, pace, stops, stopping=stops.requested)


def open_log(folder: Path) -> EmbeddedLog:
    return edge_log(folder / "edge.sqlite", [(key, ONE) for key in KEYS])


def test_a_topic_is_the_same_again(tmp_path: Path) -> None:
    stops = Stops()
    with open_log(tmp_path) as log:
        done = run(log, stops)
        assert (done.records, done.complete, done.trouble) == (12_000, True, None)
        assert done.records_per_second > 0
        found = log.read(INTO, 0, 0, 20_000)
        assert [record.key for record in found] == KEYS
        assert {record.value for record in found} == {ONE}
    # What is being sent has not been left behind yet.
    assert stops.seen[:3] == [(0, 5000), (5000, 10_000), (10_000, 12_000)]
    assert stops.seen[3:] == [(12_000, 12_000)]


def test_a_stop_ends_it_with_what_was_acknowledged(tmp_path: Path) -> None:
    with open_log(tmp_path) as log:
        done = run(log, Stops(after=5000))
        assert (done.records, done.complete, done.trouble) == (5000, False, None)
        assert log.bounds(INTO, 0) == (0, 5000)


def test_a_failure_ends_it_with_what_was_acknowledged(tmp_path: Path) -> None:
    with open_log(tmp_path) as log:
        done = run(log, Stops(), FullAfter(log, 7000))
        assert done.records == 5000
        assert (done.complete, done.trouble) == (False, "no room is left")


def test_nothing_takes_no_time() -> None:
    assert Replayed(records=0, seconds=0.0, complete=True).records_per_second == 0.0


def test_without_a_terminal_a_line_comes_every_ten_seconds() -> None:
    now, file = [0.0], io.StringIO()
    lines = Lines(200_000, "kafka pm500.frames", file, clock=lambda: now[0])
    for second in (1, 9, 10, 15, 21):
        now[0] = second
        lines.advance(looked=second * 1000, sent=second * 500)
    assert file.getvalue().splitlines() == [
        "kafka pm500.frames: 5%, 5,000 records, 500/s, 190 s left",
        "kafka pm500.frames: 10%, 10,500 records, 500/s, 179 s left",
    ]
