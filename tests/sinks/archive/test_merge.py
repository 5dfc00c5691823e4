"""Rows in any order come out sorted, however little memory there is."""

from __future__ import annotations

import random
from pathlib import Path

import pyarrow as pa
import pytest

from sinks.archive import merge
from sinks.archive.merge import Sorter
from tests.sinks.archive.rows import frames

KEYS = ["plant/b/m2", "plant/a/m2", "plant/a/m10", "other/z/m1"]


def _shuffled(count: int) -> list[pa.Table]:
    dice = random.Random(7)
    places = [(key, n) for n in range(count) for key in KEYS]
    dice.shuffle(places)
    return [frames([seconds], key=key) for key, seconds in places]


def _read(groups: list[pa.Table]) -> list[tuple[str, str, str, int]]:
    rows = pa.concat_tables(groups).select(["site", "area", "asset", "seq"])
    return [tuple(row.values()) for row in rows.to_pylist()]


@pytest.mark.parametrize("chunk_rows", [5, 64, 10_000])
def test_rows_come_out_by_name_and_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk_rows: int
) -> None:
    monkeypatch.setattr(merge, "_BATCH_ROWS", 3)
    monkeypatch.setattr(merge, "_FILES", 4)
    sorter = Sorter(("site", "area", "asset"), tmp_path, chunk_rows)
    tables = _shuffled(30)
    for table in tables:
        sorter.add(table)
    assert sorter.rows == 120
    assert _read(list(sorter.groups())) == sorted(_read(tables))


def test_of_equal_rows_none_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merge, "_BATCH_ROWS", 2)
    monkeypatch.setattr(merge, "_FILES", 2)
    sorter = Sorter(("area", "asset"), tmp_path, 3)
    for number in range(20):
        same = frames([0])
        sorter.add(same.append_column("n", pa.array([number])))
    found = pa.concat_tables(sorter.groups())
    assert sorted(found["n"].to_pylist()) == list(range(20))


def test_rows_come_out_by_row_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merge, "ROW_GROUP_ROWS", 8)
    sorter = Sorter(("area", "asset"), tmp_path, 6)
    sorter.add(frames(range(20)))
    assert [group.num_rows for group in sorter.groups()] == [8, 8, 4]


def test_no_rows_are_no_groups(tmp_path: Path) -> None:
    assert list(Sorter(("area", "asset"), tmp_path).groups()) == []
