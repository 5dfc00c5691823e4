"""The Bytewax sink: one partition, one MQTT session and one record per edge node.

An MQTT server that is away holds nothing up: frames are owed meanwhile, and readiness
says so. Positions are the sink's own, so the engine's snapshots hold nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from sinks.sparkplug.account import Mark
from sinks.sparkplug.connection import Connection
from sinks.sparkplug.contract import DeviceSetup, Frames, Part
from sinks.sparkplug.keeper import Keeper
from sinks.sparkplug.node import EdgeNode
from sinks.sparkplug.owed import NOTHING, Owed
from sinks.sparkplug.record import NodeRecord, load_record
from transforms.model.metrics import NO_METRICS, Metrics

__all__ = ["TICK", "Item", "NodeFrames", "NodeSetup", "Server", "SparkplugSink"]

TICK: Literal["tick"] = "tick"
Item = Part | Literal["tick"]
_GOODBYE_SECONDS = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """The MQTT server, and who we are there."""

    host: str
    port: int
    username: str | None = None
    password: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSetup:
    """An edge node: its devices by name and the shortest of their periods."""

    devices: Mapping[str, DeviceSetup]
    scan_rate_ms: int


class NodeFrames(Frames, Protocol):
    """An edge node's hold on the log; opened and closed by its partition's thread."""

    @property
    def log_id(self) -> str:
        """Names the log, so that a position is never applied to another."""

    @property
    def first_owed(self) -> int:
        """What a node without a record of its own owes from."""

    @property
    def live(self) -> int:
        """The offset that the live reading of the log begins at."""

    def keep(self, offset: int) -> None:
        """Records before ``offset`` are not needed any more."""

    def close(self) -> None:
        """Give the log back."""


class SparkplugSink(FixedPartitionedSink[Item, None]):
    """Publishes ``(edge node, Part or TICK)``; ``folder`` keeps the nodes' records.

    Exactly one process may own an edge node. All edge nodes share the rate of the
    backlog in equal parts. ``hold`` and ``clear`` take an edge node's
    name and say whether its session is up.
    """

    def __init__(
        self,
        *,
        server: Server,
        group: str,
        nodes: Mapping[str, NodeSetup],
        folder: Path,
        open_frames: Callable[[str], NodeFrames],
        include_datatype: bool,
        backlog_messages_per_second: float,
        hold: Callable[[str, str], None],
        clear: Callable[[str], None],
        metrics: Metrics = NO_METRICS,
    ) -> None:
        self._server = server
        self._group = group
        self._nodes = nodes
        self._names = sorted(nodes)
        self._folder = folder
        self._open_frames = open_frames
        self._include_datatype = include_datatype
        self._rate = backlog_messages_per_second / len(nodes)
        self._hold = hold
        self._clear = clear
        self._metrics = metrics
        self._goodbye = _Goodbye()
        self._background = ThreadPoolExecutor(1, "sparkplug-record")

    def list_parts(self) -> list[str]:
        """The edge nodes."""
        return self._names

    def part_fn(self, item_key: str) -> int:
        """A key is the name of an edge node."""
        return self._names.index(item_key)

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> _Partition:
        """Read the node's record and begin to connect."""
        frames = self._open_frames(for_part)
        path = self._folder / f"{for_part}.json"
        record = load_record(path)
        setup = self._nodes[for_part]
        start = _start(record, frames, setup.devices)
        node = EdgeNode(
            group=self._group,
            node=for_part,
            devices=setup.devices,
            scan_rate_ms=setup.scan_rate_ms,
            include_datatype=self._include_datatype,
            backlog_messages_per_second=self._rate,
            frames=frames,
            start=start,
            clock_us=_now_us,
            metrics=self._metrics,
        )
        keeper = Keeper(
            path,
            frames.log_id,
            record.bd_seq,
            mark=node.mark,
            forget=frames.keep,
            background=self._background,
        )
        name, metrics = for_part, self._metrics

        def hold(reason: str) -> None:
            metrics.gauge("pm500_mqtt_connected", 0, node=name)
            self._hold(name, reason)

        def clear() -> None:
            metrics.gauge("pm500_mqtt_connected", 1, node=name)
            self._clear(name)

        connection = Connection(
            host=self._server.host,
            port=self._server.port,
            client_id=f"{self._group}/{for_part}",
            username=self._server.username,
            password=self._server.password,
            bd_seq=record.bd_seq,
            listener=node,
            count=keeper.count,
            hold=hold,
            clear=clear,
        )
        node.attach(connection)
        return _Partition(node, connection, frames, keeper, self._goodbye)


class _Goodbye:
    """The time in which all edge nodes together say goodbye; it begins when asked."""

    def __init__(self) -> None:
        self._until: float | None = None

    def seconds_left(self) -> float:
        now = time.monotonic()
        if self._until is None:
            self._until = now + _GOODBYE_SECONDS
        return max(0.0, self._until - now)


class _Partition(StatefulSinkPartition[Item, None]):
    def __init__(
        self,
        node: EdgeNode,
        connection: Connection,
        frames: NodeFrames,
        keeper: Keeper,
        goodbye: _Goodbye,
    ) -> None:
        self._goodbye = goodbye
        self._node = node
        self._connection = connection
        self._frames = frames
        self._keeper = keeper
        connection.start()

    def write_batch(self, values: list[Item]) -> None:
        for value in values:
            if value == TICK:
                self._node.tick()
                self._keeper.tick()
            else:
                self._node.take(value)

    def snapshot(self) -> None:
        return None

    def close(self) -> None:
        was_online = self._node.stop()
        arrived = self._connection.stop(wait_seconds=self._goodbye.seconds_left())
        self._keeper.end(self._node.stopped(unacknowledged=was_online and not arrived))
        self._frames.close()


def _start(record: NodeRecord, frames: NodeFrames, devices: Iterable[str]) -> Mark:
    """What is owed at the start: what the record says, and all from there to now."""
    live = frames.live
    known = record.log_id == frames.log_id and record.live is not None
    if not known or record.live is None or record.live > live:
        return Mark(NOTHING.add(devices, frames.first_owed, live), live)
    names = set(devices)
    owed = Owed({device: r for device, r in record.owed.items() if device in names})
    return Mark(owed.add(names, record.live, live), live)


def _now_us() -> int:
    return time.time_ns() // 1000
