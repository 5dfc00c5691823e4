"""Meters to the embedded log: every slot gives one frame, good or failed."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any

import bytewax.operators as op
import structlog
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource

from connectors.clock_source import ClockSource
from connectors.commissioning.record import CommissioningRecord
from connectors.log.contract import EVENTS, FRAMES, Log, LogError
from connectors.log.embedded import EmbeddedLog
from connectors.log.last_slot import last_slot_us
from connectors.log.retention import RetentionThread
from connectors.log.schemas import publish_schemas
from connectors.polling.plan import MeterPlan
from connectors.polling.source import PollSource
from connectors.together import Together
from dataflows.idle import idle_flow
from dataflows.instance import follow
from dataflows.meters import meter_plans, own_plans, poll_settings
from dataflows.runtime import FlowContext, start_flow
from dataflows.site import Site
from sinks.log import LogSink
from transforms.assemble import Assembler
from transforms.codec.records import Event
from transforms.model.metrics import Metrics
from transforms.model.outcome import Outcome
from transforms.model.quality import Status

__all__ = ["flow"]

_STEPPED_BACK_US = 3_600_000_000

Keyed = tuple[str, tuple[str, bytes]]
Step = Callable[[list[Outcome | Event]], Iterable[Keyed]]


def flow() -> Dataflow:
    """The flow, from the site that ``PM500_SITE`` names.

    A replica polls its part of the meters, at the instants at which one alone would.
    """
    context = start_flow("acquire")
    site = context.site
    plans = _own_plans(context)
    if not plans:
        return idle_flow(context)
    assembler = Assembler([plan.polled for plan in plans])
    _retain(context)

    def prepare(log: Log) -> None:
        publish_schemas(log, assembler.schemas)

    dataflow = Dataflow("pm500_acquire")
    source = PollSource(
        plans,
        poll_settings(site),
        not_before_us=_not_before_us(context),
        alive=partial(context.health.progress, "acquire"),
        metrics=context.metrics,
    )
    polls = op.input("meters", dataflow, _with_clock(context, source))
    frames = op.flat_map_batch("frames", polls, _frames(assembler, context.metrics))
    op.output("frames_log", frames, _sink(context, FRAMES, prepare))
    events = op.flat_map_batch("events", polls, _events(context.metrics))
    op.output("events_log", events, _sink(context, EVENTS, prepare))
    return dataflow


def _with_clock(
    context: FlowContext, meters: PollSource
) -> FixedPartitionedSource[Any, None]:
    """What the host says of its clock comes with the polls; one replica asks it."""
    if not context.site.poll.check_clock or context.replica.number > 1:
        return meters
    return Together({"meters": meters, "clock": ClockSource()})


def _own_plans(context: FlowContext) -> list[MeterPlan]:
    """The part that is polled here, numbered by itself."""
    site = context.site
    plans = meter_plans(site, CommissioningRecord(site.commissioning_path))
    own = own_plans(plans, context.replica)
    if not context.replica.alone:
        structlog.get_logger().info("polls_part", meters=len(own), of=len(plans))
    return [replace(plan, index=index) for index, plan in enumerate(own)]


def _retain(context: FlowContext) -> None:
    """Keep the log within its bounds, in one process of those that write to it.

    Should that end, the next one takes over.
    """
    site = context.site
    retention = RetentionThread(
        partial(EmbeddedLog, site.log_path, synchronous=site.log.synchronous),
        max_age_us=round(site.log.retention_hours * 3.6e9),
        max_bytes=site.log.retention_bytes,
        readers=_readers(site),
        metrics=context.metrics,
    )

    def work() -> None:
        try:
            follow(site.data / "run", "retention")
        except OSError as error:
            # Two at once may tell a loss twice; none at all would fill the disk.
            structlog.get_logger().warning("retention_not_alone", error=str(error))
        retention.run()

    threading.Thread(target=work, name="log-retention", daemon=True).start()


def _readers(site: Site) -> set[str]:
    """The flows of this site that read the edge's log."""
    wanted = {
        "publish": site.mqtt is not None,
        "forward": site.kafka is not None,
        "archive": site.archive is not None and site.kafka is None,
        "derive": site.derive is not None and site.kafka is None,
        "historian": site.influx is not None and site.kafka is None,
    }
    return {name for name, reads in wanted.items() if reads}


def _not_before_us(context: FlowContext) -> int:
    """Polling starts after the log's last slot, so that no number is given twice.

    Of whichever meter: another process may have polled ours before.
    That matters where the clock was stepped back while nothing polled. By more than an
    hour it is the log's end that is wrong, and polling does not wait for it.
    """
    try:
        log = context.open_edge_log()
        try:
            latest = last_slot_us(log)
        finally:
            log.close()
    except LogError as error:
        structlog.get_logger().warning("log_end_not_read", reason=str(error))
        return 0
    ahead_us = latest - time.time_ns() // 1000
    if ahead_us <= 0:
        return 0
    waits = ahead_us < _STEPPED_BACK_US
    structlog.get_logger().error(
        "clock_behind_log", seconds=round(ahead_us / 1e6, 1), polling_waits=waits
    )
    return latest if waits else 0


def _sink(context: FlowContext, topic: str, prepare: Callable[[Log], None]) -> LogSink:
    name = f"log/{topic}"
    return LogSink(
        context.open_edge_log,
        topic,
        buffer_records=context.site.log.buffer_frames,
        metrics=context.metrics,
        prepare=prepare,
        on_hold=lambda reason: context.health.hold(name, reason),
        on_clear=lambda: context.health.clear(name),
    )


def _frames(assembler: Assembler, metrics: Metrics) -> Step:
    polled_groups = {
        (i, j): polled
        for i, meter in enumerate(assembler.meters)
        for j, polled in enumerate(meter.groups)
    }

    def step(items: list[Outcome | Event]) -> Iterable[Keyed]:
        out: list[Keyed] = []
        counts: Counter[tuple[str, Status]] = Counter()
        for item in items:
            if isinstance(item, Outcome):
                frame = assembler.frame(item)
                out.append((frame.asset, (frame.asset, frame.value)))
                polled = polled_groups[item.meter, item.group]
                counts[polled.group.name, item.status] += 1
                if item.received_us > item.sent_us:
                    seconds = (item.received_us - item.sent_us) / 1e6
                    metrics.observe(
                        "pm500_poll_seconds", seconds, protocol=polled.protocol
                    )
        for (group, status), amount in counts.items():
            metrics.count(
                "pm500_frames_total", amount, group=group, status=status.label
            )
        return out

    return step


def _events(metrics: Metrics) -> Step:
    def step(items: list[Outcome | Event]) -> Iterable[Keyed]:
        out: list[Keyed] = []
        for item in items:
            if isinstance(item, Event):
                out.append((item.asset, (item.asset, item.encode())))
                metrics.count("pm500_events_total", kind=item.kind)
        return out

    return step
