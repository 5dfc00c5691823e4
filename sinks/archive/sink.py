"""The Bytewax side of the archive: when to roll, and what to do while the disk refuses.

No state is handed to the engine: the archive is its own checkpoint. Give the flow's
source ``position() + 1`` to start from.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from sinks.archive.commit import Archive, SecondWriter
from sinks.archive.rows import LogRecord, Rejected, Rows

__all__ = ["ArchiveSink", "ArchiveWriter", "Host", "Rolls"]

Records = Sequence[LogRecord]

_LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Rolls:
    """When files are committed: whichever of the three comes first."""

    rows: int
    bytes: int
    seconds: float


class ArchiveWriter:
    """Collects one partition of one topic and commits it; knows no engine and no time.

    ``settle`` is called before each commit and makes durable what was read: else a
    power cut could leave the archive ahead of its log, and the offsets that the log
    gives anew would be skipped. It may raise OSError. ``bury`` keeps a record that
    could not be used; ``stored`` is told the next offset after each commit.
    """

    def __init__(
        self,
        archive: Archive,
        rows: Rows,
        *,
        settle: Callable[[], None],
        bury: Callable[[LogRecord, str], None],
        stored: Callable[[int], None],
    ) -> None:
        self._archive = archive
        self._rows = rows
        self._settle = settle
        self._bury = bury
        self._stored = stored
        self._buried: list[Rejected] = []
        self._first: int | None = None
        self._last = -1
        self.count = 0
        self.bytes = 0

    def add(self, records: Records) -> None:
        """Take records in the order of their offsets."""
        if self._first is None:
            self._first = records[0].offset
        self._last = records[-1].offset
        self.count += len(records)
        self.bytes += sum(len(record.value) for record in records)
        self._rows.add(records, self._archive.has)

    def roll(self) -> None:
        """Commit everything that was added; OSError, SecondWriter."""
        if self._first is None:
            return
        tables = self._rows.tables()
        while self._rows.rejected:
            record, reason = self._rows.rejected[0]
            self._bury(record, reason)
            self._rows.rejected.pop(0)
        self._settle()
        self._archive.commit(tables, self._first, self._last)
        self._stored(self._last + 1)
        self._rows.clear()
        self._first = None
        self.count = self.bytes = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What the sink asks of the flow it runs in.

    ``hold(reason)`` is said at every attempt that fails, ``clear()`` after one that
    succeeds; while ``stopping()`` is true nothing is waited for.
    """

    hold: Callable[[str], None]
    clear: Callable[[], None]
    stopping: Callable[[], bool]


class ArchiveSink(FixedPartitionedSink[Records, None]):
    """Archives ``(partition name, records)`` items; records may be none (a tick).

    ``writers`` has a builder per partition name (``<topic>-<partition>``), called in
    the worker that owns it. Age is looked at when items come: send ticks. While the
    disk refuses, ``write_batch`` does not return, so that the source stops and memory
    stays bounded; the log keeps the rest. Exactly once: see ``sinks.archive.commit``.
    """

    def __init__(
        self,
        writers: Mapping[str, Callable[[], ArchiveWriter]],
        *,
        rolls: Rolls,
        host: Host,
        retry_seconds: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._writers = writers
        self._names = sorted(writers)
        self._rolls = rolls
        self._host = host
        self._retry_seconds = retry_seconds
        self._clock = clock

    def list_parts(self) -> list[str]:
        """The partitions of the log's topics."""
        return self._names

    def part_fn(self, item_key: str) -> int:
        """Each partition of the log is written by its own."""
        return self._names.index(item_key)

    def build_part(
        self, step_id: str, for_part: str, resume_state: None
    ) -> StatefulSinkPartition[Records, None]:
        """Open the archive in the worker that owns the partition."""
        return _Partition(
            self._writers[for_part](),
            name=for_part,
            rolls=self._rolls,
            host=self._host,
            retry_seconds=self._retry_seconds,
            clock=self._clock,
        )


class _Partition(StatefulSinkPartition[Records, None]):
    def __init__(
        self,
        writer: ArchiveWriter,
        *,
        name: str,
        rolls: Rolls,
        host: Host,
        retry_seconds: float,
        clock: Callable[[], float],
    ) -> None:
        self._writer = writer
        self._rolls = rolls
        self._host = host
        self._retry_seconds = retry_seconds
        self._clock = clock
        self._since: float | None = None
        self._ended = False
        self._log = structlog.get_logger().bind(partition=name)

    def write_batch(self, values: list[Records]) -> None:
        for records in values:
            if self._ended:
                return
            if records:
                self._writer.add(records)
                if self._since is None:
                    self._since = self._clock()
            if self._due():
                self._roll()

    def snapshot(self) -> None:
        return None

    def close(self) -> None:
        """Commit what is left: the last act of a graceful stop."""
        if self._ended:
            return
        try:
            self._writer.roll()
        except (OSError, SecondWriter) as error:
            # The engine swallows errors here. Nothing is lost: the log has it all.
            self._log.error("archive_not_committed", error=_line(error))

    def _due(self) -> bool:
        if self._since is None:
            return False
        return (
            self._writer.count >= self._rolls.rows
            or self._writer.bytes >= self._rolls.bytes
            or self._clock() - self._since >= self._rolls.seconds
        )

    def _roll(self) -> None:
        while True:
            try:
                self._writer.roll()
            except SecondWriter:
                self._ended = True
                raise
            except OSError as error:
                self._host.hold(_line(error))
            else:
                self._host.clear()
                self._since = None
                return
            until = time.monotonic() + self._retry_seconds
            while time.monotonic() < until and not self._host.stopping():
                time.sleep(_LOOK_SECONDS)
            if self._host.stopping():
                self._ended = True
                self._log.warning("archive_stopped_while_held")
                return


def _line(error: Exception) -> str:
    """An error in one line: deltalake's run over several."""
    return " ".join(str(error).split()) or type(error).__name__
