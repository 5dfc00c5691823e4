"""What alerts say of conditions that others have found: one function for each."""

from __future__ import annotations

from transforms.alerts.occurrence import Change, Words, tell
from transforms.alerts.rule import AlertRule
from transforms.alerts.threshold import digits, number
from transforms.codec.derived import Energy
from transforms.codec.records import Event

__all__ = ["COMMUNICATION", "frozen_words", "gap_events", "reconciliation_words"]

COMMUNICATION = Words("communication is lost", "communication is back", {})


def frozen_words(quantity: str) -> Words:
    """Of a value that does not change any more."""
    return Words(
        f"{quantity} is frozen", f"{quantity} changes again", {"quantity": quantity}
    )


def reconciliation_words(energy: Energy) -> Words:
    """Of an interval in which counter and measured power were compared."""
    quantity = energy.quantity
    text = f"{quantity}: the counter gives {number(energy.energy, quantity)}"
    data = {"quantity": quantity, "value": digits(energy.energy, quantity)}
    if energy.integral is not None:
        text += f", the measured power {number(energy.integral, quantity)}"
        data["integral"] = digits(energy.integral, quantity)
    if energy.budget is not None:
        text += f"; they may differ by {number(energy.budget, quantity)}"
        data["limit"] = digits(energy.budget, quantity)
    if energy.reason is not None:
        data["reason"] = energy.reason
    return Words(text, f"{quantity}: counter and measured power agree again", data)


def gap_goes_on(rule: AlertRule, asset: str, group: str, since_us: int) -> Event:
    """Of slots that have failed for too long, while they do."""
    limit = f"{rule.longer_than_us / 1e6:.10g}"
    text = f"{group} failed for more than {limit} s".strip()
    data = {"limit": limit, "cause": "failed"}
    return tell(rule, asset, Change(since_us, None, 0), text, data, group, group)


def gap_events(rule: AlertRule, gap: Event, *, was_told: bool = False) -> list[Event]:
    """Both events of a gap that was too long, as it is over when it is told.

    Only the second one where ``was_told`` while it went on, whatever the limit is now.
    Later revisions of a gap say how much of it came late; its length stays, and they
    say nothing here.
    """
    if gap.until is None or gap.revision:
        return []
    length_us = gap.until - gap.time
    if length_us <= rule.longer_than_us and not was_told:
        return []
    seconds, limit = f"{length_us / 1e6:.10g}", f"{rule.longer_than_us / 1e6:.10g}"
    group, cause = gap.group or "", gap.data.get("cause", "")
    data = {"value": seconds, "limit": limit}
    data |= {key: gap.data[key] for key in ("cause", "count") if key in gap.data}
    text = f"{group} {cause} for {seconds} s, longer than {limit} s".strip()
    over = f"{group} is back after {seconds} s".strip()
    # A failed and a missing gap of one group never begin at one instant.
    raised, cleared = Change(gap.time, None, 0), Change(gap.time, gap.until, 1)
    both = [
        tell(rule, gap.asset, raised, text, data, group, gap.group),
        tell(rule, gap.asset, cleared, over, data, group, gap.group),
    ]
    return both[1:] if was_told else both
