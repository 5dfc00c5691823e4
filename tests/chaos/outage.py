"""Kafka away three times under load: cut off, frozen, and stopped in order.

Polling and MQTT must not notice, the backlog waits in the edge's log and is moved on in
seconds, exactly once and in order per asset.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from connectors.log.contract import FRAMES
from connectors.log.embedded import EmbeddedLog
from dataflows.demo.latency import LatencyListener, percentile
from dataflows.demo.servers import MqttAddress
from dataflows.instance import running
from tests.chaos.disk import Disk
from tests.integration.accounts import (
    Identity,
    archived,
    frames_in,
    holes_in,
    logged,
)
from tests.kafka_broker import KafkaBroker
from tests.kit import Plant, until
from tests.mosquitto import Mosquitto
from tests.simulated import SimulatorProcess, addresses

__all__ = ["Away", "Outage", "outage"]

METERS = 20
READERS = ("forward", "archive")
FRAMES_PER_SECOND = 2 * METERS


@dataclass(frozen=True, slots=True, kw_only=True)
class Away:
    """One time away; latencies are those of MQTT in ms, (p50, p99).

    Without the messages, ``held_up`` of them, that waited while the disk stood still.
    """

    how: str
    before_ms: tuple[float, float]
    meanwhile_ms: tuple[float, float]
    messages: int
    held_up: int
    backlog: int
    moved_in_seconds: float


@dataclass(slots=True, kw_only=True)
class Outage:
    """What came of it; ``offsets`` are those of the edge in Kafka, by asset."""

    aways: list[Away] = field(default_factory=list)
    offsets: dict[str, list[int]] = field(default_factory=dict)
    logged: Counter[Identity] = field(default_factory=Counter)
    archived: Counter[Identity] = field(default_factory=Counter)

    @property
    def holes(self) -> int:
        """Slots that were not polled."""
        return holes_in(self.logged)


def outage(
    folder: Path, seconds: float, said: Callable[[str], object] = print
) -> Outage:
    """Take Kafka away for so many seconds, three times."""
    hosts = addresses(METERS)
    with (
        KafkaBroker(folder / "kafka") as broker,
        Mosquitto(folder) as mosquitto,
        SimulatorProcess(folder, hosts) as simulator,
        Disk(folder / "disk") as disk,
    ):
        plant = Plant(
            folder / "plant",
            [
                {
                    "asset": f"hall{n % 4}/m{n}",
                    "host": host,
                    "ethernet_ip_port": simulator.ethernet_ip_port,
                    "groups": {"realtime": 0.5},
                }
                for n, host in enumerate(hosts)
            ],
            {
                "mqtt": {"host": "127.0.0.1", "port": mosquitto.port},
                "kafka": {"bootstrap_servers": broker.bootstrap_servers},
                "archive": {"roll_seconds": 1.0},
            },
        )
        server = MqttAddress(host="127.0.0.1", port=mosquitto.port)
        listener = LatencyListener(server, group="pm500", site="plant")
        listener.start()
        found = Outage()
        try:
            run = plant.start("run")
            until(lambda: archived(plant.archive), "first rows", 60)
            for how, cut, mend in (
                ("killed", broker.kill, broker.start),
                ("frozen", broker.pause, broker.resume),
                ("stopped", broker.stop, broker.start),
            ):
                away = _away(plant, listener, disk, seconds, how, cut, mend)
                found.aways.append(away)
                said(str(away))
            assert run.stop() == 0, run.text()[-3000:]
            # What acquire wrote last may have ended its way at a stopped forward.
            rest = [plant.start("run", name) for name in READERS]
            found.logged = logged(plant.log_path)
            until(lambda: _position(plant) == frames_in(plant.log_path), "forward", 60)
            until(
                lambda: sum(archived(plant.archive).values()) >= found.logged.total(),
                "the archive",
                60,
            )
            until(
                lambda: set(running(plant.folder / "data" / "run")) == set(READERS),
                "both run",
            )
            assert [flow.stop() for flow in rest] == [0, 0]
            found.archived = archived(plant.archive)
            found.offsets = _offsets(broker)
        finally:
            listener.stop()
            plant.close()
    return found


def _away(
    plant: Plant,
    listener: LatencyListener,
    disk: Disk,
    seconds: float,
    how: str,
    cut: Callable[[], None],
    mend: Callable[[], None],
) -> Away:
    def window(length: float) -> tuple[list[float], int]:
        first = len(listener.latencies_ms)
        time.sleep(length)  # under load, for as long as was asked
        took = list(listener.latencies_ms[first:])
        came = listener.arrived_ms[first : first + len(took)]
        free = [
            ms
            for ms, at in zip(took, came, strict=True)
            if not disk.stood_still(at - ms, at)
        ]
        return free, len(took)

    before, _ = window(min(seconds, 10.0))
    start = frames_in(plant.log_path)
    cut()
    meanwhile, messages = window(seconds)
    backlog = frames_in(plant.log_path) - start
    mend()
    mended, owed = time.monotonic(), frames_in(plant.log_path)
    until(lambda: _position(plant) >= owed, "the backlog is moved on", 90, 0.1)
    return Away(
        how=how,
        before_ms=_percentiles(before),
        meanwhile_ms=_percentiles(meanwhile),
        messages=messages,
        held_up=messages - len(meanwhile),
        backlog=backlog,
        moved_in_seconds=round(time.monotonic() - mended, 1),
    )


def _percentiles(values: list[float]) -> tuple[float, float]:
    return tuple(round(percentile(values, p) or 0.0, 1) for p in (50, 99))  # type: ignore[return-value]  # two of them


def _position(plant: Plant) -> int:
    with EmbeddedLog(plant.log_path, create=False) as log:
        return log.position("forward", FRAMES, 0) or 0


def _offsets(broker: KafkaBroker) -> dict[str, list[int]]:
    """The edge's offsets in Kafka by asset, in Kafka's order, as anyone reads them."""
    consumer = Consumer(
        {
            "bootstrap.servers": broker.bootstrap_servers,
            "group.id": "anyone",
            "enable.auto.commit": False,
        }
    )
    found: dict[str, list[int]] = defaultdict(list)
    try:
        partitions = consumer.list_topics(FRAMES, timeout=10).topics[FRAMES].partitions
        for number in partitions:
            place = TopicPartition(FRAMES, number, 0)
            _, end = consumer.get_watermark_offsets(place, timeout=10)
            consumer.assign([place])
            read = 0
            while read < end:
                for message in consumer.consume(1000, 1.0):
                    assert message.error() is None, message.error()
                    headers: Any = message.headers()
                    ((_, value),) = headers
                    offset = int(value.rpartition(b"/")[2])
                    found[(message.key() or b"").decode()].append(offset)
                    read = (message.offset() or 0) + 1
    finally:
        consumer.close()
    return found
