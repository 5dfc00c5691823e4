"""Frames of a log with all that tests ask of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from connectors.log.contract import FRAMES
from connectors.log.embedded import EmbeddedLog
from connectors.log.schemas import Schemas
from transforms.codec.frame import FrameRecord
from transforms.model.quality import Quality, Status

__all__ = ["LoggedFrame", "logged_frames"]


class LoggedFrame(NamedTuple):
    """One record of the frames topic, decoded."""

    asset: str
    group: str
    names: tuple[str, ...]
    record: FrameRecord

    @property
    def status(self) -> Status:
        """The outcome."""
        return Status(self.record.status)

    @property
    def readings(self) -> dict[str, float]:
        """Readings that have a value."""
        triples = zip(self.names, self.record.values, self.record.quality, strict=True)
        return {
            name: float(value)
            for name, value, code in triples
            if code < Quality.BAD_NO_VALUE
        }

    @property
    def identity(self) -> tuple[str, str, int]:
        """What no two frames share."""
        return self.asset, self.group, self.record.seq


def logged_frames(path: Path) -> Iterator[LoggedFrame]:
    """Every frame of a log, in its order."""
    log = EmbeddedLog(path, create=False)
    schemas = Schemas(log)
    offset, end = log.bounds(FRAMES, 0)
    while offset < end:
        for record in log.read(FRAMES, 0, offset, 5000):
            schema = schemas.frame_schema(record.value)
            frame = schema.decode(record.value)
            yield LoggedFrame(record.key, schema.group, schema.names, frame)
            offset = record.offset + 1
    log.close()
