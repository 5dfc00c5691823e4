"""Holds the frames of a log against the simulator's own record, in both directions."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence

from connectors.simulator import Fault, Record, Request
from tests.integration.frames import LoggedFrame
from transforms.model.quality import Quality, Status

__all__ = ["unexplained", "unmatched_faults", "wrong_values"]

# What a fault of the plant may be called. A refusal while a link is open closes it; a
# fault that hits one block of two leaves a partial frame.
NAMES: Mapping[str, set[Status]] = {
    "refuse": {Status.REFUSED, Status.CLOSED, Status.UNREACHABLE},
    "delay": {Status.TIMEOUT, Status.OK},
    "drip": {Status.TIMEOUT, Status.OK},
    "truncate": {Status.CLOSED},
    "wrong_length": {Status.MALFORMED},
    "cip_error": {Status.CIP_ERROR},
    "modbus_exception": {Status.MODBUS_EXCEPTION},
    "garbage": {Status.MALFORMED, Status.TIMEOUT, Status.CLOSED},
    "foreign_identity": {Status.FOREIGN_DEVICE},
    "suspend": {Status.TIMEOUT, Status.SUSPENDED},
}
# Nothing was sent in these: they follow a failure.
FOLLOWING = {Status.OVERRUN, Status.BACKING_OFF}
# How long a failure is felt: the longest back-off, a late answer, the next round.
AFTER_US = 4_000_000


class _Requests:
    """Requests of one meter by their time."""

    def __init__(self, requests: Iterable[Request]) -> None:
        self._requests = sorted(requests, key=lambda r: r.time_us)
        self._times = [request.time_us for request in self._requests]

    def between(self, start_us: int, end_us: int) -> Sequence[Request]:
        first = bisect_left(self._times, start_us)
        return self._requests[first : bisect_right(self._times, end_us)]


def _by_meter(record: Record) -> dict[str, _Requests]:
    found: dict[str, list[Request]] = defaultdict(list)
    for request in record.requests:
        found[request.meter].append(request)
    return {meter: _Requests(requests) for meter, requests in found.items()}


def wrong_values(
    frames: Iterable[LoggedFrame], record: Record, meter_of: Mapping[str, str]
) -> list[str]:
    """Readings with a value that the meter did not put on the wire in this poll."""
    wrong: list[str] = []
    requests = _by_meter(record)
    for frame in frames:
        if frame.status not in (Status.OK, Status.PARTIAL):
            if any(Quality(code).has_value for code in frame.record.quality):
                wrong.append(f"{frame.identity}: a failed poll has a value")
            continue
        own = requests[meter_of[frame.asset]].between(
            frame.record.sent_us, frame.record.received_us
        )
        sent = {name: v for request in own for name, v in request.values.items()}
        spoiled = any("nan" in r.faults or "counter_zero" in r.faults for r in own)
        for name, value, code in zip(
            frame.names, frame.record.values, frame.record.quality, strict=True
        ):
            if not Quality(code).has_value or spoiled:
                continue
            true = sent.get(name)
            if true is None or not _same(float(value), float(true)):
                wrong.append(f"{frame.identity}: {name} is {value}, was {true}")
    return wrong


def _same(value: float, true: float) -> bool:
    return math.isclose(value, true, rel_tol=2e-7, abs_tol=1e-9)


def unmatched_faults(
    frames: Iterable[LoggedFrame], record: Record, meter_of: Mapping[str, str]
) -> list[str]:
    """Requests that a fault spoiled whose frame does not carry a fitting status."""
    by_meter: dict[str, list[LoggedFrame]] = defaultdict(list)
    for frame in frames:
        by_meter[meter_of[frame.asset]].append(frame)
    wrong: list[str] = []
    for request in record.requests:
        kinds = [kind for kind in request.faults if kind in NAMES]
        if not kinds or request.service is None or request.block is None:
            continue
        covering = [
            frame
            for frame in by_meter[request.meter]
            if frame.record.sent_us <= request.time_us <= frame.record.received_us
        ]
        # A description is read between polls: it is no slot.
        for frame in covering:
            fitting = set().union(*(NAMES[kind] for kind in kinds))
            if frame.status not in fitting | {Status.PARTIAL}:
                wrong.append(f"{frame.identity}: {frame.status.label} under {kinds}")
    return wrong


def unexplained(
    frames: Iterable[LoggedFrame],
    record: Record,
    meter_of: Mapping[str, str],
    both: Container[str],
) -> list[str]:
    """Failed frames for which no fault of their meter gives a reason.

    Meters that are polled by ``both`` protocols suspend themselves.
    """
    wrong: list[str] = []
    for frame in frames:
        meter = meter_of[frame.asset]
        suspended = frame.status is Status.SUSPENDED and meter in both
        if frame.status is Status.OK or suspended:
            continue
        near = [f for f in record.faults if f.meter == meter and _near(f, frame)]
        kinds = {fault.kind for fault in near}
        if frame.status in FOLLOWING | {Status.PARTIAL} and kinds & NAMES.keys():
            continue
        if not any(frame.status in NAMES.get(kind, ()) for kind in kinds):
            wrong.append(f"{frame.identity}: {frame.status.label}, faults {kinds}")
    return wrong


def _near(fault: Fault, frame: LoggedFrame) -> bool:
    after = AFTER_US + round(fault.delay_seconds * 1e6 if fault.kind == "delay" else 0)
    return fault.start_us <= frame.record.received_us and (
        frame.record.sent_us <= fault.end_us + after
    )
