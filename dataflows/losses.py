"""Records that went before a reader had them: why slots of a ledger are missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from connectors.log.contract import EVENTS, Log
from connectors.log.loss import LOSS
from transforms.codec.framing import CodecError
from transforms.codec.records import Event, decode_record

if TYPE_CHECKING:
    from sinks.archive.store import Store

__all__ = ["Loss", "between", "losses_of_archive", "losses_of_log"]

_BATCH = 1000
_TABLE = "events"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """A run of records that is gone; both offsets and both times are included.

    Times are those of the appends (UTC microseconds). Where they were not known any
    more they are those of the oldest record that was left.
    """

    time_us: int
    until_us: int
    topic: str
    partition: int
    first_offset: int
    last_offset: int
    records: int
    readers: tuple[str, ...]

    @classmethod
    def of(cls, event: Event) -> Loss:
        """What an event of the kind ``log_truncated`` tells. KeyError, ValueError."""
        told = event.data
        return cls(
            time_us=event.time,
            until_us=event.time if event.until is None else event.until,
            topic=told["topic"],
            partition=int(told.get("partition", "0")),
            first_offset=int(told["first_offset"]),
            last_offset=int(told["last_offset"]),
            records=int(told["records"]),
            readers=tuple(told["readers"].split(", ")),
        )


def losses_of_log(log: Log) -> list[Loss]:
    """All losses that the events of a log tell of, by time. LogError."""
    return _losses(_events_of_log(log))


def losses_of_archive(store: Store) -> list[Loss]:
    """All losses that the archived events tell of, by time. OSError."""
    return _losses(_events_of_archive(store))


def between(
    losses: Iterable[Loss], start_us: int | None, end_us: int | None
) -> list[Loss]:
    """Those that reach into a range; None is no bound."""
    return [
        each
        for each in losses
        if (start_us is None or each.until_us >= start_us)
        and (end_us is None or each.time_us < end_us)
    ]


def _losses(events: Iterable[Event]) -> list[Loss]:
    """The same loss is told again by a reader that was killed: it counts once."""
    newest: dict[str, Event] = {}
    for event in events:
        if event.id not in newest or event.revision >= newest[event.id].revision:
            newest[event.id] = event
    found = []
    for event in newest.values():
        try:
            found.append(Loss.of(event))
        except (KeyError, ValueError):
            continue  # another's event of the same kind
    return sorted(found, key=lambda each: (each.time_us, each.topic, each.first_offset))


def _events_of_log(log: Log) -> Iterator[Event]:
    for partition in log.partitions(EVENTS):
        offset, _ = log.bounds(EVENTS, partition)
        while records := log.read(EVENTS, partition, offset, _BATCH):
            for record in records:
                try:
                    event = decode_record(record.value)
                except CodecError:
                    continue
                if isinstance(event, Event) and event.kind == LOSS:
                    yield event
            offset = records[-1].offset + 1


def _events_of_archive(store: Store) -> Iterator[Event]:
    import pyarrow.compute as pc

    from sinks.archive.store import store_errors

    if not store.is_table(_TABLE):
        return
    with store_errors():
        table = store.open(_TABLE)
        dataset = table.to_pyarrow_dataset(filesystem=store.files_of(_TABLE))
    names = ["id", "revision", "time", "until", "data"]
    for batch in dataset.to_batches(columns=["kind", *names]):
        told = batch.filter(pc.equal(batch["kind"], LOSS)).select(names)
        for row in told.to_pylist():
            until = row["until"]
            yield Event(
                id=row["id"],
                revision=row["revision"],
                asset="",
                kind=LOSS,
                time=_us(row["time"]),
                until=None if until is None else _us(until),
                data=dict(row["data"]),
            )


def _us(instant: datetime) -> int:
    return (instant - _EPOCH) // timedelta(microseconds=1)
