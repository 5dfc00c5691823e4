"""The event of records that are gone before a reader had them: the ledger's why."""

from __future__ import annotations

import time
from collections.abc import Sequence

import structlog

from connectors.log.contract import EVENTS, Log, LogError, OffsetGone
from transforms.codec.records import Event, content_id
from transforms.model.metrics import NO_METRICS, Metrics

__all__ = ["LOSS", "loss_event", "tell_loss"]

LOSS = "log_truncated"


def loss_event(
    identity: str,
    topic: str,
    *,
    partition: int,
    first_offset: int,
    last_offset: int,
    time_us: int,
    until_us: int,
    readers: Sequence[str],
) -> Event:
    """Both offsets are included. The same run gives the same id.

    ``time_us`` and ``until_us`` are the first and the last append that is gone, as far
    as is known.
    """
    who = ", ".join(readers)
    records = last_offset - first_offset + 1
    place = (
        (topic, first_offset) if partition == 0 else (topic, partition, first_offset)
    )
    return Event(
        id=content_id(LOSS, identity, *place),
        asset="",
        kind=LOSS,
        time=time_us,
        until=until_us,
        severity="error",
        text=f"{records} records of {topic} went before {who} read them",
        data={
            "topic": topic,
            "partition": str(partition),
            "first_offset": str(first_offset),
            "last_offset": str(last_offset),
            "records": str(records),
            "readers": who,
        },
    )


def tell_loss(
    log: Log, reader: str, gone: OffsetGone, *, metrics: Metrics = NO_METRICS
) -> None:
    """Say in the log's events, and in the structured log, what a reader has lost.

    When the lost records were made is not known any more: the event's time is that of
    the oldest record that is left, or now.
    """
    structlog.get_logger().error(
        "records_lost_to_retention",
        topic=gone.topic,
        partition=gone.partition,
        records=gone.first - gone.asked,
        reader=reader,
    )
    try:
        left = log.read(gone.topic, gone.partition, gone.first, 1)
        time_us = left[0].time_us if left else time.time_ns() // 1000
        event = loss_event(
            log.identity(gone.topic),
            gone.topic,
            partition=gone.partition,
            first_offset=gone.asked,
            last_offset=gone.first - 1,
            time_us=time_us,
            until_us=time_us,
            readers=(reader,),
        )
        log.append(EVENTS, [(event.asset, event.encode())])
    except LogError as error:
        structlog.get_logger().error("loss_not_told", reason=str(error))
    else:
        metrics.count("pm500_events_total", kind=event.kind)
