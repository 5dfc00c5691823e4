"""Frames and events of the log to Delta tables on local disk, exactly once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import bytewax.operators as op
import structlog
from bytewax.dataflow import Dataflow

from connectors.log.contract import (
    EVENTS,
    FRAMES,
    Log,
    LogError,
    OffsetGone,
    Record,
)
from connectors.log.dead import bury
from connectors.log.schemas import Schemas
from connectors.log.source import Batch, LogSource
from connectors.stop import STOP
from connectors.ticks import Ticks
from dataflows.runtime import FlowContext, start_flow
from dataflows.site import Archive as Settings
from sinks.archive.commit import Archive, position
from sinks.archive.rows import EventRows, FrameRows, LogRecord
from sinks.archive.sink import ArchiveSink, ArchiveWriter, Host, Rolls

__all__ = ["READER", "flow"]

READER = "archive"

_ROOTS = {FRAMES: FrameRows.root, EVENTS: EventRows.root}
Item = tuple[str, Sequence[LogRecord]]


def flow() -> Dataflow:
    """The flow, from the site that ``PM500_SITE`` names."""
    context = start_flow("archive")
    dataflow = Dataflow("pm500_archive")
    frames = op.input("frames", dataflow, _source(context, FRAMES))
    events = op.input("events", dataflow, _source(context, EVENTS))
    ticks = op.input("ticks", dataflow, Ticks())
    writers = _writers(context)
    items = op.merge(
        "items",
        op.map("frames_items", frames, _item),
        op.map("events_items", events, _item),
        op.flat_map("ticks_items", ticks, _tick(context, sorted(writers))),
    )
    settings = context.site.archive or Settings()
    rolls = Rolls(
        rows=settings.roll_rows,
        bytes=settings.roll_bytes,
        seconds=settings.roll_seconds,
    )
    op.output("archive", items, ArchiveSink(writers, rolls=rolls, host=_host(context)))
    return dataflow


def _item(batch: Batch) -> Item:
    return f"{batch.topic}-{batch.partition}", batch.records


def _tick(context: FlowContext, names: list[str]) -> Callable[[None], list[Item]]:
    def step(_: None) -> list[Item]:
        context.health.progress(READER)
        return [(name, ()) for name in names]

    return step


def _source(context: FlowContext, topic: str) -> LogSource:
    folder = context.site.archive_path

    def start(log: Log, partition: int) -> int:
        last = position(
            folder,
            _ROOTS[topic],
            log_id=log.log_id,
            topic=topic,
            partition=partition,
        )
        first, _ = log.bounds(topic, partition)
        offset = first if last is None else last + 1
        # From now on retention spares what is not archived yet.
        _store(log, topic, partition, offset)
        structlog.get_logger().info(
            "archive_starts", topic=topic, partition=partition, offset=offset
        )
        return offset

    return LogSource(context.open_log, topic, start, on_gone=_skip)


def _skip(gone: OffsetGone) -> int:
    structlog.get_logger().error(
        "records_lost_to_retention",
        topic=gone.topic,
        partition=gone.partition,
        records=gone.first - gone.asked,
    )
    return gone.first


def _writers(context: FlowContext) -> dict[str, Callable[[], ArchiveWriter]]:
    log = context.open_log()
    try:
        return {
            f"{topic}-{partition}": _builder(context, topic, partition)
            for topic in _ROOTS
            for partition in log.partitions(topic)
        }
    finally:
        log.close()


def _builder(
    context: FlowContext, topic: str, partition: int
) -> Callable[[], ArchiveWriter]:
    def build() -> ArchiveWriter:
        log = context.open_log()

        def keep(record: LogRecord, error: str) -> None:
            assert isinstance(record, Record)
            bury(
                log,
                READER,
                record,
                topic,
                partition,
                error,
                metrics=context.metrics,
            )

        def settle() -> None:
            try:
                log.sync()
            except LogError as refused:
                raise OSError(str(refused)) from refused

        archive = Archive(
            context.site.archive_path,
            _ROOTS[topic],
            log_id=log.log_id,
            topic=topic,
            partition=partition,
            metrics=context.metrics,
        )
        rows = FrameRows(Schemas(log).frame_schema) if topic == FRAMES else EventRows()
        return ArchiveWriter(
            archive,
            rows,
            settle=settle,
            bury=keep,
            stored=lambda offset: _store(log, topic, partition, offset),
        )

    return build


def _store(log: Log, topic: str, partition: int, offset: int) -> None:
    try:
        log.store_position(READER, topic, partition, offset)
    except LogError as error:
        # The archive itself knows where it stands; the next roll says it again.
        structlog.get_logger().warning("position_not_stored", error=str(error))


def _host(context: FlowContext) -> Host:
    def hold(reason: str) -> None:
        context.health.hold(READER, reason)
        context.health.progress(READER)

    return Host(
        hold=hold,
        clear=lambda: context.health.clear(READER),
        stopping=lambda: STOP.requested,
    )
