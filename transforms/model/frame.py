"""The item of every stream: the outcome of one slot of one group of one asset."""

from __future__ import annotations

__all__ = ["Frame"]


class Frame:
    """One poll outcome, encoded once; readings and quality are views made on demand.

    ``value`` is the Avro record in single-object encoding (``transforms.codec``);
    ``slot_us`` is microseconds since the epoch, UTC, and equals ``seq * period``.
    """

    __slots__ = ("asset", "group", "seq", "slot_us", "status", "value")

    def __init__(
        self,
        asset: str,
        group: str,
        seq: int,
        slot_us: int,
        status: int,
        value: bytes,
    ) -> None:
        self.asset = asset
        self.group = group
        self.seq = seq
        self.slot_us = slot_us
        self.status = status
        self.value = value

    def __repr__(self) -> str:
        return (
            f"Frame({self.asset!r}, {self.group!r}, seq={self.seq}, "
            f"status={self.status})"
        )
