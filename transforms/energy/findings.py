"""What the surgeon found, as events."""

from __future__ import annotations

from transforms.codec.record import content_id
from transforms.codec.records import Event
from transforms.energy.surgeon import Finding

__all__ = ["event_of"]

_TEXTS = {
    "transient_zero": ("info", "read zero for a while; nothing is booked for it"),
    "stale_answer": ("info", "read what it cannot be; nothing is booked for it"),
    "rollover": ("info", "rolled over; energy is counted through zero"),
    "recovered": ("warning", "is back on its line; what was booked since is replaced"),
    "reset": ("warning", "was reset; what flowed just before is not known"),
    "jump": ("warning", "jumped beyond what can flow; nothing is booked for it"),
    "meter_swap": ("warning", "is another meter's; nothing is booked in between"),
    "ct_change": (
        "warning",
        "broke at a change of the ratio; nothing is booked for it",
    ),
}


def event_of(asset: str, quantity: str, finding: Finding) -> Event:
    """The event ``counter_<kind>``: from the first odd slot until the one that decided.

    Two counters of a meter can fail in the same slot, so the quantity is in the id.
    """
    severity, what = _TEXTS[finding.kind]
    kind = f"counter_{finding.kind}"
    faults = {
        "quantity": quantity,
        "after": _kwh(finding.after_wh),
        "booked": _kwh(finding.booked_wh),
    }
    if finding.before_wh is not None:
        faults["before"] = _kwh(finding.before_wh)
    return Event(
        id=content_id(asset, kind, finding.first_us, "energy", quantity),
        asset=asset,
        kind=kind,
        time=finding.first_us,
        until=finding.decided_us,
        group="energy",
        severity=severity,
        text=f"{quantity} {what}",
        data=dict(sorted(faults.items())),
    )


def _kwh(wh: int) -> str:
    """Energy in kWh, exactly.

    >>> _kwh(53_000_100)
    '53000.100'
    """
    sign = "-" if wh < 0 else ""
    return f"{sign}{abs(wh) // 1000}.{abs(wh) % 1000:03d}"
