"""Frames, derived records and events of the log to InfluxDB: points that overwrite."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import bytewax.operators as op
import structlog
from bytewax.dataflow import Dataflow

from connectors.log.contract import DERIVED, EVENTS, FRAMES, Log
from connectors.log.dead import Place, bury
from connectors.stop import STOP
from dataflows.hosting import shared_host
from dataflows.idle import idle_flow
from dataflows.influx import secret_again, target_of
from dataflows.places import tags_of
from dataflows.reading import (
    Reading,
    part_name,
    patient,
    route_parts,
    store_position,
)
from dataflows.runtime import FlowContext, start_flow
from dataflows.site import Influx
from sinks.contract import Rejected
from sinks.influx.gate import Gate
from sinks.influx.server import InfluxServer
from sinks.influx.writer import InfluxWriter, Lines
from sinks.rolls.sink import Rolls, RollSink
from transforms.lines.batch import LinesOfFrames, LinesOfRecords

__all__ = ["READER", "flow"]

READER = "historian"
TOPICS = {FRAMES: "frames", DERIVED: "derived", EVENTS: "events"}


def flow() -> Dataflow:
    """The flow, from the site that ``PM500_SITE`` names."""
    context = start_flow(READER)
    settings = context.site.influx
    if settings is None:
        return idle_flow(context)
    target = target_of(context.site, settings)
    reading = Reading(context, READER, tuple(TOPICS), _start)
    if not reading.parts:
        return idle_flow(context)
    structlog.get_logger().info("historian_writes", to=str(target))
    dataflow = Dataflow("pm500_historian")
    batches = op.input("log", dataflow, reading.together(TOPICS))
    secret = partial(secret_again, context.site, settings)
    server = InfluxServer(target, secret=secret)
    gate = Gate(server.post, stopping=lambda: STOP.requested)
    writers = {
        part_name(*part): _builder(context, reading, gate, *part)
        for part in reading.parts
    }
    items = op.flat_map("items", batches, route_parts(context, sorted(writers)))
    sink = RollSink(
        writers,
        rolls=_rolls(settings),
        host=shared_host(context, "influx"),
        # One batch is in flight; the next lines are made meanwhile.
        background=ThreadPoolExecutor(1, "influx-post"),
    )
    op.output("influx", items, sink)
    return dataflow


def _rolls(settings: Influx) -> Rolls:
    return Rolls(
        count=settings.batch_records,
        bytes=settings.batch_bytes,
        seconds=settings.batch_seconds,
    )


def _start(log: Log, topic: str, partition: int) -> int:
    """Where this reader was; a point that is written again is the same point."""
    first, _ = log.bounds(topic, partition)
    known = log.position(READER, topic, partition)
    offset = first if known is None else known
    # From now on retention spares what is not written yet.
    store_position(log, READER, topic, partition, offset)
    structlog.get_logger().info(
        "historian_starts", topic=topic, partition=partition, offset=offset
    )
    return offset


def _builder(
    context: FlowContext,
    reading: Reading,
    gate: Gate,
    topic: str,
    partition: int,
) -> Callable[[], InfluxWriter]:
    tags = tags_of(context.site)

    def build() -> InfluxWriter:
        log = reading.open_log()
        schemas = reading.schemas.on(log)
        lines: Lines
        if topic == FRAMES:
            lines = LinesOfFrames(patient(context, schemas.frame_schema), tags)
        else:
            lines = LinesOfRecords(patient(context, schemas.window_schema), tags)

        def keep(rejected: Rejected) -> None:
            offset, key, value, reason = rejected
            place = Place(topic, partition, offset)
            bury(log, READER, place, key, value, reason, metrics=context.metrics)

        return InfluxWriter(
            lines,
            gate,
            bury=keep,
            stored=lambda offset: store_position(log, READER, topic, partition, offset),
            close=log.close,
            metrics=context.metrics,
        )

    return build
