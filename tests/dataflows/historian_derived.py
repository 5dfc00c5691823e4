"""Derived records and events in a log, and their points as told by hand."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from connectors.log.contract import DERIVED, EVENTS
from connectors.log.embedded import EmbeddedLog
from tests.dataflows.historian_points import WINDOW, fill
from tests.line_protocol import Value
from tests.sinks.archive.making import NOON_US, SECOND_US
from tests.strict_influx_points import Stored
from transforms.codec.records import Demand, Energy, Event, LedgerHour
from transforms.lines.names import place_of
from transforms.model.quality import Status

__all__ = ["EVENT", "fill_all", "points_of", "without_times_in_ns"]

ASSET = "plant1/hall1/m1"
TAGS = {"site": "plant1", "area": "hall1", "asset": "m1"}
EVENT = "pm500_event"
_STATISTICS = (7.5, 2.0, 9.25, 3.0, 98.0)


def fill_all(log: EmbeddedLog, seconds: Iterable[int]) -> None:
    """Append frames, and what is derived of each second, a second at a time."""
    for second in seconds:
        fill(log, [second])
        demand, energy, hour, event = _records(second)
        values = [demand.encode(), energy.encode(), hour.encode(), _window(second)]
        log.append(DERIVED, [(ASSET, value) for value in values])
        log.append(EVENTS, [(ASSET, event.encode())])


def points_of(seconds: Iterable[int]) -> Stored:
    """The points of what is derived of these seconds, without those of frames."""
    found: Stored = {}
    for second in seconds:
        start_us = NOON_US + second * SECOND_US

        def add(
            measurement: str,
            tags: dict[str, str],
            fields: dict[str, Value],
            time_us: int = start_us,
        ) -> None:
            own = tuple(sorted((TAGS | tags).items()))
            found[measurement, own, time_us * 1000] = fields

        add(
            "pm500_demand",
            {"quantity": "realPower", "method": "block", "interval": "900"},
            {"value": second / 3, "running": 0, "quality": 64, "revision": second % 3},
        )
        add(
            "pm500_energy",
            {"quantity": "energyImport", "interval": "900"},
            {
                "energy": second / 7, "substituted": 0.5, "counter_start": 1e7,
                "counter_end": 1e7 + second / 7, "integral": 4.25, "seconds": 900,
                "quality": 192, "revision": 0, "verdict": "agrees",
                "reason": 'it "rolled"\\\\over, = once',
            },
        )  # fmt: skip
        failed: dict[str, Value] = {f"failed_{s.label}": 0 for s in Status if s}
        add(
            "pm500_ledger",
            {"group": "realtime"},
            failed
            | {
                "due": 3600, "good": 3590, "missing": 3, "failed": 7,
                "failed_timeout": 5, "failed_partial": 2, "revision": 1,
            },
        )  # fmt: skip
        add(
            EVENT,
            {"kind": "gap", "group": "energy"},
            {
                "text": "3 slots, failed", "severity": "warning", "revision": 0,
                "data": '{"cause": "failed"}', "until": (start_us + 7) / 1000,
            },
            start_us + 1,
        )  # fmt: skip
        phases: dict[str, dict[str, Value]] = {"total": {}}
        for name in WINDOW.frame.names:
            phase, field = place_of(name)
            words = ("mean", "min", "max", "last", "good")
            own = {
                f"{field}_{word}": value
                for word, value in zip(words, _STATISTICS, strict=True)
            }
            phases.setdefault(phase, {}).update(own)
        phases["total"] |= {"due": 60, "good": 59, "revision": 0}
        for phase, fields in phases.items():
            tags = {"group": WINDOW.frame.group, "window": "60", "phase": phase}
            add("pm500_window", tags, fields | {"quality": 192})
    return found


def without_times_in_ns(points: Stored, expected: Stored) -> Stored:
    """The points beside frames; of an event its microsecond, and what is expected.

    The time in ns tells events of one microsecond apart, and an event may say more.
    """
    found: Stored = {}
    for (measurement, tags, time), fields in points.items():
        if measurement == "powermonitor_500":
            continue
        if measurement != EVENT:
            found[measurement, tags, time] = fields
            continue
        known = {*TAGS, "kind", "group"}
        key = (
            measurement,
            tuple(pair for pair in tags if pair[0] in known),
            time // 1000 * 1000,
        )
        assert key not in found
        named = expected.get(key, fields)
        found[key] = {name: fields[name] for name in named}
    return found


def _records(second: int) -> tuple[Demand, Energy, LedgerHour, Event]:
    start = NOON_US + second * SECOND_US
    return (
        Demand(
            asset=ASSET, quantity="realPower", method="block", interval=900_000_000,
            start=start, end=start + 900_000_000, value=second / 3, quality=7,
            revision=second % 3,
        ),
        Energy(
            asset=ASSET, quantity="energyImport", start=start,
            end=start + 900_000_000, energy=second / 7, substituted=0.5, quality=0,
            counterStart=1e7, counterEnd=1e7 + second / 7, integral=4.25,
            verdict="agrees", reason='it "rolled"\\\\over, = once',
        ),
        LedgerHour(
            asset=ASSET, group="realtime", hour=start, due=3600, good=3590,
            failed={"timeout": 5, "partial": 2}, missing=3, revision=1,
        ),
        Event(
            asset=ASSET, kind="gap", time=start + 1, until=start + 7, group="energy",
            severity="warning", text="3 slots,\nfailed",
            data={"cause": "failed"},
        ),
    )  # fmt: skip


def _window(second: int) -> bytes:
    start = NOON_US + second * SECOND_US
    tails = np.zeros(1, WINDOW.tail)
    for name, value in zip(
        ("Mean", "Min", "Max", "Last", "Good"), _STATISTICS, strict=True
    ):
        tails["reading"][name] = value
    starts, ends, due, good = (
        np.array([each]) for each in (start, start + 60 * SECOND_US, 60, 59)
    )
    (encoded,) = WINDOW.encode(
        [ASSET], 60 * SECOND_US, starts, ends, due, good, [0], tails
    )
    return bytes(encoded)
