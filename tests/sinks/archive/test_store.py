"""Where tables are, in a folder or in a bucket: the same code, the same promises."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pyarrow.fs as pafs
import pytest
from deltalake import CommitProperties, Transaction
from deltalake.exceptions import CommitFailedError

from sinks.archive.encoding import EVENT_SCHEMA
from sinks.archive.store import Store
from tests.s3 import KEY, REGION, SECRET, S3Server
from tests.sinks.archive.rows import archive_of, content, frames


def _publish(store: Store, path: str, text: bytes) -> None:
    store.prepare("tests")
    with store.draft("tests") as draft:
        draft.write(text)
        store.publish(draft, path)


@pytest.mark.integration
def test_a_published_draft_is_there_with_its_content(store: Store) -> None:
    _publish(store, "frames/a/site=x/f", b"content")
    with store.files.open_input_file("frames/a/site=x/f") as file:
        assert file.read() == b"content"


@pytest.mark.integration
def test_a_draft_that_is_not_published_is_gone(store: Store) -> None:
    store.prepare("tests")
    with store.draft("tests") as draft:
        draft.write(b"content")
    everything = pafs.FileSelector("", recursive=True, allow_not_found=True)
    found = store.files.get_file_info(everything)
    assert [each.path for each in found if each.is_file] == []


@pytest.mark.integration
def test_tables_are_found_below_their_root(store: Store) -> None:
    archive = archive_of(store)
    tables = {f"frames/{name}": frames([0]) for name in ("realtime", "energy")}
    archive.commit(tables, 0, 0)
    _publish(store, "frames/notes/text", b"no table")
    assert store.table_names("frames") == ["frames/energy", "frames/realtime"]
    assert store.table_names("frames/energy") == ["frames/energy"]
    assert store.table_names("events") == []


@pytest.mark.integration
def test_of_two_commits_of_one_version_only_one_succeeds(store: Store) -> None:
    moved = CommitProperties(
        max_commit_retries=0, app_transactions=[Transaction("a", 1)]
    )
    store.create("events", EVENT_SCHEMA, CommitProperties())
    one, two = store.open("events"), store.open("events")
    one.create_write_transaction([], "append", one.schema(), commit_properties=moved)
    with pytest.raises(CommitFailedError):
        two.create_write_transaction(
            [], "append", two.schema(), commit_properties=moved
        )


@pytest.mark.integration
def test_a_bucket_is_reached_by_the_usual_variables(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = f"s3://{s3.bucket()}/here"
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.endpoint)
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_CONDITIONAL_PUT", "disabled")
    store = Store.of(place)
    archive_of(store).commit({"frames/realtime": frames([0])}, 0, 0)
    assert content(store).height == 1
    assert store.options["aws_conditional_put"] == "etag"


@pytest.mark.integration
def test_a_bucket_that_is_not_there_is_said(s3: S3Server) -> None:
    with pytest.raises(OSError, match="NoSuchBucket"):
        archive_of(s3.store("no-such-bucket"))


def test_credentials_are_not_shown() -> None:
    store = Store.of("s3://bucket/x", access_key_id="id", secret_access_key="secret")
    assert repr(store) == "Store(uri='s3://bucket/x', folder=None)"


@pytest.mark.parametrize(
    "place", ["s3://", "s3://B/x", "s3://bucket/a b", "s3://bucket//x", "s3://bucket/ö"]
)
def test_a_place_that_clients_would_write_in_different_ways_is_refused(
    place: str,
) -> None:
    with pytest.raises(ValueError, match="s3://bucket/prefix"):
        Store.of(place)


def test_an_endpoint_is_a_url() -> None:
    with pytest.raises(ValueError, match="https://store:9000"):
        Store.of("s3://bucket/x", endpoint="store:9000")


def test_a_folder_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Store.of("a b").uri == str(tmp_path / "a b")
    assert Store.of(store := Store.of(tmp_path)) is store


def test_only_scratch_folders_of_long_ago_are_forgotten(tmp_path: Path) -> None:
    store = Store.of(tmp_path)
    store.prepare("pm500.frames-0")
    for name in ("scratch-old", "scratch-new"):
        (tmp_path / ".drafts" / name).mkdir()
    two_days_ago = time.time() - 2 * 86_400
    for name in ("scratch-old", "pm500.frames-0"):
        os.utime(tmp_path / ".drafts" / name, (two_days_ago, two_days_ago))
    store.forget_scratch()
    left = sorted(each.name for each in (tmp_path / ".drafts").iterdir())
    assert left == ["pm500.frames-0", "scratch-new"]
