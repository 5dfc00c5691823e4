"""Frames and events of the log to Delta tables, exactly once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import bytewax.operators as op
import structlog
from bytewax.dataflow import Dataflow

from connectors.log.contract import EVENTS, FRAMES, Log, LogError
from connectors.log.dead import Place, bury
from connectors.log.kafka.mover import READER as FORWARD
from dataflows.archive_store import archive_store, archived_to, roots_of
from dataflows.hosting import sink_host
from dataflows.idle import idle_flow
from dataflows.kafka import patiently
from dataflows.reading import (
    Reading,
    Start,
    part_name,
    patient,
    route_parts,
    store_position,
)
from dataflows.runtime import FlowContext, refuse_site, start_flow
from dataflows.site import Archive as Settings
from sinks.archive.commit import Archive
from sinks.archive.rows import EventRows, FrameRows
from sinks.archive.writer import ArchiveWriter
from sinks.contract import Rejected
from sinks.rolls.sink import Rolls, RollSink

__all__ = ["READER", "flow"]

READER = "archive"

# Rolls of as many partitions at a time; each holds a sorted row group in memory.
_COMMITS = 2


def flow() -> Dataflow:
    """The flow, from the site that ``PM500_SITE`` names."""
    context = start_flow(READER)
    roots = roots_of(context.site)
    reading = Reading(context, READER, tuple(roots), _start(context))
    if not reading.parts:
        return idle_flow(context)
    dataflow = Dataflow("pm500_archive")
    batches = op.input("log", dataflow, reading.together(roots))
    writers = {
        part_name(*part): _builder(context, reading, *part) for part in reading.parts
    }
    items = op.flat_map("items", batches, route_parts(context, sorted(writers)))
    settings = context.site.archive or Settings()
    rolls = Rolls(
        count=settings.roll_rows,
        bytes=settings.roll_bytes,
        seconds=settings.roll_seconds,
    )
    sink = RollSink(
        writers,
        rolls=rolls,
        host=lambda _: sink_host(context, READER),
        # Files are encoded and uploaded while the next rows are read.
        background=ThreadPoolExecutor(_COMMITS, "archive-commit"),
    )
    op.output("archive", items, sink)
    return dataflow


def _start(context: FlowContext) -> Start:
    """Reading goes on behind what every table of the topic has."""

    def start(log: Log, topic: str, partition: int) -> int:
        if topic not in (FRAMES, EVENTS) and _has_live_rows(context, log):
            refuse_site([f"archive.path: {topic} needs tables of its own"])
        last = archived_to(context.site, log.identity(topic), topic, partition)
        first, _ = log.bounds(topic, partition)
        offset = first if last is None else last + 1
        if context.site.kafka is None:
            offset = max(offset, _moved_on(log, topic, partition))
        # From now on retention spares what is not archived yet.
        store_position(log, READER, topic, partition, offset)
        structlog.get_logger().info(
            "archive_starts", topic=topic, partition=partition, offset=offset
        )
        return offset

    return start


def _has_live_rows(context: FlowContext, log: Log) -> bool:
    identity = log.identity(FRAMES)
    return any(
        archived_to(context.site, identity, FRAMES, number) is not None
        for number in log.partitions(FRAMES)
    )


def _moved_on(log: Log, topic: str, partition: int) -> int:
    """What went to Kafka, while the site had one, was archived from there."""
    return log.position(FORWARD, topic, partition) or 0


def _builder(
    context: FlowContext, reading: Reading, topic: str, partition: int
) -> Callable[[], ArchiveWriter]:
    # Not in the engine, which takes no stop while the archive refuses.
    identity = reading.identities[topic]
    archive = patiently(
        context, READER, lambda: _archive(context, identity, topic, partition)
    )

    def build() -> ArchiveWriter:
        log = reading.open_log()

        def keep(rejected: Rejected) -> None:
            offset, key, value, reason = rejected
            place = Place(topic, partition, offset)
            bury(log, READER, place, key, value, reason, metrics=context.metrics)

        def settle() -> None:
            try:
                log.sync()
            except LogError as refused:
                raise OSError(str(refused)) from refused

        events = roots_of(context.site)[topic] == EventRows.root
        rows = (
            EventRows()
            if events
            else FrameRows(patient(context, reading.schemas.on(log).frame_schema))
        )
        return ArchiveWriter(
            archive,
            rows,
            settle=settle,
            bury=keep,
            stored=lambda offset: store_position(log, READER, topic, partition, offset),
            close=log.close,
        )

    return build


def _archive(context: FlowContext, log_id: str, topic: str, partition: int) -> Archive:
    """The tables as this partition's writer sees them; LogError while they refuse."""
    try:
        return Archive(
            archive_store(context.site),
            roots_of(context.site)[topic],
            log_id=log_id,
            topic=topic,
            partition=partition,
            metrics=context.metrics,
        )
    except OSError as error:
        raise LogError(f"the archive refuses: {error}") from error
