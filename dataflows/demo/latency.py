"""How long a frame takes from its receipt to a subscriber of MQTT, by a subscriber."""

from __future__ import annotations

import time
from array import array
from collections.abc import Sequence
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from dataflows.demo.servers import MqttAddress
from sinks.sparkplug.payload import PayloadError, parse
from sinks.sparkplug.topic import NAMESPACE, Topic

__all__ = ["LatencyListener", "percentile"]


def percentile(values: Sequence[float], percent: float) -> float | None:
    """The smallest value that ``percent`` of all do not exceed; None for no values.

    >>> percentile([5.0, 1.0, 3.0, 2.0], 50)
    2.0
    """
    if not values:
        return None
    rank = -(-len(values) * percent // 100)
    return sorted(values)[max(0, int(rank) - 1)]


class LatencyListener:
    """Subscribes to the site's data and holds each message's clock against ours.

    A metric's time is when its frame was received, in whole milliseconds: so the
    latencies are exact to 1 ms, and too long rather than too short; all of them are in
    ``latencies_ms``, in the order of their coming, and when each came in ``arrived_ms``.
    """

    def __init__(self, server: MqttAddress, *, group: str, site: str) -> None:
        self._topic = f"{NAMESPACE}/{group}/DDATA/#"
        self._node_prefix = f"{site}."
        self.latencies_ms = array("d")
        self.arrived_ms = array("d")
        self.last_ms: dict[str, float] = {}
        client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv311)
        client.suppress_exceptions = True
        client.on_connect = self._connected
        client.on_message = self._message
        client.connect_async(server.host, server.port)
        self._client = client

    def start(self) -> None:
        """Connect, again and again where need be; this returns at once."""
        self._client.loop_start()

    def stop(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()

    def percentile_ms(self, percent: float, newest: int | None = None) -> float | None:
        """Of all messages so far, or of the newest; None before the first."""
        value = percentile(self.latencies_ms[-newest if newest else 0 :], percent)
        return None if value is None else round(value, 1)

    def _connected(self, client: mqtt.Client, *_: Any) -> None:
        client.subscribe(self._topic)

    def _message(self, _: Any, __: Any, message: mqtt.MQTTMessage) -> None:
        now_ms = time.time_ns() / 1e6
        try:
            topic = Topic.parse(message.topic)
            metrics = parse(bytes(message.payload)).metrics
        except (ValueError, PayloadError):
            return
        if not topic.node.startswith(self._node_prefix) or not metrics:
            return
        if metrics[0].is_historical or not metrics[0].HasField("timestamp"):
            return
        took_ms = now_ms - metrics[0].timestamp
        self.arrived_ms.append(now_ms)
        self.latencies_ms.append(took_ms)
        self.last_ms[f"{topic.node.replace('.', '/', 1)}/{topic.device}"] = took_ms
