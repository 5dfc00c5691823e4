"""A loss as ``pm500 ledger`` tells it."""

from __future__ import annotations

from dataflows.commands.record_line import instant
from dataflows.losses import Loss

__all__ = ["loss_json", "loss_line"]


def loss_json(loss: Loss) -> dict[str, object]:
    """For programs; times are ISO 8601, UTC."""
    return {
        "time": instant(loss.time_us),
        "until": instant(loss.until_us),
        "topic": loss.topic,
        "partition": loss.partition,
        "first_offset": loss.first_offset,
        "last_offset": loss.last_offset,
        "records": loss.records,
        "readers": list(loss.readers),
    }


def loss_line(loss: Loss) -> str:
    """For people, in one line."""
    return (
        f"lost: {loss.records} records, {loss.topic}-{loss.partition}"
        f"@{loss.first_offset}..{loss.last_offset}, "
        f"{instant(loss.time_us)} to {instant(loss.until_us)}, "
        f"not read by {', '.join(loss.readers)}"
    )
