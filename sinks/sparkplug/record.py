"""What an edge node must remember over restarts: one small JSON file per node.

``bdSeq`` goes on from the last attempt, so that a late NDEATH of the session before
matches no new NBIRTH. ``owed`` and ``live`` say what the host has not been given.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import structlog

from sinks.sparkplug.owed import Range

__all__ = ["NodeRecord", "load_record", "save_record"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRecord:
    """``bd_seq`` is the last number used, -1 before the first.

    ``live`` is the first log offset that was never looked at, None where there is
    none; ``owed`` are the ranges before it that were not sent, by device; both are
    offsets of the log named ``log_id``.
    """

    bd_seq: int = -1
    log_id: str = ""
    live: int | None = None
    owed: Mapping[str, tuple[Range, ...]] = field(default_factory=dict)


def load_record(path: Path) -> NodeRecord:
    """The node's record; an empty one where there is none or it cannot be read."""
    try:
        raw = json.loads(path.read_text("utf-8"))
        owed = {
            str(device): tuple((int(start), int(stop)) for start, stop in ranges)
            for device, ranges in raw["owed"].items()
        }
        return NodeRecord(
            bd_seq=int(raw["bd_seq"]),
            log_id=str(raw["log_id"]),
            live=None if raw["live"] is None else int(raw["live"]),
            owed=owed,
        )
    except FileNotFoundError:
        return NodeRecord()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        # A power cut may leave it empty: the host then asks for nothing worse than
        # the births it gets anyway.
        log = structlog.get_logger()
        log.warning("sparkplug_record_unreadable", path=str(path), error=str(error))
        return NodeRecord()


def save_record(path: Path, record: NodeRecord, *, sync: bool) -> None:
    """Replace the file at once; ``sync`` carries it over a power cut. OSError."""
    draft = path.with_suffix(".json.new")
    with draft.open("w", encoding="utf-8") as file:
        json.dump(asdict(record), file)
        if sync:
            file.flush()
            os.fsync(file.fileno())
    draft.replace(path)
