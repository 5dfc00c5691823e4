"""The record is kept beside the frames, and the log forgets nothing too early."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from sinks.sparkplug.account import Mark
from sinks.sparkplug.keeper import Keeper
from sinks.sparkplug.owed import NOTHING
from sinks.sparkplug.record import load_record
from tests.kit import until


class Node:
    """What stands behind a keeper: an account, and a log that may forget."""

    def __init__(self, path: Path, background: ThreadPoolExecutor) -> None:
        self.path = path
        self.live = 0
        self.forgot: list[int] = []
        self.keeper = Keeper(
            path,
            "log",
            -1,
            mark=lambda: Mark(NOTHING, self.live),
            forget=self.forgot.append,
            background=background,
            every_seconds=0.0,
        )

    def ticked(self) -> list[int]:
        self.keeper.tick()
        return self.forgot


@pytest.fixture
def background() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


@pytest.fixture
def node(tmp_path: Path, background: ThreadPoolExecutor) -> Node:
    return Node(tmp_path / "records/node.json", background)


def test_a_disk_that_takes_its_time_holds_nothing_up(
    node: Node, background: ThreadPoolExecutor
) -> None:
    disk = Event()
    background.submit(disk.wait, 30)
    for node.live in range(1, 4):
        assert node.ticked() == []
    assert not node.path.exists()
    disk.set()
    until(lambda: node.ticked()[-1:] == [3], "the log forgets")
    assert node.forgot[0] == 1  # what the account was when it began
    assert load_record(node.path).live == 3


def test_the_log_forgets_nothing_while_the_record_cannot_be_written(
    node: Node, background: ThreadPoolExecutor
) -> None:
    node.live = 7
    blocked = node.path.with_suffix(".json.new")
    blocked.mkdir()
    for _ in range(5):
        node.keeper.tick()
        background.submit(lambda: None).result(10)
    assert node.forgot == []
    blocked.rmdir()
    until(node.ticked, "the log forgets")
    assert node.forgot[0] == 7


def test_the_end_keeps_the_last_account(node: Node) -> None:
    node.live = 1
    node.keeper.tick()
    node.keeper.end(Mark(NOTHING, 9))
    assert load_record(node.path).live == 9
    assert node.forgot[-1] == 9


def test_the_number_of_an_attempt_stays_in_the_record(node: Node) -> None:
    node.keeper.count(5)
    assert load_record(node.path).bd_seq == 5
    node.keeper.end(Mark(NOTHING, 2))
    record = load_record(node.path)
    assert (record.bd_seq, record.live, record.log_id) == (5, 2, "log")
