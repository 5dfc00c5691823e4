"""``pm500 compact`` and ``pm500 export`` on an archive in a folder and in a bucket."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tomli_w
from typer.testing import CliRunner, Result

from dataflows.archive_store import archive_store
from dataflows.cli import app
from dataflows.site import load_site
from sinks.archive.commit import Archive
from sinks.archive.encoding import event_table
from sinks.archive.store import Store
from tests.s3 import KEY, REGION, SECRET, S3Server
from tests.sinks.archive.making import NOON_US, REALTIME, SECOND_US
from tests.sinks.archive.rows import archive_of, content, frames
from transforms.codec.records import Event

pytestmark = pytest.mark.integration

BASE = NOON_US // SECOND_US


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with S3Server() as server:
        yield server


@pytest.fixture(params=["folder", "bucket"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    sections: dict[str, object] = {
        "site": {"name": "plant"},
        "meter": [{"asset": "hall1/m1", "host": "127.0.0.1"}],
    }
    if request.param == "bucket":
        server: S3Server = request.getfixturevalue("s3")
        (tmp_path / "key").write_text(KEY + "\n")
        (tmp_path / "secret").write_text(SECRET + "\n")
        sections["archive"] = {"path": f"s3://{server.bucket()}/plant"}
        sections["s3"] = {
            "endpoint": server.endpoint,
            "region": REGION,
            "access_key_id_file": "key",
            "secret_access_key_file": "secret",
        }
    path = tmp_path / "site.toml"
    path.write_text(tomli_w.dumps(sections))
    return path


def _store(site: Path) -> Store:
    return archive_store(load_site(site))


def _fill(store: Store) -> None:
    archive = archive_of(store)
    keys = ["plant/hall1/m2", "plant/hall1/m1", "plant/hall2/m1"]
    for n in range(3):
        for place, key in enumerate(keys):
            offset = 3 * n + place
            archive.commit({"frames/realtime": frames([n], key=key)}, offset, offset)


def _run(site: Path, command: str, *words: str) -> Result:
    return CliRunner().invoke(app, [command, *words, "--site", str(site)])


def test_compact_says_what_has_become_of_which_files(site: Path) -> None:
    store = _store(site)
    _fill(store)
    before = content(store)
    result = _run(site, "compact")
    assert result.exit_code == 0, result.output
    assert "frames/realtime" in result.output
    assert "9 → 1" in result.output
    assert len(store.open("frames/realtime").file_uris()) == 1
    assert content(store).equals(before)
    assert _run(site, "compact").output == "nothing to merge\n"


def test_a_dry_run_of_compact_changes_nothing(site: Path) -> None:
    store = _store(site)
    _fill(store)
    result = _run(site, "compact", "--dry-run", "--table", "frames/realtime")
    assert "9 → 1" in result.output
    assert len(store.open("frames/realtime").file_uris()) == 9


def test_compact_leaves_out_later_dates(site: Path) -> None:
    _fill(_store(site))
    result = _run(site, "compact", "--before", "2026-03-01")
    assert result.output == "nothing to merge\n"


def test_an_unknown_table_is_named_with_those_there_are(site: Path) -> None:
    _fill(_store(site))
    result = _run(site, "compact", "--table", "frames/none")
    assert result.exit_code == 1
    assert "frames/none (there are: frames/realtime)" in result.stderr


def test_an_export_is_one_parquet_file_by_asset_and_slot(
    site: Path, tmp_path: Path
) -> None:
    _fill(_store(site))
    output = tmp_path / "out.parquet"
    result = _run(site, "export", str(output))
    assert result.exit_code == 0, result.output
    assert result.stderr == f"9 rows in {output}\n"
    rows = pq.ParquetFile(output).read().to_pylist()
    assert [(r["site"], r["area"], r["asset"], r["seq"] - BASE) for r in rows] == [
        ("plant", "hall1", "m1", 0),
        ("plant", "hall1", "m1", 1),
        ("plant", "hall1", "m1", 2),
        ("plant", "hall1", "m2", 0),
        ("plant", "hall1", "m2", 1),
        ("plant", "hall1", "m2", 2),
        ("plant", "hall2", "m1", 0),
        ("plant", "hall2", "m1", 1),
        ("plant", "hall2", "m1", 2),
    ]
    assert [each.name for each in tmp_path.glob("*out*")] == ["out.parquet"]


def test_an_export_takes_a_range_and_assets(site: Path, tmp_path: Path) -> None:
    _fill(_store(site))
    output = tmp_path / "out.parquet"
    words = ["--from", "2026-03-01T12:00:01", "--to", "2026-03-01T13:00:02+01:00"]
    _run(site, "export", *words, "--asset", "plant/hall?/m1", str(output))
    rows = pq.read_table(output, columns=["area", "asset", "seq"]).to_pylist()
    assert rows == [
        {"area": "hall1", "asset": "m1", "seq": BASE + 1},
        {"area": "hall2", "asset": "m1", "seq": BASE + 1},
    ]


def test_several_patterns_add_up(site: Path, tmp_path: Path) -> None:
    _fill(_store(site))
    output = tmp_path / "out.parquet"
    words = [
        "--asset",
        "*/m2",
        "--asset",
        "plant/hall2/m1",
        "--to",
        "2026-03-01T12:00:01",
    ]
    _run(site, "export", *words, str(output))
    rows = pq.read_table(output, columns=["area", "asset"]).to_pylist()
    assert rows == [
        {"area": "hall1", "asset": "m2"},
        {"area": "hall2", "asset": "m1"},
    ]


def test_flags_and_times_are_text_in_csv(site: Path, tmp_path: Path) -> None:
    quality = bytes([0, 1, 101]) + bytes(len(REALTIME.columns) - 3)
    archive = archive_of(_store(site))
    archive.commit({"frames/realtime": frames([8], quality=quality)}, 0, 0)
    archive.commit({"frames/realtime": frames([9])}, 1, 1)
    output = tmp_path / "out.csv"
    _run(site, "export", str(output))
    with output.open(newline="") as file:
        first, second = csv.DictReader(file)
    _, one, two, *_ = REALTIME.names
    assert first["flags"] == f"{one}:1;{two}:101"
    assert (first["date"], first["slot"]) == (
        "2026-03-01",
        "2026-03-01T12:00:08.000000Z",
    )
    assert (first[one], first[two], first["quality"]) == ("8.125", "", "0")
    assert second["flags"] == ""


def test_events_are_exported_with_their_data_as_json(
    site: Path, tmp_path: Path
) -> None:
    archive = Archive(
        _store(site), "events", log_id="l", topic="pm500.events", partition=0
    )
    event = Event(
        asset="", kind="log_held", time=NOON_US, text='"a", b', data={"n": "1"}
    )
    archive.commit({"events": event_table([event])}, 0, 0)
    output = tmp_path / "events.csv"
    _run(site, "export", "--table", "events", str(output))
    with output.open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["site"], row["kind"], row["text"]) == ("", "log_held", '"a", b')
    assert (row["data"], row["until"]) == ('{"n": "1"}', "")


def test_an_export_of_nothing_is_a_file_without_rows(
    site: Path, tmp_path: Path
) -> None:
    _fill(_store(site))
    parquet, text = tmp_path / "out.parquet", tmp_path / "out.csv"
    for output in (parquet, text):
        result = _run(site, "export", "--from", "2027-01-01", str(output))
        assert result.stderr == f"0 rows in {output}\n"
    assert pq.read_table(parquet).num_rows == 0
    assert text.read_text().startswith("site,date,area,asset,profile,seq")


def test_an_export_that_fails_leaves_the_old_file(site: Path, tmp_path: Path) -> None:
    store = _store(site)
    _fill(store)
    output = tmp_path / "out.csv"
    output.write_text("as it was")
    actions = pa.table(store.open("frames/realtime").get_add_actions())
    store.delete(f"frames/realtime/{actions['path'][0]}")
    result = _run(site, "export", str(output))
    assert result.exit_code == 1
    assert output.read_text() == "as it was"
    assert [each.name for each in tmp_path.glob("*out*")] == ["out.csv"]


def test_a_time_that_is_none_is_refused(site: Path, tmp_path: Path) -> None:
    result = _run(site, "export", "--from", "noon", str(tmp_path / "x"))
    assert result.exit_code == 2
    assert "2026-03-01T12:00" in result.stderr
