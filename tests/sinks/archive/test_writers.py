"""Several writers at once: of different partitions, and of one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction

from connectors.log.contract import FRAMES
from sinks.archive.commit import Archive, SecondWriter, position
from sinks.archive.store import Store
from tests.s3 import S3Server
from tests.sinks.archive.making import ENERGY, NOON_US, SECOND_US
from tests.sinks.archive.rows import LOG, archive_of, content, frames

pytestmark = pytest.mark.integration

BASE = NOON_US // SECOND_US


def _position(store: Store, partition: int = 0) -> int | None:
    return position(store, "frames", log_id=LOG, topic=FRAMES, partition=partition)


def _together(works: Sequence[Callable[[], object]]) -> list[BaseException | None]:
    """Start all at the same moment; what each ended with."""
    barrier = threading.Barrier(len(works))

    def run(work: Callable[[], object]) -> None:
        barrier.wait()
        work()

    with ThreadPoolExecutor(len(works)) as pool:
        return [f.exception() for f in [pool.submit(run, work) for work in works]]


def test_writers_of_different_partitions_lose_nothing(store: Store) -> None:
    """They make the same tables at the same time and bring them different columns."""
    writers, commits = 3, 6

    def write(number: int) -> None:
        archive = archive_of(store, number)
        key = f"plant/hall1/m{number}"
        for n in range(commits):
            extra = f"extra{n}" if n % 2 else f"own{number}x{n}"
            tables = {
                "frames/realtime": frames([n], key=key, extra=extra),
                "frames/energy": frames([n], key=key, schema=ENERGY),
            }
            archive.commit(tables, 2 * n, 2 * n + 1)

    works = [lambda number=number: write(number) for number in range(writers)]
    assert _together(works) == [None] * writers
    rows = content(store)
    expected = [(f"m{w}", BASE + n) for w in range(writers) for n in range(commits)]
    assert rows.select("asset", "seq").rows() == expected
    assert rows["extra1"].drop_nulls().to_list() == [1.0] * writers
    assert rows["own2x4"].drop_nulls().to_list() == [4.0]
    assert content(store, "frames/energy").height == writers * commits
    assert [_position(store, number) for number in range(writers)] == [11] * writers


def test_of_two_writers_of_one_partition_one_ends_and_no_row_is_doubled(
    store: Store,
) -> None:
    rounds = 6
    for number in range(rounds):
        archives = archive_of(store), archive_of(store)
        tables = {
            "frames/realtime": frames([number]),
            "frames/energy": frames([number], schema=ENERGY),
        }
        works = [
            lambda archive=archive, tables=tables, at=number: archive.commit(
                tables, at, at
            )
            for archive in archives
        ]
        ended = _together(works)
        assert sorted(type(each).__name__ for each in ended) == [
            "NoneType",
            "SecondWriter",
        ]
        assert _position(store) == number
    every = [BASE + number for number in range(rounds)]
    assert content(store)["seq"].to_list() == every
    assert content(store, "frames/energy")["seq"].to_list() == every


def test_the_second_writer_is_told_where_and_who(store: Store) -> None:
    one, two = archive_of(store), archive_of(store)
    one.commit({"frames/realtime": frames([0])}, 0, 0)
    with pytest.raises(SecondWriter, match=r"frames/realtime: log-a/pm500.frames-0"):
        two.commit({"frames/realtime": frames([0])}, 0, 0)


def test_a_commit_that_came_through_unheard_is_not_made_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = archive_of(store)
    archive.commit({"frames/realtime": frames([0])}, 0, 0)
    add = archive._add

    def unheard(name: str, actions: list[AddAction], last: int) -> None:
        add(name, actions, last)
        raise OSError("timed out")

    with monkeypatch.context() as patch:
        patch.setattr(archive, "_add", unheard)
        with pytest.raises(OSError, match="timed out"):
            archive.commit({"frames/realtime": frames([1])}, 1, 1)
    archive.commit({"frames/realtime": frames([1])}, 1, 1)
    archive.commit({"frames/realtime": frames([2])}, 2, 2)
    assert content(store)["seq"].to_list() == [BASE, BASE + 1, BASE + 2]
    assert _position(store) == 2


def test_a_commit_refused_again_and_again_is_trouble_of_the_store(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = archive_of(store)
    archive.commit({"frames/realtime": frames([0])}, 0, 0)

    def refuse(*_: object) -> None:
        raise CommitFailedError("no space")

    with monkeypatch.context() as patch:
        patch.setattr(archive, "_add", refuse)
        patch.setattr("sinks.archive.commit._PAUSE_SECONDS", 0)
        with pytest.raises(OSError, match="no space"):
            archive.commit({"frames/realtime": frames([1])}, 1, 1)
    archive.commit({"frames/realtime": frames([1])}, 1, 1)
    assert content(store)["seq"].to_list() == [BASE, BASE + 1]


def test_a_store_that_refuses_for_a_while_loses_and_doubles_nothing(
    s3: S3Server,
) -> None:
    store = s3.store(s3.bucket())
    archive = archive_of(store)
    archive.commit({"frames/realtime": frames([0])}, 0, 0)
    s3.refuse(everything=True)
    try:
        with pytest.raises(OSError, match="403"):
            archive.commit({"frames/realtime": frames([1])}, 1, 1)
        with pytest.raises(OSError, match="403"):
            archive_of(store)
    finally:
        s3.refuse(everything=False)
    archive.commit({"frames/realtime": frames([1])}, 1, 1)
    assert content(store)["seq"].to_list() == [BASE, BASE + 1]


def test_another_log_of_the_same_topic_is_another_writer(store: Store) -> None:
    archive_of(store).commit({"frames/realtime": frames([0])}, 0, 0)
    other = Archive(store, "frames", log_id="log-b", topic=FRAMES, partition=0)
    other.commit({"frames/realtime": frames([1])}, 0, 0)
    assert content(store)["seq"].to_list() == [BASE, BASE + 1]
