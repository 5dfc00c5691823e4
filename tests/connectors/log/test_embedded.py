from __future__ import annotations

import os
import random
import signal
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from connectors.log.contract import LogError, LogFull
from connectors.log.embedded import EmbeddedLog
from tests.connectors.log import child
from tests.connectors.log.contract_suite import TOPIC, everything, numbered
from tests.connectors.log.factories import EmbeddedFactory
from tests.connectors.log.tmpfs import fill, small_disk


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "log" / "edge.sqlite"


def limit_pages(log: EmbeddedLog, pages: int) -> None:
    """A full disk that needs no disk: SQLite itself refuses further pages."""
    log._db.execute(f"PRAGMA max_page_count={pages}")


def a_megabyte() -> list[tuple[str, bytes]]:
    return [("plant/area/one", bytes(1000)) for _ in range(1000)]


def append_while_there_is_room(log: EmbeddedLog) -> int:
    """One record at a time; the number of the first that was refused."""
    for number in range(1, 10_000):
        try:
            log.append(TOPIC, numbered(number))
        except LogFull:
            return number
    raise AssertionError("there was room for all")


# What a log says of itself


@pytest.mark.parametrize(
    ("setting", "survives"),
    [("normal", "kill -9"), ("full", "kill -9 and a power cut")],
)
def test_the_log_says_which_synchronous_setting_it_uses(
    path: Path, setting: Any, survives: str
) -> None:
    with capture_logs() as logs, EmbeddedLog(path, synchronous=setting) as log:
        assert log.synchronous == setting
    (opened,) = logs
    assert opened["event"] == "log_opened"
    assert opened["synchronous"] == setting
    assert opened["survives"] == survives


def test_it_says_so_once_in_a_process(path: Path) -> None:
    with capture_logs() as logs, EmbeddedLog(path), EmbeddedLog(path):
        pass
    assert len(logs) == 1


def test_the_setting_is_each_handle_s_own(path: Path) -> None:
    with (
        EmbeddedLog(path, synchronous="full") as careful,
        EmbeddedLog(path) as quick,
    ):
        assert (careful.synchronous, quick.synchronous) == ("full", "normal")


def test_a_missing_log_is_only_made_when_asked(path: Path) -> None:
    with pytest.raises(LogError, match=r"edge\.sqlite: there is no log"):
        EmbeddedLog(path, create=False)
    assert not path.parent.exists()
    EmbeddedLog(path).close()
    EmbeddedLog(path, create=False).close()


# Files that are no log


def test_a_file_of_something_else_is_refused_by_its_path(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text("not a database, but a text that is long enough to be looked at")
    with pytest.raises(LogError, match=r"edge\.sqlite: file is not a database"):
        EmbeddedLog(path)


def test_another_sqlite_file_is_refused_and_left_alone(path: Path) -> None:
    path.parent.mkdir(parents=True)
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE theirs (x)")
    other.commit()
    other.close()
    before = path.read_bytes()
    with pytest.raises(LogError, match=r"edge\.sqlite: is an SQLite file, but no log"):
        EmbeddedLog(path)
    assert path.read_bytes() == before


def test_another_layout_is_refused_with_both_numbers(path: Path) -> None:
    EmbeddedLog(path).close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version=2")
    db.close()
    with pytest.raises(LogError, match="layout 2, this program knows 1"):
        EmbeddedLog(path)


def test_a_folder_that_cannot_be_made_is_an_error_with_the_path(
    tmp_path: Path,
) -> None:
    (tmp_path / "data").write_text("in the way")
    with pytest.raises(LogError, match=r"data/edge\.sqlite"):
        EmbeddedLog(tmp_path / "data" / "edge.sqlite")


def test_a_damaged_page_is_a_log_error(path: Path) -> None:
    with EmbeddedLog(path) as log:
        log.append(TOPIC, a_megabyte())
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096 * 8)
        file.write(random.Random(1).randbytes(size - 4096 * 8))
    with EmbeddedLog(path) as log, pytest.raises(LogError, match=r"edge\.sqlite"):
        log.read(TOPIC, 0, 0, 1000)


# Handles, threads, processes


def test_many_threads_that_make_the_log_at_once_make_one_log(path: Path) -> None:
    together = threading.Barrier(8)
    ids: list[str] = []

    def opens() -> None:
        together.wait()
        with EmbeddedLog(path) as log:
            ids.append(log.log_id)
            log.append(TOPIC, numbered(1))

    threads = [threading.Thread(target=opens) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 8
    assert len(set(ids)) == 1
    with EmbeddedLog(path) as log:
        assert log.bounds(TOPIC, 0) == (0, 8)


def test_a_handle_belongs_to_its_thread(path: Path) -> None:
    errors: list[LogError] = []
    with EmbeddedLog(path) as log:

        def uses() -> None:
            try:
                log.append(TOPIC, numbered(1))
            except LogError as error:
                errors.append(error)

        thread = threading.Thread(target=uses)
        thread.start()
        thread.join()
        assert log.bounds(TOPIC, 0) == (0, 0)
    assert "thread" in str(errors[0])


def test_an_append_waits_for_another_s_transaction(path: Path) -> None:
    holder = EmbeddedLog(path)
    offsets: list[int] = []

    def appends() -> None:
        with EmbeddedLog(path) as log:
            offsets.extend(log.append(TOPIC, numbered(2)))

    with holder._transaction():
        thread = threading.Thread(target=appends)
        thread.start()
        thread.join(timeout=0.1)
        assert offsets == []
    thread.join()
    assert offsets == [0]
    holder.close()


def test_an_append_gives_up_after_the_busy_timeout(path: Path) -> None:
    with EmbeddedLog(path, busy_timeout_seconds=0.05) as log:
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(LogError, match="locked"):
            log.append(TOPIC, numbered(1))
        holder.execute("ROLLBACK")
        holder.close()
        assert list(log.append(TOPIC, numbered(1))) == [0]


def test_a_partition_other_than_0_is_an_error(path: Path) -> None:
    with EmbeddedLog(path) as log, pytest.raises(LogError, match="no partition 1"):
        log.read(TOPIC, 1, 0, 10)


def test_a_batch_with_a_bad_record_leaves_nothing_behind(path: Path) -> None:
    records: list[Any] = [*numbered(1, 2), ("plant/area/one", None)]
    with EmbeddedLog(path) as log:
        with pytest.raises(LogError):
            log.append(TOPIC, records)
        assert log.topics() == ()
        assert list(log.append(TOPIC, numbered(1))) == [0]


# The write-ahead file


@pytest.mark.integration
def test_a_reader_that_never_rests_does_not_let_the_file_grow(path: Path) -> None:
    factory = EmbeddedFactory(path)
    with factory.open() as log:
        log.append(TOPIC, a_megabyte())
        reader = child.start("tail", factory, TOPIC, 0.9)
        try:
            assert reader.stdout is not None
            assert reader.stdout.readline() == "ready\n"
            for _ in range(60):
                log.append(TOPIC, a_megabyte())
            journal = Path(f"{path}-wal").stat().st_size
        finally:
            reader.kill()
            reader.wait()
    assert path.stat().st_size > 60_000_000
    assert journal < 30_000_000


def test_sync_reaches_the_disk_what_other_handles_wrote(path: Path) -> None:
    with EmbeddedLog(path) as writer, EmbeddedLog(path) as reader:
        writer.append(TOPIC, numbered(1))
        reader.sync()
        assert [record.value for record in everything(reader)] == [b"1"]


# A crash


@pytest.mark.integration
def test_what_was_acknowledged_survives_twenty_kills(path: Path) -> None:
    factory = EmbeddedFactory(path)
    moments = random.Random(500)
    acknowledged = -1
    for _ in range(20):
        writer = child.start("append_for_ever", factory, TOPIC, moments.choice((1, 20)))
        assert writer.stdout is not None
        # The first answer shows that it works; then the blow may fall anywhere.
        first_answer = writer.stdout.readline()
        time.sleep(moments.uniform(0, 0.05))
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.read()
        writer.wait()
        whole = [int(line) for line in rest.split("\n")[:-1]]
        acknowledged = max([acknowledged, int(first_answer), *whole])
        with factory.open() as log:
            first, following = log.bounds(TOPIC, 0)
            assert first == 0
            assert following > acknowledged
    with factory.open() as log:
        found = everything(log)
    assert [record.offset for record in found] == list(range(len(found)))
    assert all(record.value == child.value_at(record.offset) for record in found)
    assert len(found) > acknowledged
    check = sqlite3.connect(path)
    assert check.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    check.close()


# A full disk


def test_a_full_log_says_so_keeps_nothing_half_and_works_again(path: Path) -> None:
    with EmbeddedLog(path) as log:
        log.append(TOPIC, numbered(1, 2))
        limit_pages(log, 40)
        with pytest.raises(LogFull, match=r"edge\.sqlite: .*full"):
            log.append(TOPIC, a_megabyte())
        assert [record.value for record in everything(log)] == [b"1", b"2"]
        with pytest.raises(LogFull):
            log.append("pm500.new", a_megabyte())
        assert log.topics() == (TOPIC,)
        limit_pages(log, 1_000_000)
        assert log.append(TOPIC, a_megabyte())[0] == 2
        assert log.append("pm500.new", numbered(1))[0] == 0


@pytest.mark.integration
def test_a_really_full_disk_says_so_and_works_again(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 8_000_000) as disk:
        path = disk / "log" / "edge.sqlite"
        with EmbeddedLog(path) as log:
            log.append(TOPIC, numbered(0))
            ballast = fill(disk, leave_bytes=100_000)
            taken = append_while_there_is_room(log)
            assert [r.value for r in log.read(TOPIC, 0, 0, 10_000)] == [
                str(number).encode() for number in range(taken)
            ]
            with pytest.raises(LogFull):
                log.append(TOPIC, a_megabyte())
            with pytest.raises(LogFull):
                log.store_position("archive", TOPIC, 0, 1)
            ballast.unlink()
            assert log.append(TOPIC, numbered(taken)) == range(taken, taken + 1)
            log.store_position("archive", TOPIC, 0, 1)


@pytest.mark.integration
def test_a_log_cannot_be_opened_on_a_full_disk_until_there_is_room(
    tmp_path: Path,
) -> None:
    with small_disk(tmp_path / "disk", 4_000_000) as disk:
        path = disk / "log" / "edge.sqlite"
        with EmbeddedLog(path) as log:
            log.append(TOPIC, numbered(1))
        ballast = fill(disk)
        with pytest.raises(LogFull):
            EmbeddedLog(path).append(TOPIC, a_megabyte())
        fresh = disk / "fresh.sqlite"
        with pytest.raises(LogFull):
            EmbeddedLog(fresh)
        ballast.unlink()
        with EmbeddedLog(path) as log, EmbeddedLog(fresh):
            assert [record.value for record in everything(log)] == [b"1"]


def test_the_disk_of_another_error_is_not_called_full(path: Path) -> None:
    EmbeddedLog(path).close()
    if os.geteuid() == 0:
        pytest.skip("root may write to a file that is read-only")
    path.chmod(0o400)
    with pytest.raises(LogError) as error:
        EmbeddedLog(path).append(TOPIC, numbered(1))
    assert not isinstance(error.value, LogFull)
