"""One partition of one topic on its way to the archive; knows no engine and no time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from sinks.archive.commit import Archive
from sinks.archive.rows import Rows
from sinks.contract import LogBatch, Rejected

__all__ = ["ArchiveWriter", "Roll"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Roll:
    """Rows that are committed together, made of the records ``first`` to ``last``."""

    archive: Archive
    tables: Mapping[str, pa.Table]
    first: int
    last: int

    def commit(self) -> None:
        """Commit it, in any thread, one after another; OSError, SecondWriter.

        A call that failed may be made again.
        """
        self.archive.commit(self.tables, self.first, self.last)


def _nothing() -> None:
    pass


class ArchiveWriter:
    """Collects records and cuts them into rolls.

    ``settle`` is called before each roll and makes durable what was read: else a power
    cut could leave the archive ahead of its log, and the offsets that the log gives
    anew would be skipped. It may raise OSError. ``bury`` keeps a record that could not
    be used; ``stored`` is told the next offset after each commit; ``close`` gives back
    what all of them hold.
    """

    def __init__(
        self,
        archive: Archive,
        rows: Rows,
        *,
        settle: Callable[[], None],
        bury: Callable[[Rejected], None],
        stored: Callable[[int], None],
        close: Callable[[], None] = _nothing,
    ) -> None:
        self._archive = archive
        self._rows = rows
        self._settle = settle
        self._bury = bury
        self._stored = stored
        self.close = close
        self._first: int | None = None
        self._last = -1
        self.count = 0
        self.bytes = 0

    def add(self, batch: LogBatch) -> None:
        """Take records in the order of their offsets."""
        if self._first is None:
            self._first = batch.offsets[0]
        self._last = batch.offsets[-1]
        self.count += len(batch.offsets)
        self.bytes += sum(map(len, batch.values))
        self._rows.add(batch, self._archive.has)

    def cut(self) -> Roll | None:
        """What was added since the last cut, None for nothing; OSError."""
        if self._first is None:
            return None
        tables = self._rows.tables()
        while self._rows.rejected:
            self._bury(self._rows.rejected[0])
            self._rows.rejected.pop(0)
        self._settle()
        roll = Roll(
            archive=self._archive, tables=tables, first=self._first, last=self._last
        )
        self._rows.clear()
        self._first = None
        self.count = self.bytes = 0
        return roll

    def committed(self, roll: Roll) -> None:
        """Say where reading would go on now."""
        self._stored(roll.last + 1)
