"""What sinks ask of the flow they run in, and of the batches they are given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

__all__ = ["Host", "LogBatch", "Rejected", "cut"]


def _nothing() -> None:
    pass


class LogBatch(Protocol):
    """Records of one partition as columns, in the order of their offsets."""

    @property
    def offsets(self) -> Sequence[int]:
        """Their places in the partition."""

    @property
    def keys(self) -> Sequence[str]:
        """Their assets."""

    @property
    def values(self) -> Sequence[bytes]:
        """The encoded frames or events."""


class Rejected(NamedTuple):
    """A record that could not be used, and why."""

    offset: int
    key: str
    value: bytes
    reason: str


class _Columns(NamedTuple):
    offsets: Sequence[int]
    keys: Sequence[str]
    values: Sequence[bytes]


def cut(batch: LogBatch, size: int) -> tuple[LogBatch, LogBatch]:
    """The first ``size`` records and the rest."""
    offsets, keys, values = batch.offsets, batch.keys, batch.values
    return (
        _Columns(offsets[:size], keys[:size], values[:size]),
        _Columns(offsets[size:], keys[size:], values[size:]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What a sink asks of its flow while a server or disk refuses.

    ``hold(reason)`` is said at every attempt that fails, ``clear()`` after one that
    succeeds, ``alive()`` while one goes on; while ``stopping()`` is true nothing is
    waited for.
    """

    hold: Callable[[str], None]
    clear: Callable[[], None]
    stopping: Callable[[], bool]
    alive: Callable[[], None] = _nothing
