"""Frames to what people act on: windows, demand, energy, ledger, alerts."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import bytewax.operators as op
import structlog
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource
from bytewax.recovery import RecoveryConfig

from connectors.log.contract import DERIVED, EVENTS, FRAMES, Batch, Log
from connectors.log.schemas import Schemas
from connectors.ticks import Ticks
from connectors.together import Together
from dataflows.deriving.operator import (
    DERIVE_STEP,
    ROUTE_STEP,
    Work,
    derive,
    route,
)
from dataflows.deriving.rebuild import rebuilt
from dataflows.deriving.recovery import make_again, open_recovery, recovery_folder
from dataflows.deriving.rules import derive_rules
from dataflows.deriving.seed import States, read_seed
from dataflows.deriving.source import DeriveSource, Position
from dataflows.deriving.writer import LogWriter
from dataflows.edge_log import hold_edge_log
from dataflows.hosting import sink_host
from dataflows.idle import idle_flow
from dataflows.kafka import patiently, wait_for
from dataflows.reading import open_log_of, patient, skip_lost
from dataflows.runtime import FlowContext, refuse_site, start_flow
from dataflows.site import Derive
from dataflows.state import REBUILD
from sinks.derived import DerivedSink
from transforms.derivation.shard import SchemaOf

__all__ = ["READER", "engine", "flow"]

READER = "derive"
LOG_STEP = "log"
RECORDS_STEP = "records"
_engine: dict[str, Any] = {}


def engine() -> dict[str, Any]:
    """How the engine runs the flow that was built last: its epochs and its store."""
    return _engine


def flow() -> Dataflow:
    """The flow, from the site that ``PM500_SITE`` names.

    It works on one partition of the log, whose state it keeps. Kafka has several: each
    is the work of a replica of its own, and ``pm500 run derive`` starts them all.
    """
    context = start_flow(READER)
    open_log = partial(open_log_of, context)
    ask = partial(_look, context, open_log)
    if context.site.kafka is None:
        hold_edge_log(context)
        identity, partition = patiently(context, READER, ask)
    else:
        identity, partition = wait_for(context, ask)
    if partition is None:
        return idle_flow(context)
    settings = context.site.derive or Derive()
    folder = recovery_folder(context.site.data, FRAMES, partition)
    rules = derive_rules(context.site)

    def open_writer() -> LogWriter:
        return LogWriter(open_log(), READER, FRAMES, partition, metrics=context.metrics)

    def history() -> States:
        log, writer = open_log(), open_writer()
        try:
            return rebuilt(
                context.site, log, partition, rules, writer, _trouble(context)
            )
        finally:
            writer.close()
            log.close()

    if wish := os.environ.get(REBUILD):
        make_again(folder, identity, wish, history)
    recovery = open_recovery(folder, identity)
    _run_with(recovery, settings)
    frames = DeriveSource(
        open_log,
        partition,
        reader=READER,
        start=_start(partition),
        on_gone=skip_lost(context, open_log),
        on_trouble=_trouble(context),
    )
    sources: dict[str, FixedPartitionedSource[Any, Any]] = {
        "ticks": Ticks(),
        "frames": frames,
    }
    dataflow = Dataflow("pm500_derive")
    batches = op.input(LOG_STEP, dataflow, Together[Batch | None](sources))
    work = op.flat_map(ROUTE_STEP, batches, _route(context))
    told = derive(
        DERIVE_STEP,
        work,
        rules,
        _schema_of(context, open_log),
        lambda: False,
        read_seed(folder),
    )
    sink = DerivedSink(open_writer, host=sink_host(context, READER))
    op.output(RECORDS_STEP, told, sink)
    return dataflow


def _run_with(recovery: RecoveryConfig, settings: Derive) -> None:
    _engine.update(
        recovery_config=recovery,
        epoch_interval=timedelta(seconds=settings.snapshot_seconds),
    )


def _look(context: FlowContext, open_log: Callable[[], Log]) -> tuple[str, int | None]:
    """The log's identity, and the partition that is this process's work."""
    log = open_log()
    try:
        # They are made here, so that whoever reads them finds them.
        log.identity(DERIVED)
        identity = log.identity(FRAMES)
        numbers = log.partitions(FRAMES)
    finally:
        log.close()
    own = numbers if context.site.kafka is None else context.replica.own(numbers)
    if len(own) > 1:
        refuse_site(
            [
                f"kafka.partitions: {FRAMES} has {len(numbers)} and each needs a replica "
                f"of derive: say so here, or set PM500_REPLICA to 1/{len(numbers)} ... "
                f"{len(numbers)}/{len(numbers)}"
            ]
        )
    return identity, own[0] if own else None


def _start(partition: int) -> Callable[[Log], Position]:
    """Without a state everything that the log has is derived."""

    def start(log: Log) -> Position:
        first, _ = log.bounds(FRAMES, partition)
        events = tuple(log.bounds(EVENTS, n)[0] for n in log.partitions(EVENTS))
        structlog.get_logger().info("derive_starts", partition=partition, offset=first)
        return first, events

    return start


def _trouble(context: FlowContext) -> Callable[[str | None], None]:
    """The log cannot be read: it is held, and tried again."""

    def told(reason: str | None) -> None:
        context.health.progress(READER)
        if reason is None:
            context.health.clear("log")
        else:
            context.health.hold("log", reason)

    return told


def _route(context: FlowContext) -> Callable[[Batch | None], list[tuple[str, Work]]]:
    def step(batch: Batch | None) -> list[tuple[str, Work]]:
        context.health.progress(READER)
        return [] if batch is None else route(batch)

    return step


def _schema_of(
    context: FlowContext, open_log: Callable[[], Log]
) -> Callable[[], SchemaOf]:
    """Each shard has its own handle on the log's schemas, of the worker's thread."""
    return lambda: patient(context, Schemas(open_log()).frame_schema)
