from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from connectors.log.contract import DEAD, FRAMES
from connectors.log.dead import Place, bury, letters, replay
from connectors.log.embedded import EmbeddedLog
from transforms.codec.framing import CodecError

ASSET = "plant/hall/press"


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EmbeddedLog]:
    with EmbeddedLog(tmp_path / "edge.sqlite") as log:
        log.append(FRAMES, [(ASSET, b"good"), (ASSET, b"\xffbad"), ("\N{BELL}", b"")])
        yield log


def bury_at(log: EmbeddedLog, offset: int, flow: str = "archive") -> bool:
    (record,) = log.read(FRAMES, 0, offset, 1)
    place = Place(FRAMES, 0, offset)
    return bury(log, flow, place, record.key, record.value, CodecError("no frame"))


def test_a_letter_keeps_place_bytes_flow_and_error(log: EmbeddedLog) -> None:
    assert bury_at(log, 1)
    (letter,) = letters(log).values()
    assert (letter.topic, letter.partition, letter.offset) == (FRAMES, 0, 1)
    assert (letter.flow, letter.error) == ("archive", "no frame")
    assert (letter.key, letter.value) == (ASSET.encode(), b"\xffbad")
    assert letter.asset == ASSET
    assert letter.revision == 0
    assert log.read(DEAD, 0, 0, 1)[0].key == ASSET


def test_the_same_record_is_the_same_letter_for_a_flow(log: EmbeddedLog) -> None:
    bury_at(log, 1)
    bury_at(log, 1)
    bury_at(log, 1, flow="publish")
    bury_at(log, 2)
    places = [(letter.flow, letter.offset) for letter in letters(log).values()]
    assert places == [("archive", 1), ("publish", 1), ("archive", 2)]


def test_a_replay_appends_the_same_bytes_and_marks_the_letter(
    log: EmbeddedLog,
) -> None:
    bury_at(log, 1)
    (letter,) = letters(log).values()
    assert replay(log, [letter]) == 3
    (again,) = log.read(FRAMES, 0, 3, 10)
    assert (again.key, again.value) == (ASSET, b"\xffbad")
    (marked,) = letters(log).values()
    assert (marked.id, marked.revision) == (letter.id, 1)
    # Met again by a flow that reads anew, it stays marked.
    bury_at(log, 1)
    assert [each.revision for each in letters(log).values()] == [1]


def test_what_is_no_letter_is_passed_over(log: EmbeddedLog) -> None:
    log.append(DEAD, [("", b"junk"), ("", b"")])
    bury_at(log, 1)
    assert len(letters(log)) == 1


def test_a_full_log_costs_the_letter_and_not_the_flow(log: EmbeddedLog) -> None:
    log._db.execute("PRAGMA max_page_count=1")
    with capture_logs() as logs:
        assert not bury_at(log, 1)
    (entry,) = logs
    assert entry["event"] == "dead_letter_not_written"
    assert (entry["topic"], entry["partition"], entry["offset"]) == (FRAMES, 0, 1)
