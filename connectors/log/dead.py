"""Dead letters: records that a flow could not use, set aside with the place and the why.

A letter's id follows from where the record stood and which flow it was, so a record met
again after a restart is the same letter. Revision 0 says that it was set aside, a later
one that its bytes were appended to their topic again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import structlog

from connectors.log.contract import DEAD, Log, LogError, Record
from transforms.codec.framing import CodecError
from transforms.codec.records import DeadLetter, decode_record
from transforms.model.metrics import NO_METRICS, Metrics

__all__ = ["Place", "bury", "letters", "replay"]

_BATCH = 1000


class Place(NamedTuple):
    """Where a record stands."""

    topic: str
    partition: int
    offset: int


def bury(
    log: Log,
    flow: str,
    place: Place,
    key: str,
    value: bytes,
    error: object,
    *,
    metrics: Metrics = NO_METRICS,
) -> bool:
    """Set a record aside so that the flow can go on; whether the letter was written.

    Where the log refuses, on a full disk for one, the flow goes on as well: the record
    itself is still in its topic, and the structured log names its place.
    """
    letter = DeadLetter(
        **place._asdict(),
        time=time.time_ns() // 1000,
        flow=flow,
        error=str(error),
        key=key.encode(),
        value=value,
        asset=key,
    )
    metrics.count("pm500_dead_letters_total", flow=flow)
    where = place._asdict()
    try:
        log.append(DEAD, [(letter.asset, letter.encode())])
    except LogError as refusal:
        structlog.get_logger().error(
            "dead_letter_not_written", error=letter.error, reason=str(refusal), **where
        )
        return False
    structlog.get_logger().warning(
        "dead_letter", id=letter.id, error=letter.error, **where
    )
    return True


def letters(log: Log) -> dict[str, DeadLetter]:
    """Every letter by id, at its highest revision, in the order of their coming."""
    found: dict[str, DeadLetter] = {}
    for record in _all(log):
        try:
            letter = decode_record(record.value)
        except CodecError:
            continue
        if not isinstance(letter, DeadLetter):
            continue
        known = found.get(letter.id)
        if known is None or letter.revision > known.revision:
            found[letter.id] = letter
    return found


def replay(log: Log, letters: Sequence[DeadLetter]) -> int:
    """Append a record to its topic again, as it was, once; its new offset.

    ``letters`` are all that tell of this one record: each flow writes its own. At least
    once: a crash between the record and the notes leaves them as not replayed.
    """
    first = letters[0]
    (offset,) = log.append(first.topic, [(first.key.decode(), first.value)])
    now_us = time.time_ns() // 1000
    notes = [replace(each, revision=each.revision + 1, time=now_us) for each in letters]
    log.append(DEAD, [(note.asset, note.encode()) for note in notes])
    return offset


def _all(log: Log) -> Iterator[Record]:
    for partition in log.partitions(DEAD):
        offset, _ = log.bounds(DEAD, partition)
        while records := log.read(DEAD, partition, offset, _BATCH):
            yield from records
            offset = records[-1].offset + 1
