"""The Bytewax side of a sink of rolls: when to roll, and what to do while it refuses.

No state is handed to the engine: where reading goes on is known where the rolls go, or
stored with the log once they are there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Generic

import structlog
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from sinks.contract import Host, LogBatch, cut
from sinks.rolls.committer import Committer, one_line
from sinks.rolls.contract import R, RollWriter, roll_now

__all__ = ["RollSink", "Rolls"]

Item = LogBatch | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rolls:
    """When a roll is cut: whichever of the three comes first."""

    count: int
    bytes: int
    seconds: float


class RollSink(FixedPartitionedSink[Item, None], Generic[R]):
    """Takes ``(partition name, batch)`` items; None instead of a batch is a tick.

    ``host`` gives a partition's; ``writers`` has a builder per partition name (``<topic>-<partition>``), called in
    the worker that owns it. Age is looked at when items come: send ticks. Rolls are
    committed by ``background`` while the next are collected, without it by the worker
    itself. A partition has one roll under way: while that is refused, or is slower
    than the log, ``write_batch`` does not return, so that the source stops and memory
    stays bounded; the log keeps the rest. An exception of a writer ends the flow.
    """

    def __init__(
        self,
        writers: Mapping[str, Callable[[], RollWriter[R]]],
        *,
        rolls: Rolls,
        host: Callable[[str], Host],
        background: Executor | None = None,
        retry_seconds: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._writers = writers
        self._names = sorted(writers)
        self._rolls = rolls
        self._clock = clock
        self._host = host
        self._committer = partial(
            Committer, background=background, retry_seconds=retry_seconds
        )

    def list_parts(self) -> list[str]:
        """The partitions of the log's topics."""
        return self._names

    def part_fn(self, item_key: str) -> int:
        """Each partition of the log is written by its own."""
        return self._names.index(item_key)

    def build_part(
        self, step_id: str, for_part: str, resume_state: None
    ) -> StatefulSinkPartition[Item, None]:
        """Open the archive in the worker that owns the partition."""
        writer = self._writers[for_part]()
        committer = self._committer(writer, host=self._host(for_part))
        return _Partition(writer, committer, for_part, self._rolls, self._clock)


class _Partition(StatefulSinkPartition[Item, None], Generic[R]):
    def __init__(
        self,
        writer: RollWriter[R],
        committer: Committer[R],
        name: str,
        rolls: Rolls,
        clock: Callable[[], float],
    ) -> None:
        self._writer = writer
        self._committer = committer
        self._rolls = rolls
        self._clock = clock
        self._since: float | None = None
        self._ended = False
        self._log = structlog.get_logger().bind(partition=name)

    def write_batch(self, values: list[Item]) -> None:
        try:
            for batch in values:
                if self._ended:
                    return
                rest = batch
                while rest is not None and not self._ended:
                    rest = self._add(rest)
                self._committer.look()
                if self._due():
                    self._roll()
        except Exception:
            self._ended = True
            raise

    def snapshot(self) -> None:
        return None

    def close(self) -> None:
        """Deliver what is left: the last act of a graceful stop."""
        try:
            if not self._ended and self._committer.finish():
                roll_now(self._writer)
        except Exception as error:  # noqa: BLE001 - the engine swallows errors here
            # Nothing is lost: the log has it all.
            self._log.error("roll_not_committed", error=one_line(error))
        finally:
            self._writer.close()

    def _add(self, batch: LogBatch) -> LogBatch | None:
        """Take what belongs to this roll; what is left belongs to the next."""
        room = self._rolls.count - self._writer.count
        rest = None
        if len(batch.offsets) > room:
            batch, rest = cut(batch, room)
        self._writer.add(batch)
        if self._since is None:
            self._since = self._clock()
        if rest is not None:
            self._roll()
        return rest

    def _due(self) -> bool:
        if self._since is None:
            return False
        return (
            self._writer.count >= self._rolls.count
            or self._writer.bytes >= self._rolls.bytes
            or self._clock() - self._since >= self._rolls.seconds
        )

    def _roll(self) -> None:
        if self._committer.roll():
            self._since = None
        else:
            self._ended = True
            self._log.warning("roll_stopped_while_held")
