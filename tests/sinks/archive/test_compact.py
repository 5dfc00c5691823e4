"""Compaction changes files and nothing else, whoever works on the table meanwhile."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import date
from pathlib import Path

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest

from connectors.log.contract import FRAMES
from sinks.archive import merge as sorting
from sinks.archive.commit import Archive, position
from sinks.archive.compact import Overtaken, clean, merge, plan
from sinks.archive.encoding import event_table
from sinks.archive.read import dataset
from sinks.archive.store import Store
from tests.sinks.archive.making import EM24, NOON_US, SECOND_US
from tests.sinks.archive.rows import LOG, archive_of, content, frames
from transforms.codec.records import Event

pytestmark = pytest.mark.integration

TABLE = "frames/realtime"
BASE = NOON_US // SECOND_US
DAY_SECONDS = 86_400


def _write(store: Store, count: int, key: str = "plant/hall1/m1") -> Archive:
    archive = archive_of(store)
    for n in range(count):
        archive.commit({TABLE: frames([n], key=key)}, n, n)
    return archive


def _files(store: Store, table: str = TABLE) -> list[str]:
    return sorted(store.open(table).file_uris())


def _compact(store: Store, table: str = TABLE) -> None:
    for job in plan(store, table):
        merge(store, job)


def test_many_files_become_one_with_the_same_rows(store: Store) -> None:
    _write(store, 5)
    before = content(store)
    _compact(store)
    assert len(_files(store)) == 1
    assert content(store).equals(before)


def test_duckdb_reads_the_same_before_and_after(store: Store) -> None:
    _write(store, 5)
    query = "SELECT seq, voltageAN FROM rows ORDER BY seq"
    before = duckdb.connect().register("rows", dataset(store, TABLE)).sql(query)
    rows = before.fetchall()
    _compact(store)
    after = duckdb.connect().register("rows", dataset(store, TABLE)).sql(query)
    assert after.fetchall() == rows == [(BASE + n, float(n)) for n in range(5)]


def test_rows_stand_by_area_asset_and_slot_in_our_encodings(tmp_path: Path) -> None:
    store = Store.of(tmp_path)
    archive = archive_of(store)
    keys = ["plant/b/m1", "plant/a/m2", "plant/a/m1", "plant/a/m2"]
    for n, key in enumerate(keys):
        archive.commit({TABLE: frames([n], key=key)}, n, n)
    _compact(store)
    file = pq.ParquetFile(_files(store)[0])
    rows = file.read(["area", "asset", "seq"]).to_pylist()
    assert [(r["area"], r["asset"], r["seq"] - BASE) for r in rows] == [
        ("a", "m1", 2),
        ("a", "m2", 1),
        ("a", "m2", 3),
        ("b", "m1", 0),
    ]
    columns = file.metadata.row_group(0).to_dict()["columns"]
    encodings = {c["path_in_schema"]: set(c["encodings"]) for c in columns}
    assert encodings["voltageAN"] == {"RLE", "BYTE_STREAM_SPLIT"}
    assert encodings["asset"] == {"PLAIN", "RLE", "RLE_DICTIONARY"}


def test_each_site_and_date_has_its_own_files(store: Store) -> None:
    archive = archive_of(store)
    for n in range(2):
        archive.commit({TABLE: frames([n], key="a/x/m")}, 3 * n, 3 * n)
        archive.commit({TABLE: frames([n], key="b/x/m")}, 3 * n + 1, 3 * n + 1)
        late = frames([DAY_SECONDS + n], key="a/x/m")
        archive.commit({TABLE: late}, 3 * n + 2, 3 * n + 2)
    jobs = plan(store, TABLE)
    assert [(job.site, job.day, len(job.files)) for job in jobs] == [
        ("a", date(2026, 3, 1), 2),
        ("b", date(2026, 3, 1), 2),
        ("a", date(2026, 3, 2), 2),
    ]
    before = content(store)
    _compact(store)
    assert len(_files(store)) == 3
    assert content(store).equals(before)


@pytest.mark.parametrize("site", ["wörk:1", "a&b?", "日本"])
def test_sites_with_odd_letters_lose_and_double_nothing(
    store: Store, site: str
) -> None:
    """By Arrow: in a bucket polars does not find what stands below such a name."""
    _write(store, 3, key=f"{site}/x/y")
    _compact(store)
    assert len(_files(store)) == 1
    rows = dataset(store, TABLE).to_table().sort_by("seq")
    assert rows["seq"].to_pylist() == [BASE, BASE + 1, BASE + 2]
    assert rows["site"].to_pylist() == [site] * 3


def test_events_without_a_site_are_merged_too(store: Store) -> None:
    archive = Archive(store, "events", log_id=LOG, topic="pm500.events", partition=0)
    for n in range(3):
        event = Event(asset="", kind="log_held", time=NOON_US + n, data={"a": "b"})
        archive.commit({"events": event_table([event])}, n, n)
    _compact(store, "events")
    rows = dataset(store, "events").to_table().sort_by("time").to_pylist()
    assert len(_files(store, "events")) == 1
    assert [row["site"] for row in rows] == [None, None, None]
    assert [dict(row["data"]) for row in rows] == [{"a": "b"}] * 3


def test_what_is_merged_is_left_alone(store: Store) -> None:
    _write(store, 3)
    _compact(store)
    assert plan(store, TABLE) == []


def test_dates_from_before_on_are_left_alone(store: Store) -> None:
    _write(store, 2)
    assert plan(store, TABLE, before=date(2026, 3, 1)) == []
    assert len(plan(store, TABLE, before=date(2026, 3, 2))) == 1


def test_files_of_half_the_target_are_left_alone(store: Store) -> None:
    _write(store, 3)
    assert plan(store, TABLE, target_bytes=1000) == []


def test_a_large_partition_becomes_files_of_about_the_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With little memory: rows wait in scratch files, of which nothing is left."""
    monkeypatch.setattr("sinks.archive.compact.ROW_GROUP_ROWS", 10)
    monkeypatch.setattr(sorting, "ROW_GROUP_ROWS", 10)
    monkeypatch.setattr(sorting.Sorter, "__init__", _small(sorting.Sorter))
    store = Store.of(tmp_path)
    archive = archive_of(store)
    for n in range(12):
        archive.commit({TABLE: frames(range(5 * n, 5 * n + 5))}, n, n)
    before = content(store)
    (job,) = plan(store, TABLE)
    few = plan(store, TABLE, target_bytes=job.bytes // 3)
    assert len(merge(store, few[0])) == 3
    assert content(store).equals(before)
    slots = [
        pq.read_table(f, columns=["seq"])["seq"].to_pylist() for f in _files(store)
    ]
    assert sorted(map(len, slots)) == [20, 20, 20]
    assert {tuple(each) for each in slots} == {
        tuple(range(BASE + at, BASE + at + 20)) for at in (0, 20, 40)
    }
    assert [each.name for each in (tmp_path / ".drafts").iterdir()] == [f"{FRAMES}-0"]


def _small(kind: type[sorting.Sorter]) -> object:
    made = kind.__init__

    def init(self: sorting.Sorter, texts: list[str], scratch: Path) -> None:
        made(self, texts, scratch, 7)

    return init


def test_files_without_later_columns_are_merged_with_those_that_have_them(
    store: Store,
) -> None:
    archive = archive_of(store)
    archive.commit({TABLE: frames([0], schema=EM24)}, 0, 0)
    archive.commit({TABLE: frames([1])}, 1, 1)
    archive.commit({TABLE: frames([2], extra="later")}, 2, 2)
    before = content(store)
    _compact(store)
    assert content(store).equals(before)
    assert content(store)["later"].to_list() == [None, None, 2.0]


def test_old_rows_stay_readable_when_columns_come_after_a_merge(store: Store) -> None:
    archive = _write(store, 2)
    _compact(store)
    archive.commit({TABLE: frames([2], extra="later")}, 2, 2)
    assert content(store)["later"].to_list() == [None, None, 2.0]


def test_positions_stay_and_a_fresh_writer_goes_on(store: Store) -> None:
    _write(store, 3)
    _compact(store)
    clean(store, TABLE, 0)
    at = position(store, "frames", log_id=LOG, topic=FRAMES, partition=0)
    assert at == 2
    archive_of(store).commit({TABLE: frames([3])}, 3, 3)
    assert content(store)["seq"].to_list() == [BASE + n for n in range(4)]


def test_rows_that_come_while_a_merge_runs_are_kept(store: Store) -> None:
    archive = _write(store, 3)
    (job,) = plan(store, TABLE)
    archive.commit({TABLE: frames([3], extra="later")}, 3, 3)
    merge(store, job)
    assert content(store)["seq"].to_list() == [BASE + n for n in range(4)]
    assert len(_files(store)) == 2


def test_of_two_compactions_the_second_changes_nothing(store: Store) -> None:
    _write(store, 3)
    before = content(store)
    (one,) = plan(store, TABLE)
    merge(store, one)
    files = _files(store)
    with pytest.raises(Overtaken, match="site=plant/date=2026-03-01"):
        merge(store, one)
    assert _files(store) == files
    assert content(store).equals(before)


def test_a_merge_by_another_tool_is_not_doubled(store: Store) -> None:
    _write(store, 3)
    before = content(store)
    (job,) = plan(store, TABLE)
    store.open(TABLE).optimize.compact()
    with pytest.raises(Overtaken):
        merge(store, job)
    assert content(store).equals(before)


def test_replaced_files_go_when_they_are_old_enough(tmp_path: Path) -> None:
    store = Store.of(tmp_path)
    _write(store, 3)
    folder = tmp_path / TABLE / "site=plant" / "date=2026-03-01"
    (folder / "of-a-killed-writer.parquet").write_bytes(b"x")
    _compact(store)
    clean(store, TABLE, 168)
    assert len(list(folder.iterdir())) == 5
    clean(store, TABLE, 0)
    assert len(list(folder.iterdir())) == 2
    assert content(store).height == 3


def test_writers_and_two_compactions_at_once_lose_and_double_nothing(
    store: Store,
) -> None:
    writers, commits = 2, 12
    done = threading.Event()
    merges: list[int] = []

    def write(number: int) -> None:
        archive = archive_of(store, number)
        for n in range(commits):
            extra = f"extra{number}x{n}" if n % 5 == 4 else None
            rows = frames([n], key=f"plant/hall1/m{number}", extra=extra)
            archive.commit({TABLE: rows}, n, n)

    def compact() -> None:
        while not done.is_set():
            for job in plan(store, TABLE) if store.is_table(TABLE) else ():
                with suppress(Overtaken):
                    merges.append(len(merge(store, job)))
            if store.is_table(TABLE):
                clean(store, TABLE, 168)

    with ThreadPoolExecutor() as pool:
        compactions = [pool.submit(compact) for _ in range(2)]
        for work in [pool.submit(write, number) for number in range(writers)]:
            work.result()
        done.set()
        for work in compactions:
            work.result()
    _compact(store)
    assert len(_files(store)) == 1
    assert merges
    rows = content(store)
    assert rows.select("asset", "seq").rows() == [
        (f"m{number}", BASE + n) for number in range(writers) for n in range(commits)
    ]
    assert rows["extra1x9"].drop_nulls().to_list() == [9.0]
    by_arrow = pl.from_arrow(dataset(store, TABLE).to_table(columns=["asset", "seq"]))
    assert isinstance(by_arrow, pl.DataFrame)
    assert by_arrow.sort("asset", "seq").equals(rows.select("asset", "seq"))
