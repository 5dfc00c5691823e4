"""Where the tables are: a folder, or a bucket of any S3-compatible store.

A file appears whole or not at all. In a folder it is written as a draft, made durable and
renamed; in a bucket it is one upload. Commits are safe for several writers: in a folder
by a link that fails where the name is taken, in a bucket by a conditional put
(``If-None-Match: *``), which the store must honor.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.fs as pafs
from deltalake import CommitProperties, DeltaTable
from deltalake.exceptions import DeltaError

from sinks.archive.bucket import access_of, bucket_files, storage_options
from sinks.archive.draft import Draft
from sinks.archive.encoding import PARTITIONS
from sinks.archive.parts import time_name

__all__ = ["Store", "store_errors"]

_SCHEME = "s3://"
_BUCKET_AND_PREFIX = re.compile(r"[a-z0-9.-]{3,63}(/[\w.=-]+)*", re.ASCII)
_DRAFTS = ".drafts"
_SCRATCH = "scratch-"
_IN_MEMORY_BYTES = 64_000_000
_FORGOTTEN_SECONDS = 86_400.0

# A store that does not answer is said within a minute or so; the caller tries again.
_PATIENCE = {
    "connect_timeout": "5s",
    "timeout": "60s",
    "max_retries": "3",
    "retry_timeout": "30s",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """The place of an archive: build one by ``Store.of``.

    ``uri`` is an absolute path or ``s3://bucket/prefix``; ``options`` are the
    ``storage_options`` of foreign readers, as polars or deltalake; ``files`` is Arrow's
    file system, rooted at the archive. What the disk or the store refuses is an OSError.
    """

    uri: str
    options: Mapping[str, str] = field(repr=False)
    files: pafs.FileSystem = field(repr=False, compare=False)
    folder: Path | None

    @classmethod
    def of(
        cls,
        place: Store | Path | str,
        *,
        endpoint: str | None = None,
        region: str | None = None,
        access_key_id: str | None = None,
        secret_access_key: str | None = None,
    ) -> Store:
        """A folder, or a bucket by ``s3://bucket/prefix``; a store is itself.

        ``endpoint`` is the URL of a store that is not Amazon's own. Where an option is
        absent the usual variables count (``AWS_ENDPOINT_URL``, ``AWS_REGION``,
        ``AWS_ACCESS_KEY_ID``, …), and where those are too, what the machine is allowed.
        ValueError where a bucket or its prefix has letters that clients write in
        different ways, and where the endpoint is no URL.
        """
        if isinstance(place, Store):
            return place
        if not str(place).startswith(_SCHEME):
            folder = Path(place).absolute()
            files = pafs.SubTreeFileSystem(str(folder), pafs.LocalFileSystem())
            return cls(uri=str(folder), options={}, files=files, folder=folder)
        path = str(place).removeprefix(_SCHEME).strip("/")
        if not _BUCKET_AND_PREFIX.fullmatch(path):
            raise ValueError(f"{place!r} is not of the form s3://bucket/prefix")
        access = access_of(endpoint, region, access_key_id, secret_access_key)
        return cls(
            uri=_SCHEME + path,
            options=storage_options(access),
            files=pafs.SubTreeFileSystem(path, bucket_files(access)),
            folder=None,
        )

    def uri_of(self, table: str) -> str:
        """Where a table is, for readers of Delta."""
        return f"{self.uri}/{table}"

    def files_of(self, table: str) -> pafs.FileSystem:
        """Arrow's file system rooted at a table, for ``DeltaTable.to_pyarrow_dataset``.

        With deltalake's own, processes have been seen to abort at their end
        ("terminate called without an active exception").
        """
        return pafs.SubTreeFileSystem(table, self.files)

    def open(self, table: str) -> DeltaTable:
        """The table as it stands now; OSError where there is none."""
        with store_errors():
            return DeltaTable(self.uri_of(table), storage_options=self._patient)

    def create(
        self, table: str, schema: pa.Schema, commit_properties: CommitProperties
    ) -> None:
        """Make a table where there is none; CommitFailedError where one has come up."""
        DeltaTable.create(
            self.uri_of(table),
            schema=schema,
            partition_by=PARTITIONS,
            mode="ignore",
            # Readers take a column without bounds, where some have them, for one that is
            # always null, and pass over every file.
            configuration={
                "delta.dataSkippingStatsColumns": f"area,asset,{time_name(schema)}"
            },
            storage_options=self._patient,
            commit_properties=commit_properties,
        )

    def is_table(self, name: str) -> bool:
        """Whether a table has been made here: a full disk leaves an empty log behind."""
        with store_errors():
            return DeltaTable.is_deltatable(self.uri_of(name), self._patient)

    def table_names(self, root: str, known: Collection[str] = ()) -> list[str]:
        """The tables under a root, such as ``frames/realtime``, or the root itself.

        ``known`` are tables for sure, which saves asking.
        """
        if root in known or self.is_table(root):
            return [root]
        found = (
            f"{root}/{each.base_name}"
            for each in self._below(root)
            if each.type == pafs.FileType.Directory
        )
        return sorted(name for name in found if name in known or self.is_table(name))

    def prepare(self, owner: str) -> None:
        """Make the folder of ``owner``'s drafts, without those of a killed process.

        A draft of another process that lives in this one's name cannot be published.
        """
        if self.folder is not None:
            drafts = self.folder / _DRAFTS / owner
            drafts.mkdir(parents=True, exist_ok=True)
            for draft in drafts.iterdir():
                draft.unlink(missing_ok=True)

    def forget_scratch(self) -> None:
        """Remove scratch folders that killed processes left behind a day ago or more."""
        if self.folder is None:
            return
        before = time.time() - _FORGOTTEN_SECONDS
        for scratch in (self.folder / _DRAFTS).glob(f"{_SCRATCH}*"):
            with suppress(FileNotFoundError):
                seen = max(p.stat().st_mtime for p in (scratch, *scratch.iterdir()))
                if seen < before:
                    shutil.rmtree(scratch)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder for what does not fit into memory; its name owns drafts, too.

        It stands in the archive's own folder, or where temporary files go (``TMPDIR``).
        """
        parent = None
        if self.folder is not None:
            parent = self.folder / _DRAFTS
            parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=parent) as folder:
            yield Path(folder)

    @contextmanager
    def draft(self, owner: str) -> Iterator[Draft]:
        """A file that nobody sees, until ``publish``; gone at the end of the block.

        ``owner`` has been prepared.
        """
        if self.folder is None:
            with tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES) as file:
                yield Draft(file, None)
            return
        path = self.folder / _DRAFTS / owner / uuid4().hex
        try:
            with path.open("w+b") as file:
                yield Draft(file, path)
        finally:
            path.unlink(missing_ok=True)

    def publish(self, draft: Draft, path: str) -> None:
        """Give the draft its name; it is durable when this returns."""
        draft.flush()
        if self.folder is None or draft.path is None:
            self._upload(draft, path)
            return
        os.fsync(draft.file.fileno())
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        draft.path.replace(target)
        _sync(target.parent)

    def delete(self, path: str) -> None:
        """Remove a file that no table names."""
        with suppress(FileNotFoundError):
            self.files.delete_file(path)

    def _below(self, folder: str) -> list[pafs.FileInfo]:
        below = pafs.FileSelector(folder, allow_not_found=True)
        try:
            found: list[pafs.FileInfo] = self.files.get_file_info(below)
        except FileNotFoundError:
            # It came up between Arrow's two looks.
            found = self.files.get_file_info(below)
        return found

    @property
    def _patient(self) -> dict[str, str]:
        return {**self.options, **_PATIENCE} if self.options else {}

    def _upload(self, draft: Draft, path: str) -> None:
        draft.file.seek(0)
        with self.files.open_output_stream(path) as target:
            shutil.copyfileobj(draft.file, target, 1 << 20)
        if (kept := self.files.get_file_info(path).size) != draft.size:
            raise OSError(
                f"{self.uri}/{path}: the store keeps {kept} bytes of {draft.size}: set "
                "AWS_REQUEST_CHECKSUM_CALCULATION=when_required"
            )


@contextmanager
def store_errors() -> Iterator[None]:
    """Deltalake's errors as OSError, in one line without colors."""
    try:
        yield
    except DeltaError as error:
        raise OSError(_plain(error)) from error
    except OSError as error:
        if "\x1b" not in str(error):
            raise
        raise OSError(_plain(error)) from error


def _plain(error: Exception) -> str:
    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", str(error)).split())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
