"""The historian as a process: away, slow, refused and killed servers; kills of its own."""

from __future__ import annotations

import random
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import count, islice, pairwise
from pathlib import Path

import psutil
import pytest

from connectors.log.contract import DERIVED, EVENTS, FRAMES
from connectors.log.dead import letters
from connectors.log.embedded import EmbeddedLog
from dataflows.historian import READER
from tests.dataflows.historian_derived import (
    fill_all,
    points_of,
    without_times_in_ns,
)
from tests.dataflows.historian_points import (
    expected_lines,
    fill,
    frames_of,
    identities_in,
    log_of,
    logged,
    points_in,
    stored_lines,
)
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
from tests.influxdb import INFLUXDB, InfluxDb
from tests.kit import takes_stop, until
from tests.sinks.archive.making import REALTIME, frame
from tests.strict_influx import DISK_FULL, Refusal, StrictInflux
from tests.strict_influx_points import Stored
from tests.victoria import VictoriaMetrics
from transforms.codec.records import Event
from transforms.model.quality import Status

pytestmark = pytest.mark.integration

RUN = (*PM500, "run", "historian")
KILLS = 20
BURST = 10_000
Fill = Callable[[EmbeddedLog, Iterable[int]], None]


def site_of(tmp_path: Path, url: str, *more: str) -> Path:
    (tmp_path / "token").write_text("the token\n", "utf-8")
    own = [
        "[influx]",
        f'url = "{url}"',
        'org = "plant"',
        'bucket = "meters"',
        'token_file = "token"',
        "batch_records = 100",
        "batch_seconds = 0.2",
        *more,
    ]
    return write_site(tmp_path, SITE + "\n".join(own) + "\n")


def site_of_1(tmp_path: Path, url: str) -> Path:
    own = ["[influx]", f'url = "{url}"', "version = 1", 'database = "pm500"']
    own += ["batch_records = 50", "batch_seconds = 0.1"]
    return write_site(tmp_path, SITE + "\n".join(own) + "\n")


@pytest.fixture
def influx() -> Iterator[StrictInflux]:
    with StrictInflux() as server:
        yield server


@contextmanager
def growing(
    site: Path, per_second: float = 50.0, fill: Fill = fill
) -> Iterator[list[int]]:
    """Seconds of frames are appended meanwhile, by another handle: those in the list."""
    stop = threading.Event()
    appended: list[int] = []

    def work() -> None:
        with log_of(site) as own:
            for second in count(1_000_000):
                if stop.wait(1 / per_second):
                    return
                fill(own, [second])
                appended.append(second)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield appended
    finally:
        stop.set()
        thread.join()


def failed_frame(second: int) -> bytes:
    return frame(REALTIME, second, status=Status.TIMEOUT)


def peak_rss(process: subprocess.Popen[str]) -> int:
    """The most memory that it ever had, in bytes."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def moved(log: EmbeddedLog) -> Callable[[], bool]:
    """Whether its position in the frames is another than now."""
    now = log.position(READER, FRAMES, 0)
    return lambda: log.position(READER, FRAMES, 0) not in (now, None, 0)


def is_done(log: EmbeddedLog) -> bool:
    return all(
        (log.position(READER, topic, 0) or 0) == log.bounds(topic, 0)[1]
        for topic in (FRAMES, DERIVED, EVENTS)
    )


def check(site: Path, points: Stored, without: str = "") -> None:
    """Every line of the log's frames is there with its fields, once, and nothing else.

    Frames of the asset that is named are not.
    """
    expected = {
        (frame, phase): fields
        for (frame, phase), fields in expected_lines(site).items()
        if frame[0] != without
    }
    assert stored_lines(points) == expected


def test_frames_events_and_what_is_derived_come_to_influxdb(
    tmp_path: Path, influx: StrictInflux
) -> None:
    site = site_of(tmp_path, influx.url)
    with log_of(site) as log:
        fill(log, range(100))
        event = Event(asset="plant1/hall1/m1", kind="comm_lost", time=5)
        log.append(EVENTS, [(event.asset, event.encode())])
        with process(RUN, site) as historian:
            wait_for(lambda: is_done(log))
            historian.terminate()
            assert historian.wait(30) == 0
        check(site, influx.points)
        measurements = Counter(measurement for measurement, _, _ in influx.points)
        assert measurements["pm500_event"] == 1
        assert influx.most_in_flight == 1
        assert {r.headers["authorization"] for r in influx.requests} == {
            "Token the token"
        }


def test_the_last_frames_before_a_stop_are_written(
    tmp_path: Path, influx: StrictInflux
) -> None:
    site = site_of(tmp_path, influx.url)
    text = site.read_text("utf-8").replace("batch_seconds = 0.2", "batch_seconds = 600")
    site.write_text(text, "utf-8")
    with log_of(site) as log, process(RUN, site) as historian:
        found(site, READER)
        fill(log, range(20))
        wait_for(lambda: "historian_writes" in (tmp_path / "stderr.log").read_text())
        historian.terminate()
        assert historian.wait(30) == 0
    check(site, influx.points)


def test_a_record_that_cannot_be_read_is_set_aside(
    tmp_path: Path, influx: StrictInflux
) -> None:
    site = site_of(tmp_path, influx.url)
    with log_of(site) as log:
        fill(log, range(5))
        expected = expected_lines(site)
        log.append(FRAMES, [("plant1/hall1/m1", b"no frame")])
        log.append(DERIVED, [("plant1/hall1/m1", b"no record")])
        with process(RUN, site):
            wait_for(lambda: is_done(log))
        buried = letters(log).values()
        assert {letter.topic for letter in buried} == {FRAMES, DERIVED}
        assert {letter.flow for letter in buried} == {READER}
    assert stored_lines(influx.points) == expected


@pytest.mark.parametrize("stores_good_lines", [True, False])
def test_lines_that_the_server_refuses_are_set_aside_and_the_rest_is_there(
    tmp_path: Path, influx: StrictInflux, stores_good_lines: bool
) -> None:
    influx.behave(poison=frozenset({"asset=m2"}), stores_good_lines=stores_good_lines)
    site = site_of(tmp_path, influx.url)
    bad = "plant1/hall1/m2"
    with log_of(site) as log:
        # Of two meters, by turns: a half of every batch of 100 is bad.
        records = [record for second in range(200) for record in frames_of(second)[:2]]
        log.append(FRAMES, records)
        with process(RUN, site):
            wait_for(lambda: is_done(log))
        buried = letters(log).values()
    assert sorted((letter.asset, letter.value) for letter in buried) == sorted(
        record for record in records if record[0] == bad
    )
    assert len(buried) == 200
    check(site, influx.points, without=bad)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_whatever_the_server_does_no_point_is_lost_and_none_is_wrong(
    tmp_path: Path, influx: StrictInflux
) -> None:
    site, asset = site_of(tmp_path, influx.url), "plant1/hall1/m3"
    refusals = [
        Refusal(429, retry_after="1"),
        Refusal(500, DISK_FULL),
        Refusal(503),
        Refusal(401),
        Refusal(403),
        Refusal(404),
    ]
    seconds = count(200)

    def burst() -> None:
        """More than it may keep in its memory, of few lines."""
        own = islice(seconds, BURST)
        log.append(FRAMES, [(asset, failed_frame(second)) for second in own])

    def came(code: int, since: int) -> bool:
        return any(r.code == code for r in influx.requests[since:])

    def refuse(refusal: Refusal) -> None:
        seen = len(influx.requests)
        influx.behave(refuses=refusal)
        until(lambda: came(refusal.code, seen), f"an answer {refusal.code}")
        run = found(site, READER)
        until(lambda: get(run, "/readyz")[0] == 503, "not ready")
        burst()
        influx.behave(refuses=None)
        until(lambda: get(run, "/readyz")[0] == 200, "ready again")

    with log_of(site) as log:
        fill(log, islice(seconds, 1000))
        with process(RUN, site) as historian:
            until(lambda: is_done(log), "the first points")
            before = peak_rss(historian)
            with growing(site):
                for refusal in refusals:
                    refuse(refusal)
                influx.behave(max_bytes=20_000)
                seen = len(influx.requests)
                until(lambda: came(413, seen), "too large")
                influx.behave(max_bytes=None, slow_seconds=5.0)
                seen = len(influx.requests)
                burst()
                until(lambda: len(influx.requests) > seen + 1, "two slow writes")
                influx.behave(slow_seconds=0.0)
            until(lambda: is_done(log), "all is written", 120)
            grown = peak_rss(historian) - before
            historian.terminate()
            assert historian.wait(30) == 0
        check(site, influx.points)
        assert letters(log) == {}
    assert grown < 4_000_000
    assert influx.most_in_flight == 1
    retried = [r for r in influx.requests if r.code == 429]
    for one, two in pairwise(retried):
        assert two.at - one.at >= 1.0


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_minute_without_the_server_costs_no_memory_and_no_point(
    tmp_path: Path, influx: StrictInflux
) -> None:
    site = site_of(tmp_path, influx.url)
    with log_of(site) as log:
        fill(log, range(3000))
        with process(RUN, site) as historian:
            until(lambda: len(influx.requests) > 3, "some are written")
            own = psutil.Process(historian.pid)
            influx.behave(away=True)
            wait_for(lambda: events(site, "held"))
            before = own.memory_info().rss
            with growing(site, 20.0):
                threading.Event().wait(60.0)  # the minute is the test
            after = own.memory_info().rss
            assert historian.poll() is None
            influx.behave(away=False)
            until(lambda: is_done(log), "all is written", 120)
            historian.terminate()
            assert historian.wait(30) == 0
    assert after - before < 8_000_000
    check(site, influx.points)
    held = [each for each in events(site, "held") if each["name"] == "influx"]
    over = [each for each in events(site, "hold_over") if each["name"] == "influx"]
    assert len(over) == 1
    assert over[0]["held_seconds"] > 55
    assert len({each["reason"] for each in held}) == len(held) <= 2
    moments = [each["timestamp"] for each in (*held, *over)]
    assert moments == sorted(moments)


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.skipif(INFLUXDB is None, reason="no influxdb")
def test_killed_twenty_times_it_writes_the_points_of_the_log(tmp_path: Path) -> None:
    dice = random.Random(9)
    seconds, cut_short = count(500), 0
    (tmp_path / "plant").mkdir()
    with InfluxDb(tmp_path / "influxdb") as influxdb:
        site = site_of_1(tmp_path / "plant", influxdb.url)
        with log_of(site) as log:
            fill_all(log, range(500))
            with growing(site, fill=fill_all) as appended:
                for _ in range(KILLS):
                    own = islice(seconds, 500)
                    log.append(FRAMES, [each for s in own for each in frames_of(s)])
                    with process(RUN, site) as historian:
                        # It writes what is there, and the kill comes amid that.
                        until(moved(log), "it writes", pause=0.005)
                        with pytest.raises(subprocess.TimeoutExpired):
                            historian.wait(dice.uniform(0.0, 0.2))
                        historian.kill()
                        assert historian.wait() == -signal.SIGKILL
                    cut_short += not is_done(log)
            assert cut_short > KILLS // 2
            with process(RUN, site) as historian:
                until(lambda: is_done(log), "all is written", 120)
                # All may have been written before the last kill.
                until(lambda: takes_stop(historian), "it takes a stop")
                historian.terminate()
                assert historian.wait(30) == 0
            assert letters(log) == {}
        points = points_in(influxdb)
    check(site, points)
    derived = points_of([*range(500), *appended])
    assert without_times_in_ns(points, derived) == derived


def test_victoria_metrics_takes_the_same_frames(
    tmp_path: Path, victoria: VictoriaMetrics
) -> None:
    site = site_of(tmp_path, victoria.url)
    with log_of(site) as log:
        fill(log, range(70))
        with process(RUN, site) as historian:
            wait_for(lambda: is_done(log))
            historian.terminate()
            assert historian.wait(30) == 0
        assert letters(log) == {}
    series = victoria.export(
        '{__name__="powermonitor_500_quality",phase="total",site="plant1"}'
    )
    stored = {
        (
            "/".join(each["metric"][part] for part in ("site", "area", "asset")),
            each["metric"]["group"],
            time_ms * 1_000_000,
        )
        for each in series
        for time_ms in each["timestamps"]
    }
    assert stored == logged(site)


@pytest.mark.skipif(INFLUXDB is None, reason="no influxdb")
def test_a_server_that_is_killed_and_comes_back_has_all_points(tmp_path: Path) -> None:
    (tmp_path / "plant").mkdir()
    with InfluxDb(tmp_path / "influxdb") as influxdb:
        site = site_of_1(tmp_path / "plant", influxdb.url)
        with log_of(site) as log:
            fill(log, range(300))
            with process(RUN, site) as historian:
                until(lambda: identities_in(influxdb), "the first points")
                influxdb.kill()
                fill(log, range(1000, 1300))
                wait_for(lambda: events(site, "held"))
                influxdb.start()
                until(lambda: is_done(log), "all is written", 120)
                historian.terminate()
                assert historian.wait(30) == 0
        assert identities_in(influxdb) == logged(site)


def test_a_site_without_influxdb_has_nothing_to_do(tmp_path: Path) -> None:
    site = write_site(tmp_path)
    with process(RUN, site) as historian:
        wait_for(lambda: events(site, "nothing_to_do"))
        historian.terminate()
        assert historian.wait(30) == 0


@pytest.mark.parametrize("token", [b"\xff\xfe", b"", b"tok\nsecret", "tok€".encode()])
def test_a_token_that_is_none_ends_it_and_is_not_shown(
    tmp_path: Path, influx: StrictInflux, token: bytes
) -> None:
    site = site_of(tmp_path, influx.url)
    (tmp_path / "token").write_bytes(token)
    with process(RUN, site) as historian:
        assert historian.wait(30) == 2
    said = (tmp_path / "stderr.log").read_text("utf-8")
    assert "influx.token_file: " in said
    assert "secret" not in said
    assert "tok€" not in said
