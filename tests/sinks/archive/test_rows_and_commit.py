"""Log records become Delta rows, and a table never disagrees with its position."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from deltalake.transaction import AddAction

from connectors.log.contract import EVENTS, FRAMES
from connectors.log.embedded import EmbeddedLog
from sinks.archive.commit import Archive, SecondWriter, position
from sinks.archive.read import dataset
from sinks.archive.store import Store
from sinks.rolls.contract import roll_now
from tests.sinks.archive.making import (
    EM24,
    ENERGY,
    NOON_US,
    REALTIME,
    SECOND_US,
    Writer,
    frame,
    make_log,
)
from transforms.codec.records import DeadLetter, Event
from transforms.model.quality import Quality

METER = "plant/hall1/m1"


def _append(log: EmbeddedLog, *frames: bytes, key: str = METER) -> range:
    return log.append(FRAMES, [(key, value) for value in frames])


def _scan(folder: Path, table: str = "frames/realtime") -> pl.DataFrame:
    return pl.scan_delta(str(folder / table)).collect()


def test_a_good_frame_is_a_row_with_its_readings_by_name(tmp_path: Path) -> None:
    log = make_log(tmp_path / "log.sqlite")
    Writer(tmp_path / "a", log).roll(_append(log, frame(REALTIME, 8)))
    row = _scan(tmp_path / "a").row(0, named=True)
    head = {name: row[name] for name in list(row)[:13]}
    slot = datetime(2026, 3, 1, 12, 0, 8, tzinfo=UTC)
    assert head == {
        "site": "plant",
        "date": date(2026, 3, 1),
        "area": "hall1",
        "asset": "m1",
        "profile": "pm500",
        "seq": NOON_US // SECOND_US + 8,
        "period": 1_000_000,
        "slot": slot,
        "sent": slot.replace(microsecond=10),
        "received": slot.replace(microsecond=900),
        "status": 0,
        "quality": 192,
        "flags": None,
    }


def test_readings_keep_their_values_and_types(tmp_path: Path) -> None:
    log = make_log(tmp_path / "log.sqlite")
    Writer(tmp_path / "a", log).roll(_append(log, frame(REALTIME, 8)))
    row = _scan(tmp_path / "a").row(0, named=True)
    got = [row[name] for name in REALTIME.names]
    assert got == [8 + place / 8 for place in range(len(REALTIME.columns))]


def test_a_bad_reading_is_null_and_flagged(tmp_path: Path) -> None:
    log = make_log(tmp_path / "log.sqlite")
    quality = bytes([0, 1, 101]) + bytes(len(REALTIME.columns) - 3)
    Writer(tmp_path / "a", log).roll(_append(log, frame(REALTIME, 8, quality=quality)))
    row = _scan(tmp_path / "a").row(0, named=True)
    names = REALTIME.names
    assert (row[names[0]], row[names[1]], row[names[2]]) == (8.0, 8.125, None)
    assert row["quality"] == 0
    assert row["flags"] == [
        {"quantity": names[1], "code": 1},
        {"quantity": names[2], "code": 101},
    ]


def test_a_reading_outside_the_electrical_system_does_not_make_the_row_bad(
    tmp_path: Path,
) -> None:
    log = make_log(tmp_path / "log.sqlite")
    quality = bytes([104]) + bytes(len(REALTIME.columns) - 1)
    Writer(tmp_path / "a", log).roll(_append(log, frame(REALTIME, 8, quality=quality)))
    row = _scan(tmp_path / "a").row(0, named=True)
    assert row["quality"] == 192
    assert row["flags"] == [{"quantity": REALTIME.names[0], "code": 104}]


def test_a_failed_frame_is_a_row_with_its_status_and_nothing_else(
    tmp_path: Path,
) -> None:
    log = make_log(tmp_path / "log.sqlite")
    Writer(tmp_path / "a", log).roll(_append(log, frame(REALTIME, 8, status=2)))
    row = _scan(tmp_path / "a").row(0, named=True)
    assert (row["status"], row["quality"], row["flags"]) == (2, 0, None)
    assert {row[name] for name in REALTIME.names} == {None}


def test_profiles_of_one_group_share_a_table_with_the_union_of_columns(
    tmp_path: Path,
) -> None:
    log = make_log(tmp_path / "log.sqlite", (REALTIME, EM24))
    writer = Writer(tmp_path / "a", log)
    writer.roll(_append(log, frame(EM24, 0), key="plant/hall1/em"))
    writer.roll(_append(log, frame(REALTIME, 1)))
    table = _scan(tmp_path / "a").sort("slot")
    assert set(REALTIME.names) | set(EM24.names) <= set(table.columns)
    assert table["profile"].to_list() == ["em24", "pm500"]
    only = next(name for name in REALTIME.names if name not in EM24.names)
    assert table[only].is_null().to_list() == [True, False]


def test_two_profiles_in_one_roll_are_one_file(tmp_path: Path) -> None:
    log = make_log(tmp_path / "log.sqlite", (REALTIME, EM24))
    offsets = _append(log, frame(REALTIME, 1), frame(EM24, 2), frame(REALTIME, 3))
    Writer(tmp_path / "a", log).roll(offsets)
    table = DeltaTable(tmp_path / "a/frames/realtime")
    assert len(table.file_uris()) == 1
    assert sorted(_scan(tmp_path / "a")["profile"]) == ["em24", "pm500", "pm500"]


def test_rows_are_partitioned_by_site_and_utc_date_of_the_slot(tmp_path: Path) -> None:
    log = make_log(tmp_path / "log.sqlite")
    midnight_s = 12 * 3600
    offsets = _append(log, frame(REALTIME, midnight_s - 1), frame(REALTIME, midnight_s))
    _append(log, frame(REALTIME, 0), key="other/x/y")
    Writer(tmp_path / "a", log).roll(range(offsets[0], offsets[-1] + 2))
    found = sorted(
        (p["site"], str(p["date"]))
        for p in DeltaTable(tmp_path / "a/frames/realtime").partitions()
    )
    assert found == [
        ("other", "2026-03-01"),
        ("plant", "2026-03-01"),
        ("plant", "2026-03-02"),
    ]


@pytest.mark.parametrize("site", ["wörk:1", "a&b?", "日本"])
def test_a_site_with_odd_letters_is_read_by_its_own_name(
    tmp_path: Path, site: str
) -> None:
    log = make_log(tmp_path / "log.sqlite")
    Writer(tmp_path / "a", log).roll(
        _append(log, frame(REALTIME, 0), key=f"{site}/x/y")
    )
    assert _scan(tmp_path / "a")["site"].to_list() == [site]
    rows = DeltaTable(tmp_path / "a/frames/realtime").to_pyarrow_dataset().to_table()
    assert rows["site"].to_pylist() == [site]


def test_rows_of_a_file_are_sorted_by_area_asset_and_slot(tmp_path: Path) -> None:
    log = make_log(tmp_path / "log.sqlite")
    for seconds, key in ((5, "s/b/x"), (3, "s/a/z"), (4, "s/a/y"), (2, "s/a/z")):
        _append(log, frame(REALTIME, seconds), key=key)
    Writer(tmp_path / "a", log).roll(range(4))
    (file,) = (tmp_path / "a/frames/realtime").glob("site=*/*/*.parquet")
    rows = pq.ParquetFile(file).read(["area", "asset", "seq"]).to_pylist()
    base = NOON_US // SECOND_US
    assert [(r["area"], r["asset"], r["seq"] - base) for r in rows] == [
        ("a", "y", 4),
        ("a", "z", 2),
        ("a", "z", 3),
        ("b", "x", 5),
    ]


def test_files_use_the_encodings_of_the_handbook(tmp_path: Path) -> None:
    log = make_log(tmp_path / "log.sqlite", (ENERGY, REALTIME))
    bad = bytes([1]) + bytes(len(ENERGY.columns) - 1)
    offsets = _append(log, frame(ENERGY, 0, quality=bad), frame(REALTIME, 0))
    Writer(tmp_path / "a", log).roll(offsets)
    columns = _encodings(tmp_path / "a/frames/energy")
    assert columns["energyImport"] == ("ZSTD", {"RLE", "BYTE_STREAM_SPLIT"})
    assert columns["slot"] == ("ZSTD", {"RLE", "DELTA_BINARY_PACKED"})
    assert columns["seq"] == ("ZSTD", {"RLE", "DELTA_BINARY_PACKED"})
    assert columns["quality"] == ("ZSTD", {"RLE", "DELTA_BINARY_PACKED"})
    assert columns["asset"] == ("ZSTD", {"PLAIN", "RLE", "RLE_DICTIONARY"})
    assert columns["flags.list.element.code"][1] == {"RLE", "DELTA_BINARY_PACKED"}
    columns = _encodings(tmp_path / "a/frames/realtime")
    assert columns["voltageAN"] == ("LZ4", {"RLE", "BYTE_STREAM_SPLIT"})


def _encodings(table: Path) -> dict[str, tuple[str, set[str]]]:
    (file,) = table.glob("site=*/*/*.parquet")
    group = pq.ParquetFile(file).metadata.row_group(0)
    return {
        column["path_in_schema"]: (column["compression"], set(column["encodings"]))
        for column in group.to_dict()["columns"]
    }


def test_a_column_with_nulls_and_one_without_are_read_as_one(tmp_path: Path) -> None:
    log = make_log(tmp_path / "log.sqlite", (ENERGY,))
    writer = Writer(tmp_path / "a", log)
    writer.roll(_append(log, frame(ENERGY, 0)))
    none = bytes([Quality.BAD_NO_VALUE]) + bytes(len(ENERGY.columns) - 1)
    writer.roll(_append(log, frame(ENERGY, 1, quality=none)))
    name = ENERGY.names[0]
    path = tmp_path / "a/frames/energy"
    required = [
        pq.ParquetFile(file).schema_arrow.field(name).nullable
        for file in path.glob("site=*/*/*.parquet")
    ]
    assert sorted(required) == [False, True]
    rows = pl.scan_delta(str(path)).sort("seq").collect()
    assert rows[name].is_null().to_list() == [False, True]
    duckdb.register("all_rows", DeltaTable(path).to_pyarrow_dataset())
    query = f'SELECT "{name}" IS NULL FROM all_rows ORDER BY seq'
    assert duckdb.execute(query).fetchall() == [(False,), (True,)]


def test_a_dataset_and_filters_on_time_read_the_same_rows(tmp_path: Path) -> None:
    log = make_log(tmp_path / "log.sqlite")
    writer = Writer(tmp_path / "a", log)
    writer.roll(_append(log, frame(REALTIME, 0), frame(REALTIME, 1)))
    writer.roll(_append(log, frame(REALTIME, 2), frame(REALTIME, 3)))
    scan = pl.scan_delta(str(tmp_path / "a/frames/realtime"))
    third = datetime(2026, 3, 1, 12, 0, 2, tzinfo=UTC)
    found = scan.filter(pl.col("slot") >= third, pl.col("asset") == "m1").collect()
    assert sorted(found["seq"]) == [NOON_US // SECOND_US + s for s in (2, 3)]
    dataset = DeltaTable(tmp_path / "a/frames/realtime").to_pyarrow_dataset()
    assert dataset.count_rows() == 4


def test_every_table_of_the_topic_moves_with_each_roll(tmp_path: Path) -> None:
    log = make_log(tmp_path / "log.sqlite", (REALTIME, ENERGY))
    writer = Writer(tmp_path / "a", log)
    writer.roll(_append(log, frame(REALTIME, 0), frame(ENERGY, 0)))
    writer.roll(_append(log, frame(REALTIME, 1)))
    assert writer.archive.has("frames/energy") == 2
    assert writer.stored == [2, 3]
    again = Writer(tmp_path / "a", log)
    assert again.archive.has("frames/energy") == 2


def _position(folder: Path, log: EmbeddedLog) -> int | None:
    return position(
        folder, "frames", log_id=log.identity(FRAMES), topic=FRAMES, partition=0
    )


def test_a_fresh_archive_has_no_position(tmp_path: Path) -> None:
    log = make_log(tmp_path / "log.sqlite")
    assert _position(tmp_path / "a", log) is None


def test_a_position_is_never_applied_to_another_log(tmp_path: Path) -> None:
    log = make_log(tmp_path / "log.sqlite")
    Writer(tmp_path / "a", log).roll(_append(log, frame(REALTIME, 0)))
    other = make_log(tmp_path / "other.sqlite")
    assert _position(tmp_path / "a", log) == 0
    assert _position(tmp_path / "a", other) is None
    Writer(tmp_path / "a", other).roll(_append(other, frame(REALTIME, 1)))
    assert _scan(tmp_path / "a").height == 2


def test_reading_resumes_at_the_lowest_table_and_each_skips_what_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = make_log(tmp_path / "log.sqlite", (REALTIME, ENERGY))
    first = Writer(tmp_path / "a", log)
    first.roll(_append(log, frame(REALTIME, 0), frame(ENERGY, 0)))
    _append(log, frame(ENERGY, 1), frame(REALTIME, 1), frame(ENERGY, 2))
    with monkeypatch.context() as patch:
        patch.setattr(first.archive, "_commit_table", _after_one(first.archive))
        first.add(range(2, 5))
        with pytest.raises(KeyboardInterrupt):
            roll_now(first.writer)
    assert _position(tmp_path / "a", log) == 1
    second = Writer(tmp_path / "a", log)
    second.roll(range(2, 4))
    second.roll(range(4, 5))
    base = NOON_US // SECOND_US
    energy, realtime = (
        _scan(tmp_path / "a", f"frames/{g}") for g in ("energy", "realtime")
    )
    assert sorted(energy["seq"]) == [base, base + 1, base + 2]
    assert sorted(realtime["seq"]) == [base, base + 1]
    assert _position(tmp_path / "a", log) == 4


def _after_one(archive: Archive) -> Callable[..., None]:
    commit = archive._commit_table
    done: list[object] = []

    def once(*arguments: Any) -> None:
        if done:
            raise KeyboardInterrupt
        commit(*arguments)
        done.append(arguments)

    return once


def test_a_new_table_of_a_broken_first_roll_loses_no_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = make_log(tmp_path / "log.sqlite", (REALTIME, ENERGY))
    first = Writer(tmp_path / "a", log)
    first.add(_append(log, frame(REALTIME, 0), frame(ENERGY, 0)))
    with monkeypatch.context() as patch:
        patch.setattr(first.archive, "_commit_table", _after_one(first.archive))
        with pytest.raises(KeyboardInterrupt):
            roll_now(first.writer)
    assert _position(tmp_path / "a", log) == -1
    Writer(tmp_path / "a", log).roll(range(2))
    assert _scan(tmp_path / "a", "frames/energy").height == 1
    assert _scan(tmp_path / "a", "frames/realtime").height == 1


def test_a_second_writer_is_refused_and_doubles_nothing(tmp_path: Path) -> None:
    log = make_log(tmp_path / "log.sqlite")
    one, two = Writer(tmp_path / "a", log), Writer(tmp_path / "a", log)
    offsets = _append(log, frame(REALTIME, 0), frame(REALTIME, 1))
    one.roll(offsets)
    with pytest.raises(SecondWriter, match="another process"):
        two.roll(offsets)
    assert _scan(tmp_path / "a").height == 2


def test_the_first_of_two_writers_is_refused_once_the_second_has_moved(
    tmp_path: Path,
) -> None:
    log = make_log(tmp_path / "log.sqlite")
    one = Writer(tmp_path / "a", log)
    one.roll(_append(log, frame(REALTIME, 0)))
    two = Writer(tmp_path / "a", log)
    two.roll(_append(log, frame(REALTIME, 1)))
    with pytest.raises(SecondWriter):
        one.roll(range(1, 2))
    assert _scan(tmp_path / "a").height == 2


def test_a_commit_between_the_check_and_ours_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = make_log(tmp_path / "log.sqlite")
    one, two = Writer(tmp_path / "a", log), Writer(tmp_path / "a", log)
    offsets = _append(log, frame(REALTIME, 0))
    one.add(offsets)
    add = one.archive._add

    def late(name: str, actions: list[AddAction], last: int) -> None:
        monkeypatch.undo()
        two.archive._own.setdefault(name, -1)
        two.roll(offsets)
        add(name, actions, last)

    monkeypatch.setattr(one.archive, "_add", late)
    with pytest.raises(SecondWriter):
        roll_now(one.writer)
    assert _scan(tmp_path / "a").height == 1


def test_positions_survive_many_commits_and_their_checkpoints(tmp_path: Path) -> None:
    log = make_log(tmp_path / "log.sqlite")
    writer = Writer(tmp_path / "a", log)
    for seconds in range(102):
        writer.roll(_append(log, frame(REALTIME, seconds)))
    assert list((tmp_path / "a/frames/realtime/_delta_log").glob("*.checkpoint.*"))
    assert _position(tmp_path / "a", log) == 101
    assert _scan(tmp_path / "a").height == 102


CORRUPT = {
    "nonsense": b"nonsense",
    "empty": b"",
    "cut short": frame(REALTIME, 0)[:-3],
    "unknown schema": b"\xc3\x01" + bytes(8) + frame(REALTIME, 0)[10:],
    "off the grid": REALTIME.encode_failed(5, SECOND_US, NOON_US, 0, 0, 2),
    "far future": REALTIME.encode_failed(2**50, 2**12, 2**62, 0, 0, 2),
    "no period": REALTIME.encode_failed(0, 0, 0, 0, 0, 2),
}


@pytest.mark.parametrize("corrupt", CORRUPT.values(), ids=CORRUPT)
def test_a_corrupt_record_is_set_aside_and_the_rest_goes_on(
    tmp_path: Path, corrupt: bytes
) -> None:
    log = make_log(tmp_path / "log.sqlite")
    writer = Writer(tmp_path / "a", log)
    writer.roll(_append(log, frame(REALTIME, 0), corrupt, frame(REALTIME, 1)))
    assert [rejected.offset for rejected in writer.buried] == [1]
    assert _scan(tmp_path / "a").height == 2
    assert _position(tmp_path / "a", log) == 2


def test_a_frame_whose_key_is_no_asset_is_set_aside(tmp_path: Path) -> None:
    log = make_log(tmp_path / "log.sqlite")
    writer = Writer(tmp_path / "a", log)
    writer.roll(_append(log, frame(REALTIME, 0), key="nobody"))
    assert "not of the form" in writer.buried[0].reason


def test_a_disk_that_refuses_loses_nothing_and_is_tried_again(tmp_path: Path) -> None:
    log = make_log(tmp_path / "log.sqlite")
    folder = tmp_path / "a"
    writer = Writer(folder, log)
    writer.roll(_append(log, frame(REALTIME, 0)))
    folder.rename(tmp_path / "away")
    folder.touch()
    writer.add(_append(log, frame(REALTIME, 1)))
    roll = writer.writer.cut()
    assert roll is not None
    with pytest.raises(OSError, match=r"\w"):
        roll.commit()
    folder.unlink()
    (tmp_path / "away").rename(folder)
    roll.commit()
    assert sorted(_scan(folder)["seq"]) == [NOON_US // SECOND_US + s for s in (0, 1)]


def test_an_archive_that_is_away_never_counts_as_written(tmp_path: Path) -> None:
    log = make_log(tmp_path / "log.sqlite")
    folder = tmp_path / "a"
    writer = Writer(folder, log)
    writer.roll(_append(log, frame(REALTIME, 0)))
    folder.rename(tmp_path / "away")
    writer.add(_append(log, b"nonsense"))
    with pytest.raises(OSError, match="realtime"):
        roll_now(writer.writer)
    assert writer.stored == [1]


def test_events_are_rows_of_their_own_table(tmp_path: Path) -> None:
    log = make_log(tmp_path / "log.sqlite")
    lost = Event(
        asset=METER,
        kind="comm_lost",
        time=NOON_US,
        until=NOON_US + SECOND_US,
        group="realtime",
        severity="warning",
        text="three slots failed",
        data={"status": "timeout", "b": "2"},
    )
    bare = Event(asset="", kind="log_held", time=NOON_US)
    letter = DeadLetter(
        topic="t",
        partition=0,
        offset=0,
        time=0,
        flow="f",
        error="e",
        key=b"",
        value=b"",
    )
    values = [("", event.encode()) for event in (lost, bare, letter)]
    writer = Writer(tmp_path / "a", log, EVENTS)
    writer.roll(log.append(EVENTS, values))
    row, other = _scan(tmp_path / "a", "events").sort("kind").to_dicts()
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert dict(row["data"]) == {"status": "timeout", "b": "2"}
    del row["data"]
    assert row == {
        "site": "plant",
        "date": noon.date(),
        "area": "hall1",
        "asset": "m1",
        "id": lost.id,
        "revision": 0,
        "kind": "comm_lost",
        "time": noon,
        "until": noon.replace(second=1),
        "group": "realtime",
        "severity": "warning",
        "text": "three slots failed",
    }
    assert (other["site"], other["area"], other["asset"]) == (None, "", "")
    assert "no event" in writer.buried[0].reason


def test_what_a_full_disk_left_of_a_new_table_stops_nothing(tmp_path: Path) -> None:
    log = make_log(tmp_path / "log.sqlite")
    (tmp_path / "a" / "frames" / "realtime" / "_delta_log").mkdir(parents=True)
    (tmp_path / "a" / "frames" / "status" / "_delta_log").mkdir(parents=True)
    Writer(tmp_path / "a", log).roll(_append(log, frame(REALTIME, 8)))
    assert _scan(tmp_path / "a").height == 1
    assert Writer(tmp_path / "a", log) is not None


def test_a_filter_on_a_column_without_bounds_finds_its_rows(tmp_path: Path) -> None:
    with make_log(tmp_path / "log.sqlite") as log:
        log.append(FRAMES, [("s/a/m", frame(REALTIME, s)) for s in range(20)])
        Writer(tmp_path / "a", log).roll(range(20))
    table = dataset(Store.of(tmp_path / "a"), "frames/realtime")
    assert table.count_rows(filter=pc.field("status") == 0) == 20
