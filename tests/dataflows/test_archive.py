"""The archive flow as a process: killed, stopped, fed with corrupt records, held."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import polars as pl
import pytest

from connectors.log.contract import EVENTS, FRAMES
from connectors.log.dead import letters
from connectors.log.embedded import EmbeddedLog
from connectors.log.schemas import publish_schemas
from dataflows.archive import READER
from tests.dataflows.processes import (
    PM500,
    SITE,
    events,
    found,
    get,
    process,
    wait_for,
    write_site,
)
from tests.sinks.archive.making import EM24, ENERGY, NOON_US, REALTIME, frame
from transforms.codec.frame import FrameSchema
from transforms.codec.records import Event

pytestmark = pytest.mark.integration

RUN = (*PM500, "run", "archive")
ROLLS = """
[archive]
roll_rows = 400
roll_seconds = 0.3
"""
KILLS = 15
Key = tuple[str, str, int]


def _log(site: Path) -> EmbeddedLog:
    log = EmbeddedLog(site.parent / "data/log/edge.sqlite")
    publish_schemas(log, (REALTIME, ENERGY, EM24))
    return log


def _batch(second: int) -> list[tuple[str, bytes]]:
    def of(name: str, schema: FrameSchema) -> tuple[str, bytes]:
        return f"plant1/hall1/{name}", frame(schema, second, status=second % 7 // 5)

    out = [of("m1", REALTIME), of("m2", REALTIME), of("em", EM24)]
    return [*out, of("m1", ENERGY)] if second % 10 == 0 else out


def _due(seconds: int) -> list[Key]:
    """What the log acknowledged, by (asset, group, seq)."""
    base = NOON_US // 1_000_000
    every = [
        (m, "realtime", base + s) for s in range(seconds) for m in ("m1", "m2", "em")
    ]
    return sorted(
        [*every, *(("m1", "energy", base + s) for s in range(0, seconds, 10))]
    )


def _archived(site: Path) -> list[Key]:
    rows = []
    for group in ("realtime", "energy"):
        path = site.parent / "data/archive/frames" / group
        if (path / "_delta_log").is_dir():
            table = pl.scan_delta(str(path)).select("asset", "seq").collect()
            rows += [(asset, group, seq) for asset, seq in table.iter_rows()]
    return sorted(rows)


class Appender(threading.Thread):
    """Appends a second's frames every few milliseconds until it is told to end."""

    def __init__(self, site: Path) -> None:
        super().__init__(daemon=True)
        self._site = site
        self._end = threading.Event()
        self.seconds = 0

    def run(self) -> None:
        log = _log(self._site)
        while not self._end.wait(0.004):
            log.append(FRAMES, _batch(self.seconds))
            self.seconds += 1
        log.close()

    def end(self) -> int:
        self._end.set()
        self.join(10)
        return self.seconds


@contextmanager
def _appending(site: Path) -> Iterator[Appender]:
    appender = Appender(site)
    appender.start()
    try:
        yield appender
    finally:
        appender.end()


def _started(site: Path, partitions: int) -> None:
    """Wait until the flow, over all of its runs, has opened so many partitions."""
    wait_for(lambda: len(events(site, "archive_starts")) == partitions)


@pytest.mark.slow
def test_nothing_is_lost_or_doubled_by_kill_9(tmp_path: Path) -> None:
    # It commits nearly all the time, so that most kills meet a commit.
    rolls = "[archive]\nroll_rows = 500\nroll_seconds = 0.1\n"
    site = write_site(tmp_path, SITE + rolls)
    chance = random.Random(500)
    with _appending(site) as appender:
        for _ in range(KILLS):
            with process(RUN, site) as flow:
                found(site, "archive")
                with pytest.raises(subprocess.TimeoutExpired):
                    flow.wait(chance.uniform(0.1, 1.0))
                flow.kill()
                assert flow.wait() == -signal.SIGKILL
        seconds = appender.end()
    with process(RUN, site) as flow:
        found(site, "archive")
        wait_for(lambda: len(_archived(site)) >= len(_due(seconds)), 30)
        flow.terminate()
        assert flow.wait(30) == 0
    assert _archived(site) == _due(seconds)


def test_a_stop_commits_what_is_collected_and_stores_the_position(
    tmp_path: Path,
) -> None:
    site = write_site(tmp_path)  # it rolls every five minutes: only a stop commits
    log = _log(site)
    for second in range(20):
        log.append(FRAMES, _batch(second))
    event = Event(asset="plant1/hall1/m1", kind="comm_lost", time=NOON_US)
    log.append(EVENTS, [(event.asset, event.encode())])

    runs = count(1)

    def archived_by_a_run() -> bool:
        command = (sys.executable, "-m", "bytewax.run", "dataflows.archive")
        with process(command, site) as flow:
            _started(site, 2 * next(runs))
            flow.send_signal(signal.SIGTERM)
            assert flow.wait(30) == 0
        return log.position(READER, FRAMES, 0) == 62

    # A stop may come before the first batch is read, then the next run reads it.
    wait_for(archived_by_a_run)
    assert _archived(site) == _due(20)
    assert log.position(READER, EVENTS, 0) == 1


def test_a_lost_reader_position_doubles_nothing(tmp_path: Path) -> None:
    site = write_site(tmp_path, SITE + ROLLS)
    log = _log(site)
    for second in range(20):
        log.append(FRAMES, _batch(second))
    for starts in (2, 4):
        with process(RUN, site) as flow:
            _started(site, starts)
            wait_for(lambda: len(_archived(site)) >= 62)
            flow.terminate()
            assert flow.wait(30) == 0
        log.store_position(READER, FRAMES, 0, 0)
    assert _archived(site) == _due(20)


def test_an_idle_stream_is_committed_by_its_age(tmp_path: Path) -> None:
    site = write_site(tmp_path, SITE + ROLLS)
    log = _log(site)
    with process(RUN, site):
        found(site, "archive")
        log.append(FRAMES, _batch(1))
        wait_for(lambda: len(_archived(site)) == 3)


def test_a_corrupt_record_becomes_a_dead_letter_and_the_flow_goes_on(
    tmp_path: Path,
) -> None:
    site = write_site(tmp_path, SITE + ROLLS)
    log = _log(site)
    log.append(FRAMES, [*_batch(1), ("plant1/hall1/m1", b"corrupt"), *_batch(2)])
    with process(RUN, site) as flow:
        wait_for(lambda: len(_archived(site)) == 6)
        log.append(FRAMES, _batch(3))
        wait_for(lambda: len(_archived(site)) == 9)
        assert flow.poll() is None
    (letter,) = letters(log).values()
    assert (letter.topic, letter.offset, letter.value) == (FRAMES, 3, b"corrupt")


def test_an_archive_that_cannot_be_written_is_held_and_tried_again(
    tmp_path: Path,
) -> None:
    site = write_site(tmp_path, SITE + ROLLS)
    log = _log(site)
    archive = tmp_path / "data/archive"
    with process(RUN, site) as flow:
        run = found(site, "archive")
        log.append(FRAMES, _batch(1))
        wait_for(lambda: len(_archived(site)) == 3)
        archive.rename(tmp_path / "away")
        archive.touch()
        log.append(FRAMES, _batch(2))
        wait_for(lambda: get(run, "/readyz")[0] == 503)
        assert "Not a directory" in get(run, "/readyz")[1]
        assert get(run, "/healthz")[0] == 200
        archive.unlink()
        (tmp_path / "away").rename(archive)
        wait_for(lambda: len(_archived(site)) == 6)
        wait_for(lambda: get(run, "/readyz")[0] == 200)
        assert len(events(site, "held")) == 1
        flow.terminate()
        assert flow.wait(30) == 0


def test_an_archive_that_cannot_be_opened_at_the_start_is_waited_for(
    tmp_path: Path,
) -> None:
    site = write_site(tmp_path, SITE + ROLLS)
    log = _log(site)
    archive = tmp_path / "data/archive"
    archive.touch()
    with process(RUN, site) as flow:
        run = found(site, "archive")
        log.append(FRAMES, _batch(1))
        wait_for(lambda: get(run, "/readyz")[0] == 503)
        assert "Not a directory" in get(run, "/readyz")[1]
        archive.unlink()
        wait_for(lambda: len(_archived(site)) == 3)
        flow.terminate()
        assert flow.wait(30) == 0


def test_an_archive_that_was_never_opened_lets_the_flow_stop_at_once(
    tmp_path: Path,
) -> None:
    site = write_site(tmp_path, SITE + ROLLS)
    _log(site)
    (tmp_path / "data/archive").touch()
    with process(RUN, site) as flow:
        run = found(site, "archive")
        wait_for(lambda: get(run, "/readyz")[0] == 503)
        flow.terminate()
        assert flow.wait(30) == 0


def test_a_held_archive_still_stops_at_once(tmp_path: Path) -> None:
    site = write_site(tmp_path, SITE + ROLLS)
    log = _log(site)
    archive = tmp_path / "data/archive"
    with process(RUN, site) as flow:
        run = found(site, "archive")
        log.append(FRAMES, _batch(1))
        wait_for(lambda: len(_archived(site)) == 3)
        archive.rename(tmp_path / "away")
        archive.touch()
        log.append(FRAMES, _batch(2))
        wait_for(lambda: get(run, "/readyz")[0] == 503)
        flow.terminate()
        assert flow.wait(30) == 0
