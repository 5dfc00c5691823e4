"""What an edge node is given: its meters, its part of the log, its connection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from transforms.codec.frame import FrameSchema

__all__ = ["DeviceSetup", "Frames", "Link", "LogRecord", "Part"]


class LogRecord(NamedTuple):
    """A frame as the log holds it; ``device`` is the last part of its asset."""

    offset: int
    device: str
    value: bytes


class Part(NamedTuple):
    """An edge node's records of a stretch of the log, which ends before ``stop``."""

    stop: int
    records: list[LogRecord]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSetup:
    """A meter: its groups, and the one whose slots tell whether it answers."""

    groups: tuple[FrameSchema, ...]
    watched: str
    watched_period_us: int


class Frames(Protocol):
    """The log, as an edge node needs it; used by the flow's thread alone."""

    def schema(self, value: bytes) -> FrameSchema:
        """The codec of a frame's bytes; CodecError where there is none."""

    def read(self, start: int, stop: int, maximum: int) -> Part:
        """The node's records from ``start`` on, and how far the log was looked at.

        The part's ``stop`` is beyond ``start``, and at ``stop`` where nothing is left.
        """

    def reject(self, record: LogRecord, error: str) -> None:
        """Set aside a record that is no frame."""


class Link(Protocol):
    """The MQTT connection, as an edge node needs it. Neither call waits."""

    def publish(self, topic: str, payload: bytes, qos: int) -> bool:
        """Hand over a message; False where there is no connection."""

    def probe(self) -> int | None:
        """Ask the server for a sign of life behind all that was handed over.

        The number comes back by ``EdgeNode.proved``; None without a connection.
        """
