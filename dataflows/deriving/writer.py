"""What was derived, to the log: schemas first, then records, events and dead letters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import cast

from connectors.log.contract import DERIVED, EVENTS, Log, LogError
from connectors.log.dead import Place, bury
from connectors.log.schemas import publish_schemas
from dataflows.deriving.operator import Told
from transforms.codec.window import WindowSchema
from transforms.model.metrics import Metrics

__all__ = ["LogWriter"]


class LogWriter:
    """Writes to one log; ``topic`` and ``partition`` are those of the frames."""

    def __init__(
        self, log: Log, reader: str, topic: str, partition: int, *, metrics: Metrics
    ) -> None:
        self._log = log
        self._reader = reader
        self._topic = topic
        self._partition = partition
        self._metrics = metrics
        self._known: set[WindowSchema] | None = None

    def write(self, told: Sequence[object]) -> None:
        """Append all; OSError where the log refuses."""
        batch = cast("Sequence[Told]", told)
        try:
            self._publish({s for derived, _ in batch for s in derived.schemas})
            for topic, records in (
                (DERIVED, [r for derived, _ in batch for r in derived.derived]),
                (EVENTS, [r for derived, _ in batch for r in derived.events]),
            ):
                if records:
                    self._log.append(topic, records)
        except LogError as refused:
            raise OSError(str(refused)) from refused
        for _, rejected in batch:
            for each in rejected:
                place = Place(self._topic, self._partition, each.offset)
                bury(
                    self._log, self._reader, place, each.key, each.value, each.reason,
                    metrics=self._metrics,
                )  # fmt: skip
        self._count(derived.counts for derived, _ in batch)

    def close(self) -> None:
        """Give back the log."""
        self._log.close()

    def _publish(self, wanted: set[WindowSchema]) -> None:
        """A schema stands in the log before its first record."""
        if self._known is not None and wanted <= self._known:
            return
        publish_schemas(self._log, wanted)
        self._known = wanted | (self._known or set())

    def _count(self, counts: Iterable[Counter[str]]) -> None:
        total: Counter[str] = Counter()
        for each in counts:
            total.update(each)
        for word, amount in total.items():
            kind, _, what = word.partition(" ")
            if kind == "event":
                self._metrics.count("pm500_events_total", amount, kind=what)
            elif kind == "slots":
                group, _, outcome = what.partition(" ")
                self._metrics.count(
                    "pm500_ledger_slots_total", amount, group=group, outcome=outcome
                )
            elif kind[0].isupper():
                self._metrics.count("pm500_derived_total", amount, kind=kind.lower())
            else:
                self._metrics.count("pm500_derive_frames_total", amount, outcome=kind)
