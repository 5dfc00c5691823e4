"""Demand, energy, ledger hours and events as lines: one line each.

A later revision of a record is the same point, and overwrites it field by field. So
every revision has the fields that an earlier one had, as far as they can change: of
statuses that did not occur the ledger says 0.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from transforms.codec.derived import energy_interval_us
from transforms.codec.records import AnyRecord, Demand, Energy, Event, LedgerHour
from transforms.lines.names import DEMAND, ENERGY, EVENT, LASTING, LEDGER
from transforms.lines.text import LineError, fields, line, problem_with_tag, tags
from transforms.model.quality import Quality, Status

__all__ = ["Labels", "record_line"]

Labels = Callable[[str], dict[str, str]]

# What events of one kind, group and instant are each about, where their data say it:
# one of a few texts.
_ABOUT = ("quantity", "phase", "alert", "topic", "partition")
_FAILED = {f"failed_{status.label}": status.label for status in Status if status}


def record_line(record: AnyRecord, labels: Labels) -> bytes:
    """The line of a record; LineError where there is none of its kind.

    ``labels(asset)`` gives the tags of an asset; of an event without an asset, ``""``.
    """
    match record:
        case Demand():
            return _demand(record, labels(record.asset))
        case Energy():
            return _energy(record, labels(record.asset))
        case LedgerHour():
            return _ledger(record, labels(record.asset))
        case Event():
            return _event(record, labels(record.asset))
    raise LineError(f"a {type(record).__name__} has no line")


def _demand(record: Demand, known: dict[str, str]) -> bytes:
    own = {
        "quantity": record.quantity,
        "method": record.method,
        "interval": _seconds(record.interval),
    }
    values = {
        "value": record.value,
        "forecast": record.forecast,
        "running": float(record.forecast is not None),
        "quality": _archive(record.quality),
        "revision": record.revision,
    }
    return line(DEMAND, tags(known | own), fields(values), record.start * 1000)


def _energy(record: Energy, known: dict[str, str]) -> bytes:
    values: dict[str, Any] = {
        "energy": record.energy,
        "substituted": record.substituted,
        "counter_start": record.counterStart,
        "counter_end": record.counterEnd,
        "integral": record.integral,
        "budget": record.budget,
        "seconds": (record.end - record.start) / 1e6,
        "quality": _archive(record.quality),
        "revision": record.revision,
        "verdict": record.verdict,
        "reason": record.reason or "",
    }
    own = {
        "quantity": record.quantity,
        "interval": _seconds(energy_interval_us(record)),
    }
    return line(ENERGY, tags(known | own), fields(values), record.start * 1000)


def _ledger(record: LedgerHour, known: dict[str, str]) -> bytes:
    values = {
        "due": record.due,
        "good": record.good,
        "missing": record.missing,
        "failed": sum(record.failed.values()),
        **{name: record.failed.get(label, 0) for name, label in _FAILED.items()},
        "revision": record.revision,
    }
    own = {"group": record.group}
    return line(LEDGER, tags(known | own), fields(values), record.hour * 1000)


def _event(record: Event, known: dict[str, str]) -> bytes:
    own = {"kind": record.kind}
    if record.group:
        own["group"] = record.group
    for name in _ABOUT:
        text = record.data.get(name)
        # The name of an alert is free text: one that cannot be a tag stays in the data.
        if text and not problem_with_tag(text):
            own[name] = text
    values: dict[str, Any] = {
        "text": record.text,
        "severity": record.severity,
        "id": record.id,
        "data": record.data,
        "since": record.time / 1000,
        # One that begins again at its own instant leaves the end it had in the point.
        "until": None if record.until is None else record.until / 1000,
        "lasting": float(record.until is None and record.kind in LASTING),
        "revision": record.revision,
    }
    time_ns = _place_us(record) * 1000 + _apart(record.id)
    return line(EVENT, tags(known | own), fields(values), time_ns)


def _place_us(event: Event) -> int:
    """Where its point stands: its time, of a peak the beginning of the billing period.

    Each new peak of a period is a revision of the one before, of a later time.
    """
    if event.kind == "demand_peak":
        text = event.data.get("period_start", "").removesuffix("Z")
        try:
            start = datetime.fromisoformat(text).replace(tzinfo=UTC)
        except ValueError:
            return event.time
        return round(start.timestamp()) * 1_000_000
    return event.time


def _apart(record_id: str) -> int:
    """Nanoseconds for what tags and microseconds do not tell apart."""
    try:
        return int(record_id, 16) % 1000
    except ValueError:
        return zlib.crc32(record_id.encode()) % 1000


def _seconds(length_us: int) -> str:
    return f"{length_us / 1e6:g}"


def _archive(code: int) -> int:
    try:
        return Quality(code).archive
    except ValueError:
        raise LineError(f"quality {code} is unknown") from None
