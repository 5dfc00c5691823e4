"""Rows for the archive's tests, and writers that make them of numbers."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
import pyarrow as pa

from connectors.log.contract import FRAMES
from sinks.archive.commit import Archive
from sinks.archive.encoding import frame_table
from sinks.archive.store import Store
from tests.sinks.archive.making import REALTIME, frame
from transforms.codec.batch import decode_batch
from transforms.codec.frame import FrameSchema

__all__ = ["LOG", "archive_of", "content", "frames"]

LOG = "log-a"


def frames(
    seconds: Sequence[int],
    *,
    key: str = "plant/hall1/m1",
    schema: FrameSchema = REALTIME,
    extra: str | None = None,
    quality: bytes | None = None,
) -> pa.Table:
    """One row per second of noon; ``extra`` is a column that no other has."""
    values = [frame(schema, each, quality=quality) for each in seconds]
    table = frame_table(decode_batch(schema, values), [key] * len(values))
    if extra is not None:
        numbers = pa.array([float(each) for each in seconds], pa.float32())
        table = table.append_column(extra, numbers)
    return table


def archive_of(store: Store, partition: int = 0) -> Archive:
    """A writer of one partition of frames."""
    return Archive(store, "frames", log_id=LOG, topic=FRAMES, partition=partition)


def content(store: Store, table: str = "frames/realtime") -> pl.DataFrame:
    """All rows, in a fixed order of rows and columns, as a foreign reader sees them."""
    scan = pl.scan_delta(store.uri_of(table), storage_options={**store.options})
    frame = scan.collect()
    return frame.select(sorted(frame.columns)).sort("site", "area", "asset", "slot")
