"""What derive tells, as tests compare it: by id, at the highest revision."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from connectors.log.contract import EVENTS, FRAMES, Batch
from dataflows.deriving.loop import Loop
from dataflows.deriving.operator import Told
from tests.generated import Day
from transforms.alerts.rule import AlertRule
from transforms.calendar import Calendar
from transforms.codec.framing import HEADER_BYTES, CodecError
from transforms.codec.records import AnyRecord, Event, decode_record, is_record
from transforms.derivation.rules import DeriveRules, MeterRules
from transforms.energy.counter import CounterRules
from transforms.windows.bay import WindowRules

__all__ = [
    "ALERTS",
    "Latest",
    "batches_of",
    "derived",
    "highest",
    "records_of",
    "rules_for",
    "same_content",
    "sha256",
    "values_of",
]

ALERTS = (
    AlertRule(
        name="high", kind="threshold", quantity="realPower", above=20.0,
        hysteresis=0.5, delay_us=5_000_000, clear_delay_us=3_000_000,
    ),
    AlertRule(name="low", kind="threshold", quantity="voltageAN", below=229.0),
    AlertRule(name="gone", kind="comm_lost", delay_us=4_000_000),
    AlertRule(name="hole", kind="gap", longer_than_us=60_000_000),
    AlertRule(name="still", kind="frozen", delay_us=30_000_000),
    AlertRule(name="off", kind="reconciliation"),
    AlertRule(
        name="much", kind="demand_forecast", quantity="realPower", above=30.0,
    ),
)  # fmt: skip
_COUNTERS = (
    "energyImport energyExport reactiveEnergyImport reactiveEnergyExport "
    "partialEnergyImport partialEnergyExport partialReactiveEnergyImport "
    "partialReactiveEnergyExport"
).split()


class Latest(NamedTuple):
    """The highest revision of an id and its bytes."""

    revision: int
    value: bytes


def rules_for(
    day: Day, *, zone: str = "Europe/Berlin", **changes: object
) -> DeriveRules:
    """Rules of a site with the day's meters."""
    meters = {
        meter.asset: MeterRules(
            counters={
                name: CounterRules(
                    quantity=name, float32=not meter.exact, modulus_wh=1e13
                )
                for name in _COUNTERS
            }
        )
        for meter in day.meters
    }
    windows = WindowRules(
        calendar=Calendar(zone),
        lengths_us=tuple(s * 1_000_000 for s in (10, 60, 900, 3600, 86400)),
    )
    rules = {"windows": windows, "meters": meters, "alerts": ALERTS} | changes
    return DeriveRules(**rules)  # type: ignore[arg-type] # names and values by the test


def batches_of(day: Day, size: int = 4000) -> Iterator[Batch]:
    """The day as derive reads it: settings before the frames that follow them."""
    offset = 0
    for delivery in day.deliveries():
        if delivery.events:
            keys = [event.asset for event in delivery.events]
            values = [event.encode() for event in delivery.events]
            yield Batch(EVENTS, 0, range(len(keys)), keys, values)
        for start in range(0, len(delivery.keys), size):
            keys = delivery.keys[start : start + size]
            values = delivery.values[start : start + size]
            yield Batch(FRAMES, 0, range(offset, offset + len(keys)), keys, values)
            offset += len(keys)


def derived(
    rules: DeriveRules,
    day: Day,
    batches: Iterable[Batch] | None = None,
    *,
    finish: bool = True,
    look: Callable[[Loop], Loop] = lambda loop: loop,
) -> list[Told]:
    """All that a plain loop tells; ``look`` may exchange it after each batch."""
    loop = Loop(rules, day.schema_of)
    told: list[Told] = []
    for batch in batches_of(day) if batches is None else batches:
        told += loop.take(batch)
        loop = look(loop)
    return told + loop.finish() if finish else told


def values_of(told: Iterable[Told]) -> Iterator[bytes]:
    """Derived records and events, as bytes."""
    for one, _ in told:
        yield from (value for _, value in one.derived)
        yield from (value for _, value in one.events)


def highest(values: Iterable[bytes]) -> dict[str, Latest]:
    """The highest revision of each id; of equal ones they must be equal."""
    found: dict[str, Latest] = {}
    for value in values:
        name, revision = _id_of(value)
        known = found.get(name)
        if known is None or revision > known.revision:
            found[name] = Latest(revision, value)
        elif revision == known.revision:
            assert value == known.value, (name, revision)
    return found


def sha256(found: Mapping[str, Latest]) -> str:
    """Over the highest revisions, sorted by id."""
    whole = hashlib.sha256()
    for name in sorted(found):
        whole.update(found[name].value)
    return whole.hexdigest()


def same_content(one: Mapping[str, Latest], other: Mapping[str, Latest]) -> list[str]:
    """Ids that only one has, or whose bytes differ; none where all is equal."""
    return sorted(
        name
        for name in {*one, *other}
        if name not in one or name not in other or one[name] != other[name]
    )


def records_of(found: Mapping[str, Latest]) -> list[AnyRecord]:
    """All but windows, decoded."""
    return [decode_record(v.value) for v in found.values() if is_record(v.value)]


def events_of(values: Sequence[bytes]) -> list[Event]:
    """The events among records."""
    out = []
    for value in values:
        try:
            record = decode_record(value)
        except CodecError:
            continue
        if isinstance(record, Event):
            out.append(record)
    return out


def _id_of(value: bytes) -> tuple[str, int]:
    """Id and revision: the first two fields of every record."""
    length = value[HEADER_BYTES] // 2
    at = HEADER_BYTES + 1
    name = value[at : at + length].decode()
    at += length
    number = shift = 0
    while True:
        byte = value[at]
        number |= (byte & 0x7F) << shift
        shift += 7
        at += 1
        if byte < 0x80:
            break
    return name, number >> 1 ^ -(number & 1)
