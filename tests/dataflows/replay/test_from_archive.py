from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

import dataflows.replay.from_archive as module
from connectors.log.contract import EVENTS, FRAMES
from dataflows.replay.from_archive import ArchiveHistory
from dataflows.replay.span import Assets, Span
from sinks.archive.store import Store
from tests.dataflows.replay.making import (
    DAY_US,
    ENERGY,
    NOON_US,
    REALTIME,
    SECOND_US,
    archive,
    archive_events,
    edge_log,
    frame,
    records_of,
)
from transforms.codec.frame import FrameSchema
from transforms.codec.records import Event

PRESS, PUMP = "plant/hall/press", "plant/yard/pump"
DAY = 86_400


def history(
    folder: Path,
    span: Span = Span(),  # noqa: B008 - frozen
    *assets: str,
    topic: str = FRAMES,
    needed: list[FrameSchema] | None = None,
) -> ArchiveHistory:
    asked: list[FrameSchema] = [] if needed is None else needed

    def needs(schemas: Iterable[FrameSchema]) -> None:
        asked.extend(schemas)

    return ArchiveHistory(
        Store.of(folder),
        topic,
        span,
        Assets(assets),
        known=[REALTIME, ENERGY],
        needs=needs,
        stopping=lambda: False,
    )


@pytest.fixture
def three_days(tmp_path: Path) -> Path:
    """A frame of two assets at each noon, the energy of one, out of order."""
    records = [
        (PUMP, frame(REALTIME, 2 * DAY)),
        (PUMP, frame(REALTIME, 0)),
        (PRESS, frame(REALTIME, 2 * DAY, status=2)),
        (PRESS, frame(ENERGY, 0)),
        (PUMP, frame(REALTIME, DAY)),
        (PRESS, frame(REALTIME, DAY)),
        (PRESS, frame(REALTIME, 0, status=7)),
    ]
    with edge_log(tmp_path / "edge.sqlite", records) as log:
        archive(log, FRAMES, tmp_path / "archive")
    return tmp_path / "archive"


ALL = [
    (0, PRESS, frame(ENERGY, 0)),
    (0, PRESS, frame(REALTIME, 0, status=7)),
    (0, PUMP, frame(REALTIME, 0)),
    (DAY, PRESS, frame(REALTIME, DAY)),
    (DAY, PUMP, frame(REALTIME, DAY)),
    (2 * DAY, PRESS, frame(REALTIME, 2 * DAY, status=2)),
    (2 * DAY, PUMP, frame(REALTIME, 2 * DAY)),
]


def test_frames_come_by_slot_and_then_by_asset(three_days: Path) -> None:
    found = history(three_days)
    assert found.total == 7
    assert records_of(found) == ALL
    assert found.looked == 7


@pytest.mark.parametrize("at_once", [1, 2, 32])
def test_in_slices_it_is_the_same(
    three_days: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(module, "_SLICES", at_once)
    monkeypatch.setattr(module, "_SLICE_ROWS", 1)
    monkeypatch.setattr(module, "_PIECE_ROWS", 1)
    assert records_of(history(three_days)) == ALL


def test_only_files_of_the_wanted_days_are_opened(three_days: Path) -> None:
    for path in three_days.rglob("date=2026-03-0[13]/*.parquet"):
        path.unlink()
    span = Span(start_us=NOON_US + DAY_US - 1, end_us=NOON_US + DAY_US + 1)
    assert records_of(history(three_days, span)) == ALL[3:5]


def test_the_end_is_left_out(three_days: Path) -> None:
    span = Span(start_us=NOON_US + SECOND_US, end_us=NOON_US + 2 * DAY_US)
    assert records_of(history(three_days, span)) == ALL[3:5]


@pytest.mark.parametrize("pattern", [PUMP, "*/yard/*"])
def test_only_the_wanted_assets_come(three_days: Path, pattern: str) -> None:
    found = history(three_days, Span(), pattern)
    assert records_of(found) == [ALL[2], ALL[4], ALL[6]]
    assert found.looked == found.total


def test_schemas_are_named_before_their_first_frame(three_days: Path) -> None:
    needed: list[FrameSchema] = []
    found = history(three_days, needed=needed)
    next(found.blocks())
    assert sorted(schema.group for schema in needed) == ["energy", "realtime"]


def test_events_come_by_their_beginning(tmp_path: Path) -> None:
    later = Event(
        asset=PRESS, kind="gap", time=NOON_US + 9 * SECOND_US, data={"n": "1"}
    )
    first = Event(asset="", kind="log_truncated", time=NOON_US, until=NOON_US + 5)
    records = [(each.asset, each.encode()) for each in (later, first)]
    with edge_log(tmp_path / "edge.sqlite", records, EVENTS) as log:
        archive_events(log, EVENTS, tmp_path / "archive")
    found = records_of(history(tmp_path / "archive", topic=EVENTS))
    assert found == [(0, "", first.encode()), (9, PRESS, later.encode())]


def test_an_archive_that_is_not_there_is_empty(tmp_path: Path) -> None:
    found = history(tmp_path / "nowhere")
    assert (found.total, records_of(found)) == (0, [])
