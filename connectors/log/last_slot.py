"""The latest slot at the end of a log: its numbers must not be given again."""

from __future__ import annotations

from contextlib import suppress

from connectors.log.contract import FRAMES, Log
from connectors.log.schemas import Schemas
from transforms.codec.framing import CodecError

__all__ = ["last_slot_us"]

_LOOK_BACK = 5000


def last_slot_us(log: Log) -> int:
    """The latest slot among the last frames, in microseconds; 0 for an empty log."""
    schemas, latest = Schemas(log), 0
    for partition in log.partitions(FRAMES):
        first, end = log.bounds(FRAMES, partition)
        start = max(first, end - _LOOK_BACK)
        for record in log.read(FRAMES, partition, start, _LOOK_BACK):
            with suppress(CodecError):
                frame = schemas.frame_schema(record.value).decode(record.value)
                latest = max(latest, frame.slot_us)
    return latest
