"""The log's frames to SCADA: Sparkplug B over MQTT, live first, backlog as history."""

from __future__ import annotations

import math
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Literal

import bytewax.operators as op
import structlog
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource

from connectors.log.contract import FRAMES, Batch, Log, LogError, OffsetGone
from connectors.log.dead import Place, bury
from connectors.log.schemas import Schemas
from connectors.log.source import LogSource
from connectors.ticks import Ticks
from connectors.together import Together
from dataflows.flock import is_held
from dataflows.idle import idle_flow
from dataflows.meters import polled_meter
from dataflows.runtime import FlowContext, refuse_site, start_flow
from dataflows.site import Mqtt, Site
from sinks.sparkplug.contract import DeviceSetup, LogRecord, Part
from sinks.sparkplug.sink import TICK, NodeSetup, Server, SparkplugSink
from sinks.sparkplug.topic import edge_node
from transforms.codec.frame import FrameSchema, frame_schema
from transforms.liveness import watched_group
from transforms.model.asset import Asset

__all__ = ["READER", "flow", "node_setups"]

READER = "publish"
_PARTITION = 0  # the edge's log has one
Item = tuple[str, Part | Literal["tick"]]


def flow() -> Dataflow:
    """The flow, from the site that ``PM500_SITE`` names.

    An edge node has one MQTT session and one count of messages, so it cannot be split:
    the first replica publishes all that its log has, and the others idle. They are not
    ready while no first replica runs on their data folder, since then nobody publishes
    their log.
    """
    context = start_flow(READER)
    settings = context.site.mqtt
    if settings is None:
        refuse_site(["mqtt: publish needs it"])
    if context.replica.number > 1:
        return idle_flow(context, partial(_look_for_the_first, context))
    nodes = node_setups(context.site)
    positions = _Positions(context, nodes)
    dataflow = Dataflow("pm500_publish")
    source = LogSource(
        context.open_edge_log, FRAMES, lambda *_: positions.live, on_gone=positions.skip
    )
    sources: dict[str, FixedPartitionedSource[Any, None]] = {
        "frames": source,
        "ticks": Ticks(),
    }
    batches = op.input("log", dataflow, Together[Batch | None](sources))
    items = op.flat_map("items", batches, _route(context, nodes))
    sink = SparkplugSink(
        server=_server(settings, context.site),
        group=settings.group,
        nodes=nodes,
        folder=context.site.data / "publish",
        open_frames=lambda node: _Frames(context, node, positions),
        include_datatype=settings.include_datatype,
        backlog_messages_per_second=settings.backlog_messages_per_second,
        hold=lambda node, reason: context.health.hold(f"mqtt/{node}", reason),
        clear=lambda node: context.health.clear(f"mqtt/{node}"),
        metrics=context.metrics,
    )
    op.output("sparkplug", items, sink)
    return dataflow


def _look_for_the_first(context: FlowContext) -> None:
    """Hold where this log's frames go nowhere."""
    if is_held(context.site.data / "run" / f"{READER}.lock"):
        context.health.clear(READER)
    else:
        reason = "replica 1, which publishes, does not run on this data folder"
        context.health.hold(READER, reason)


def node_setups(site: Site) -> dict[str, NodeSetup]:
    """The site's edge nodes, each with the meters of its area."""
    devices: dict[str, dict[str, DeviceSetup]] = defaultdict(dict)
    shortest_us: dict[str, int] = {}
    for meter in site.meter:
        polled = polled_meter(site, meter)
        asset = Asset.parse(polled.asset)
        node = edge_node(asset)
        periods_us = {group.group.name: group.period_us for group in polled.groups}
        watched = watched_group(periods_us)
        devices[node][asset.name] = DeviceSetup(
            groups=tuple(frame_schema(polled.profile, g.group) for g in polled.groups),
            watched=watched,
            watched_period_us=periods_us[watched],
        )
        fastest = min(periods_us.values())
        shortest_us[node] = min(shortest_us.get(node, fastest), fastest)
    return {
        node: NodeSetup(
            devices=setups, scan_rate_ms=math.ceil(shortest_us[node] / 1000)
        )
        for node, setups in devices.items()
    }


def _server(settings: Mqtt, site: Site) -> Server:
    password = None
    if settings.password_file is not None:
        path = site.folder / settings.password_file
        try:
            password = path.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            refuse_site([f"mqtt.password_file: {error}"])
    return Server(
        host=settings.host,
        port=settings.port,
        username=settings.username,
        password=password,
    )


def _route(
    context: FlowContext, nodes: Mapping[str, NodeSetup]
) -> Callable[[Batch | None], Iterable[Item]]:
    """Each edge node gets its records of a batch, and where the batch ended; or a tick."""
    places: dict[str, tuple[str, str] | None] = {}

    def place_of(key: str) -> tuple[str, str] | None:
        if key not in places:
            places[key] = _place(key, nodes)
            if places[key] is None:
                structlog.get_logger().warning("frames_of_unknown_asset", asset=key)
        return places[key]

    def route(batch: Batch | None) -> Iterable[Item]:
        if batch is None:
            context.health.progress(READER)
            return [(node, TICK) for node in nodes]
        parts: dict[str, list[LogRecord]] = {node: [] for node in nodes}
        for offset, key, value in zip(*batch[2:], strict=True):
            if place := place_of(key):
                node, device = place
                parts[node].append(LogRecord(offset, device, value))
        stop = batch.next_offset
        return [(node, Part(stop, records)) for node, records in parts.items()]

    return route


def _place(key: str, nodes: Mapping[str, NodeSetup]) -> tuple[str, str] | None:
    """Edge node and device of an asset; None where the site does not have it."""
    try:
        asset = Asset.parse(key)
    except ValueError:
        return None
    node = edge_node(asset)
    known = node in nodes and asset.name in nodes[node].devices
    return (node, asset.name) if known else None


class _Positions:
    """Where reading begins, and the reader's position: the lowest of all edge nodes.

    The live reading begins at the log's end; what was appended since the position was
    stored is owed. At the very first start nothing is.
    """

    def __init__(self, context: FlowContext, nodes: Iterable[str]) -> None:
        log = context.open_edge_log()
        try:
            first, self.live = log.bounds(FRAMES, _PARTITION)
            stored = log.position(READER, FRAMES, _PARTITION)
            if stored is None:
                log.store_position(READER, FRAMES, _PARTITION, self.live)
        finally:
            log.close()
        self.first_owed = self.live if stored is None else max(first, stored)
        self._lock = threading.Lock()
        self._kept = dict.fromkeys(nodes, self.first_owed)
        self._stored = self.first_owed

    def keep(self, log: Log, node: str, offset: int) -> None:
        """Take an edge node's position, and store the lowest where it moved."""
        with self._lock:
            self._kept[node] = offset
            lowest = min(self._kept.values())
            if lowest != self._stored:
                log.store_position(READER, FRAMES, _PARTITION, lowest)
                self._stored = lowest

    def skip(self, gone: OffsetGone) -> int:
        """Retention was faster than the live reading: go on behind the loss."""
        structlog.get_logger().error("frames_lost_unread", reason=str(gone))
        return gone.first


class _Frames:
    """One edge node's hold on the log; ``sinks.sparkplug.sink.NodeFrames``."""

    def __init__(self, context: FlowContext, node: str, positions: _Positions) -> None:
        self._node = node
        self._context = context
        self._positions = positions
        self._log = context.open_edge_log()
        self._schemas = Schemas(self._log)
        self._trouble = ""
        site, _, area = node.partition(".")
        self._prefix = f"{site}/{area}/"

    @property
    def log_id(self) -> str:
        return self._log.identity(FRAMES)

    @property
    def first_owed(self) -> int:
        return self._positions.first_owed

    @property
    def live(self) -> int:
        return self._positions.live

    def schema(self, value: bytes) -> FrameSchema:
        return self._schemas.frame_schema(value)

    def read(self, start: int, stop: int, maximum: int) -> Part:
        try:
            records = self._log.read(FRAMES, _PARTITION, start, maximum)
        except OffsetGone as gone:
            log = structlog.get_logger()
            log.warning("backlog_lost", node=self._node, reason=str(gone))
            return Part(min(gone.first, stop), [])
        looked = records[-1].offset + 1 if len(records) == maximum else stop
        mine = [
            LogRecord(
                record.offset, record.key.removeprefix(self._prefix), record.value
            )
            for record in records
            if record.offset < stop and record.key.startswith(self._prefix)
        ]
        return Part(min(looked, stop), mine)

    def reject(self, record: LogRecord, error: str) -> None:
        bury(
            self._log,
            READER,
            Place(FRAMES, _PARTITION, record.offset),
            self._prefix + record.device,
            record.value,
            error,
            metrics=self._context.metrics,
        )

    def keep(self, offset: int) -> None:
        try:
            self._positions.keep(self._log, self._node, offset)
            self._trouble = ""
        except LogError as error:
            if not self._trouble:
                structlog.get_logger().error("position_not_stored", reason=str(error))
            self._trouble = str(error)

    def close(self) -> None:
        self._log.close()
