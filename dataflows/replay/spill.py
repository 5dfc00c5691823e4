"""Rows sorted roughly by time on the disk, so that a table is read once and not often.

Files of the archive are in the order of assets: each holds rows of all its hours
everywhere.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.ipc as ipc

__all__ = ["Spill"]

Longs = npt.NDArray[np.int64]

_OPTIONS = ipc.IpcWriteOptions(compression="lz4")


class Spill:
    """Rows of one table by slices of time; a context manager that leaves nothing behind.

    Slice ``n`` begins at ``starts_us[n]`` and ends where the next one begins.
    """

    def __init__(self, starts_us: Sequence[int]) -> None:
        self._starts = np.array(starts_us, np.int64)
        self._stack = ExitStack()
        self._writers: dict[int, Any] = {}

    def __enter__(self) -> Spill:
        folder = tempfile.TemporaryDirectory(prefix="pm500-replay-")
        self._folder = Path(self._stack.enter_context(folder))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def put(self, batch: pa.RecordBatch, times_us: Longs) -> None:
        """Write each row to its slice; OSError where the disk is full."""
        slices = np.searchsorted(self._starts, times_us, "right") - 1
        order = np.argsort(slices.astype(np.uint16), kind="stable")
        ordered = batch.take(pa.array(order))
        numbers, starts = np.unique(slices[order], return_index=True)
        ends = [*starts[1:].tolist(), len(order)]
        for number, start, end in zip(
            numbers.tolist(), starts.tolist(), ends, strict=True
        ):
            if number not in self._writers:
                writer = ipc.new_stream(
                    self._path(number), batch.schema, options=_OPTIONS
                )
                self._writers[number] = self._stack.enter_context(writer)
            self._writers[number].write_batch(ordered.slice(start, end - start))

    def take(self, number: int, schema: pa.Schema) -> pa.Table:
        """The rows of a slice, once; after all have been put."""
        writer = self._writers.pop(number, None)
        if writer is None:
            return schema.empty_table()
        writer.close()
        path = self._path(number)
        with path.open("rb") as file, ipc.open_stream(file) as reader:
            rows = reader.read_all()
        path.unlink()
        return rows

    def _path(self, number: int) -> Path:
        return self._folder / f"{number}.arrow"
