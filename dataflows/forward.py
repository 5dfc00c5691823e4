"""The edge's log to Kafka: in order, exactly once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource

from connectors.log.contract import EVENTS, FRAMES, Batch, Log
from connectors.log.kafka.mover import (
    READER,
    LogMover,
    Start,
    skipped,
    spare,
    start_of,
)
from connectors.log.source import LogSource
from connectors.stop import STOP
from connectors.ticks import Ticks
from connectors.together import Together
from dataflows.archive_store import archived_to
from dataflows.edge_log import hold_edge_log
from dataflows.hosting import sink_host
from dataflows.kafka import kafka_client, open_kafka, wait_for
from dataflows.runtime import FlowContext, refuse_site, start_flow
from sinks.kafka import KafkaSink

__all__ = ["READER", "flow"]

_TOPICS = (FRAMES, EVENTS)
# Each batch is brought to the disk before it is sent: a few larger ones cost less.
_IDLE_SECONDS = 0.1


def flow() -> Dataflow:
    """The flow, from the site that ``PM500_SITE`` names."""
    context = start_flow(READER)
    if context.site.kafka is None:
        refuse_site(["kafka: forward needs it"])
    hold_edge_log(context)
    starts = _starts(context)
    dataflow = Dataflow("pm500_forward")
    sources: dict[str, FixedPartitionedSource[Any, None]] = {"ticks": Ticks()}
    for topic, start in starts.items():
        sources[topic] = LogSource(
            context.open_edge_log,
            topic,
            _start(start),
            on_gone=skipped,
            idle_seconds=_IDLE_SECONDS,
        )
    batches = op.input("log", dataflow, Together[Batch | None](sources))
    items = op.flat_map("items", batches, _route(context))
    movers = {topic: _opener(context, topic, start) for topic, start in starts.items()}
    op.output("kafka", items, KafkaSink(movers, host=sink_host(context, "kafka")))
    return dataflow


def _start(start: Start) -> Callable[[Log, int], int]:
    return lambda *_: start.offset


def _starts(context: FlowContext) -> dict[str, Start]:
    """Where each topic goes on, once the cluster answers."""
    edge = context.open_edge_log()
    # From now on the edge's retention spares what has not been moved.
    for topic in _TOPICS:
        spare(edge, topic)

    def alive() -> bool:
        context.health.progress(READER)
        return not STOP.requested

    def ask() -> dict[str, Start]:
        begins = {topic: _begin(context, edge, topic) for topic in _TOPICS}
        kafka = open_kafka(context.site)
        try:
            client = kafka_client(context.site)
            return {
                topic: start_of(client, edge, kafka, topic, begin, alive=alive)
                for topic, begin in begins.items()
            }
        finally:
            kafka.close()

    try:
        return wait_for(context, ask)
    finally:
        edge.close()


def _begin(context: FlowContext, edge: Log, topic: str) -> int:
    """Nothing is moved before this: it was archived while the site had no Kafka.

    The archive reads Kafka from now on, and would have those rows twice.
    """
    if context.site.archive is None:
        return 0
    last = archived_to(context.site, edge.identity(topic), topic, 0)
    return 0 if last is None else last + 1


def _route(
    context: FlowContext,
) -> Callable[[Batch | None], list[tuple[str, Batch]]]:
    def step(batch: Batch | None) -> list[tuple[str, Batch]]:
        context.health.progress(READER)
        return [] if batch is None else [(batch.topic, batch)]

    return step


def _opener(context: FlowContext, topic: str, start: Start) -> Callable[[], LogMover]:
    return lambda: LogMover(
        kafka_client(context.site),
        context.open_edge_log(),
        # Nobody waits long for a schema while the cluster is away: it is asked again.
        open_kafka(context.site, timeout_seconds=2.0),
        topic,
        start.moved,
        metrics=context.metrics,
    )
