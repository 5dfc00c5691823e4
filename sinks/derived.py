"""A Bytewax sink that appends what was derived to the log, and waits while it refuses.

Records have ids and revisions that their content determines, so an epoch that is
derived again after a crash is told again in the same words.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from sinks.contract import Host

__all__ = ["DerivedSink", "HeldAtStopError", "Writer"]

_RETRY_SECONDS = 0.5
_LOOK_SECONDS = 0.05


class HeldAtStopError(Exception):
    """A stop came while the log refused: the state of this epoch must not be kept."""


class Writer(Protocol):
    """Appends them; ``dataflows.deriving.writer`` has the one there is."""

    def write(self, told: Sequence[object]) -> None:
        """Append all, or raise OSError: then all is given again."""

    def close(self) -> None:
        """Give back the log."""


class DerivedSink(FixedPartitionedSink[object, None]):
    """Hands items to one writer, and waits while it refuses.

    Memory stays bounded: while it waits, the flow reads nothing. HeldAtStopError ends the
    flow where a stop comes meanwhile; what was not written is derived again then.
    """

    def __init__(self, open_writer: Callable[[], Writer], *, host: Host) -> None:
        self._open_writer = open_writer
        self._host = host

    def list_parts(self) -> list[str]:
        """One, whatever the number of workers."""
        return ["log"]

    def build_part(
        self, step_id: str, for_part: str, resume_state: None
    ) -> StatefulSinkPartition[object, None]:
        """Open the writer in the worker that owns the partition."""
        return _Partition(self._open_writer(), self._host)


class _Partition(StatefulSinkPartition[object, None]):
    def __init__(self, writer: Writer, host: Host) -> None:
        self._writer = writer
        self._host = host

    def write_batch(self, values: list[object]) -> None:
        while True:
            try:
                self._writer.write(values)
            except OSError as refused:
                self._wait(str(refused))
            else:
                self._host.clear()
                return

    def snapshot(self) -> None:
        return None

    def close(self) -> None:
        self._writer.close()

    def _wait(self, reason: str) -> None:
        self._host.hold(reason)
        until = time.monotonic() + _RETRY_SECONDS
        while time.monotonic() < until:
            if self._host.stopping():
                raise HeldAtStopError(reason)
            self._host.alive()
            time.sleep(_LOOK_SECONDS)
