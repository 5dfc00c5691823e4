"""Records that a log of frames can hold and that no slot of a meter made."""

from __future__ import annotations

from collections.abc import Callable

from transforms.codec.frame import FrameSchema

__all__ = ["NO_FRAMES", "ahead"]

# Each makes of a frame what is none, of the same schema or of no schema at all.
NO_FRAMES: tuple[Callable[[bytes], bytes], ...] = (
    lambda _: b"",
    lambda value: value[:-3],
    lambda value: value + b"\0",
    lambda value: value[:2] + bytes(8) + value[10:],
    lambda _: b"no frame at all",
)


def ahead(schema: FrameSchema, value: bytes, by_us: int) -> bytes:
    """The frame as a clock would number it that is ahead; its answer came now."""
    record = schema.decode(value)
    steps = -(-by_us // record.period_us)
    slot_us = record.slot_us + steps * record.period_us
    return schema.encode(*record._replace(seq=record.seq + steps, slot_us=slot_us))
