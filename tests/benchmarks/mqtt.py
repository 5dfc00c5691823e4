"""Poll to MQTT: the subscriber's receipt minus the frame's ``received``.

acquire and publish as real processes, a real mosquitto, 50 simulated meters; the
subscriber is a foreign client on the same machine, so both read one clock. Once with
all meters well, once with one dead and one slow meter among them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from sinks.sparkplug.payload import parse
from tests.benchmarks.result import Result
from tests.kit import Plant, until
from tests.mosquitto import Mosquitto
from tests.simulated import SimulatorProcess, addresses

_METERS = 50


def run(fast: bool) -> Iterator[Result]:
    """Well, then with one dead and one slow meter."""
    window = 10.0 if fast else 60.0
    troubles: list[dict[str, object]] = [
        {"kind": "refuse", "meter": "m10"},
        {"kind": "delay", "meter": "m20", "delay_seconds": 0.4},
    ]
    yield _measure("poll to MQTT, 50 meters, p99", [], window, 100.0)
    yield _measure("the same with one dead and one slow", troubles, window, 250.0)


def _measure(
    what: str, faults: list[dict[str, object]], window: float, bar: float
) -> Result:
    hosts = addresses(_METERS)
    with (
        TemporaryDirectory() as folder,
        Mosquitto(Path(folder)) as broker,
        SimulatorProcess(Path(folder), hosts, faults=faults) as simulator,
    ):
        meters: list[dict[str, object]] = [
            {
                "asset": f"hall{index % 5}/meter{index}",
                "host": host,
                "ethernet_ip_port": simulator.ethernet_ip_port,
            }
            for index, host in enumerate(hosts)
        ]
        sections = {"mqtt": {"host": "127.0.0.1", "port": broker.port}}
        plant = Plant(Path(folder) / "plant", meters, sections)
        subscriber = _Subscriber(broker.port)
        try:
            plant.start("run", "acquire")
            plant.start("run", "publish")
            until(lambda: len(subscriber.delays_ms) > 3 * _METERS, "values on MQTT", 60)
            subscriber.delays_ms.clear()
            time.sleep(window)
            delays = np.array(subscriber.delays_ms)
        finally:
            plant.close()
            subscriber.close()
    p50, p99 = np.percentile(delays, [50, 99])
    return Result(
        what=what,
        against="subscriber's receipt - received, mosquitto",
        value=float(p99),
        unit="ms",
        bar=bar,
        at_most=True,
        detail=f"p50 {p50:.1f} ms, maximum {delays.max():.1f} ms, {len(delays)} messages",
    )


class _Subscriber:
    def __init__(self, port: int) -> None:
        self.delays_ms: list[float] = []
        self._ready = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = self._message
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.connect("127.0.0.1", port)
        self._client.subscribe("spBv1.0/pm500/DDATA/#")
        self._client.loop_start()
        assert self._ready.wait(30)

    def _message(self, _: object, __: object, message: paho.MQTTMessage) -> None:
        now = time.time() * 1000
        payload = parse(bytes(message.payload))
        self.delays_ms.append(now - payload.metrics[0].timestamp)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
