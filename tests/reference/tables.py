"""The closed tables of the program: profiles, qualities, columns, ports and metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from connectors.profiles import load_profile, profile_names
from dataflows.metrics import METRICS
from dataflows.runtime import FLOWS
from dataflows.site import Site
from sinks.archive.encoding import EVENT_SCHEMA, frame_table_schema
from tests.reference.markdown import code, table
from transforms.codec.frame import FrameSchema
from transforms.model.quality import Quality, Status
from transforms.model.quantity import QUANTITIES, Quantity

__all__ = [
    "event_columns",
    "frame_columns",
    "metrics",
    "ports",
    "profiles",
    "qualities",
    "quantities",
    "statuses",
]


def profiles() -> Iterator[str]:
    """The shipped meter models, group by group."""
    yield from table(
        ("profile", "meter", "group", "period", "EtherNet/IP", "Modbus", "readings"),
        (
            (
                code(name),
                profile.title,
                code(group.name),
                f"{group.period_seconds:g} s",
                _requests(group.requests("ethernet_ip")),
                _requests(group.requests("modbus")),
                str(len(group.points)),
            )
            for name in profile_names()
            for profile in (load_profile(name),)
            for group in profile.group
        ),
    )


def _requests(count: int) -> str:
    return f"{count} request{'s' * (count > 1)}" if count else "no"


_STATUS: Mapping[Status, str] = {
    Status.OK: "Every request was answered.",
    Status.PARTIAL: "Some requests were answered: their readings are kept. The ledger "
    "counts it as failed.",
    Status.TIMEOUT: "A request was not answered within `poll.timeout_seconds`.",
    Status.REFUSED: "The meter refused the connection.",
    Status.UNREACHABLE: "No way to its address, or no connection in that time.",
    Status.CLOSED: "The connection was closed or reset.",
    Status.CIP_ERROR: "EtherNet/IP answered with an error status.",
    Status.MODBUS_EXCEPTION: "Modbus answered with an exception.",
    Status.MALFORMED: "The answer was cut, too long, or no answer at all.",
    Status.FOREIGN_DEVICE: "Another device answers at this address.",
    Status.SUSPENDED: "EtherNet/IP is silent after our own Modbus reads "
    '(`protocol = "both"`).',
    Status.OVERRUN: "The poll before was still running: nothing was sent.",
    Status.BACKING_OFF: "The meter is lost and not asked again yet: nothing was sent.",
}


def statuses() -> Iterator[str]:
    """The outcomes of a poll."""
    yield from table(
        ("code", "status", "when"),
        ((str(int(s)), code(s.label), _STATUS[s]) for s in Status),
    )


_QUALITY: Mapping[Quality, str] = {
    Quality.GOOD: "Nothing is wrong with it.",
    Quality.UNCERTAIN_NOT_COMMISSIONED: "Its place is only inferred, and no "
    "commissioning check is recorded for this device.",
    Quality.UNCERTAIN_INCONSISTENT: "S² ≥ P² + Q² does not hold in its frame, beyond the "
    "meter's accuracy: real, reactive and apparent power of that phase get it.",
    Quality.UNCERTAIN_FROZEN: "Derived: a live reading was bit-equal for too long.",
    Quality.UNCERTAIN_SUBSTITUTED: "Derived: a part was distributed, not measured.",
    Quality.UNCERTAIN_CLOCK: "Derived: the host's clock was not synchronized.",
    Quality.UNCERTAIN_WIRING: "Derived: a phase looks reversed, or two exchanged.",
    Quality.UNCERTAIN_INCOMPLETE: "Derived: a part of what was due is missing.",
    Quality.BAD_NO_VALUE: "The poll failed, or its request was not answered.",
    Quality.BAD_NOT_A_NUMBER: "NaN or infinity.",
    Quality.BAD_OVERLOAD: "A gauge over 1e9 on the wire: the display shows EEEE.",
    Quality.BAD_OUT_OF_RANGE: "Outside the quantity's range.",
    Quality.BAD_NOT_IN_SYSTEM: "It means nothing in the meter's electrical system.",
    Quality.BAD_COUNTER: "Derived: a fault of the counter hides the energy.",
}


def qualities() -> Iterator[str]:
    """The qualities of a reading."""
    yield from table(
        (
            "code",
            "quality",
            "value",
            "Sparkplug `Quality`",
            "archive `quality`",
            "when",
        ),
        (
            (
                str(int(q)),
                code(q.label),
                "yes" if q.has_value else "no",
                f"{q.sparkplug}{' and `uncertain`' if q and q.has_value else ''}",
                str(q.archive),
                _QUALITY[q],
            )
            for q in Quality
        ),
    )


def quantities() -> Iterator[str]:
    """The table of quantities; demand and maximum are told in a sentence of the page."""
    plain = [
        quantity
        for name, quantity in QUANTITIES.items()
        if not name.startswith(("demand", "maximum"))
    ]
    yield from table(
        ("name", "unit", "kind", "type", "range"),
        (
            (code(q.name), q.unit, q.kind, q.avro_type, _range(q))
            for q in sorted(plain, key=lambda q: (q.kind, q.name))
        ),
    )


def _range(quantity: Quantity) -> str:
    if quantity.kind == "state":
        return ""
    return f"{quantity.low:g} to {quantity.high:g}"


_COLUMN: Mapping[str, str] = {
    "site": "First part of the asset's name; partition.",
    "date": "UTC date of the slot, of an event's beginning; partition.",
    "area": "Second part of the asset's name.",
    "asset": "Third part of the asset's name.",
    "profile": "The meter model.",
    "seq": "Number of the slot: `slot` / `period` since the epoch.",
    "period": "Microseconds between two slots.",
    "slot": "The scheduled instant.",
    "sent": "When the first request went out.",
    "received": "When the outcome was known.",
    "status": "The outcome: see [statuses](meters.md#statuses).",
    "quality": "The row's worst reading: 192 good, 64 uncertain, 0 bad.",
    "flags": "Each reading that is not good, with its quality code; null where all are "
    "good and where the poll failed.",
    "id": "Made of the event's content: the same event has the same id.",
    "revision": "Of rows with the same id, the highest counts.",
    "kind": "See [events](#events).",
    "time": "When it happened or began.",
    "until": "When it ended; null for an instant.",
    "group": "The group that it is about, where it is about one.",
    "severity": "`info`, `warning` or `error`.",
    "text": "In words.",
    "data": "Details by name.",
}


def frame_columns() -> Iterator[str]:
    """The columns of every table of frames."""
    schema = frame_table_schema(FrameSchema("profile", "group", ()))
    yield from table(
        ("column", "type", "meaning"),
        ((code(f.name), code(f.type), _COLUMN[f.name]) for f in schema),
    )


def event_columns() -> Iterator[str]:
    """The columns of the table of events."""
    yield from table(
        ("column", "type", "meaning"),
        ((code(f.name), code(f.type), _COLUMN[f.name]) for f in EVENT_SCHEMA),
    )


def ports() -> Iterator[str]:
    """The flows and where each listens by default."""
    base = Site.model_fields["observe"].default.base_port
    yield from table(
        ("flow", "port"),
        ((code(name), str(base + flow.port_offset)) for name, flow in FLOWS.items()),
    )


def metrics() -> Iterator[str]:
    """What ``/metrics`` counts."""
    yield from table(
        ("metric", "kind", "labels", "meaning"),
        (
            (code(name), row.kind, ", ".join(map(code, row.labels)), row.help)
            for name, row in METRICS.items()
        ),
    )
