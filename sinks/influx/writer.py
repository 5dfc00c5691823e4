"""One partition of one topic on its way to InfluxDB; knows no engine and no time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from sinks.contract import LogBatch, Rejected
from sinks.influx.delivery import Backoff, Delivery, Sent
from sinks.influx.gate import Gate
from transforms.lines.batch import Piece
from transforms.lines.batch import Rejected as NoLines
from transforms.model.metrics import NO_METRICS, Metrics

__all__ = ["InfluxWriter", "Lines"]


class Lines(Protocol):
    """Makes the lines of a topic's records; ``transforms.lines.batch`` has those."""

    def of(
        self, keys: Sequence[str], values: Sequence[bytes]
    ) -> tuple[list[Piece], list[NoLines]]:
        """Lines by record, and what has none."""


def _nothing() -> None:
    pass


class InfluxWriter:
    """Collects lines and cuts them into deliveries.

    ``bury`` keeps a record that could not be used; ``stored`` is told the next offset
    after each delivery; ``close`` gives back what all of them hold.
    """

    def __init__(
        self,
        lines: Lines,
        gate: Gate,
        *,
        bury: Callable[[Rejected], object],
        stored: Callable[[int], None],
        close: Callable[[], None] = _nothing,
        backoff: Backoff | None = None,
        metrics: Metrics = NO_METRICS,
    ) -> None:
        self._lines = lines
        self._gate = gate
        self._bury = bury
        self._stored = stored
        self.close = close
        self._backoff = backoff or Backoff()
        self._metrics = metrics
        self._sent: list[Sent] = []
        self._rejected: list[Rejected] = []
        self._last: int | None = None
        self.count = 0
        self.bytes = 0

    def add(self, batch: LogBatch) -> None:
        """Take records in the order of their offsets."""
        offsets, keys, values = batch.offsets, batch.keys, batch.values
        pieces, rejected = self._lines.of(keys, values)
        self._sent += [
            Sent(offsets[n], keys[n], values[n], lines) for n, lines in pieces
        ]
        self._rejected += [
            Rejected(offsets[n], keys[n], values[n], why) for n, why in rejected
        ]
        self._last = offsets[-1]
        self.count += len(offsets)
        self.bytes += sum(len(lines) for _, lines in pieces)

    def cut(self) -> Delivery | None:
        """What was added since the last cut, None for nothing."""
        if self._last is None:
            return None
        delivery = Delivery(
            self._sent,
            rejected=self._rejected,
            last=self._last,
            gate=self._gate,
            backoff=self._backoff,
            metrics=self._metrics,
        )
        self._sent, self._rejected, self._last = [], [], None
        self.count = self.bytes = 0
        return delivery

    def committed(self, roll: Delivery) -> None:
        """Set aside what InfluxDB cannot hold, and say where reading would go on."""
        for rejected in roll.rejected:
            self._bury(rejected)
        self._stored(roll.last + 1)
