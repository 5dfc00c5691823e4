"""Real MQTT servers for tests, each on a free port of loopback."""

from __future__ import annotations

import socket
import subprocess
import threading
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.kit import until
from tests.mosquitto import MOSQUITTO, free_port
from tests.sinks.sparkplug.judge import Judge

needs_mosquitto = pytest.mark.skipif(
    MOSQUITTO is None, reason="the MQTT server mosquitto is not installed"
)


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Mosquitto:
    """A server that can be killed and started again on its port."""

    def __init__(self, folder: Path, *extra: str) -> None:
        self.port = free_port()
        self.log_path = folder / "mosquitto.log"
        self._config = folder / "mosquitto.conf"
        self._extra = extra
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        lines = [
            f"listener {self.port} 127.0.0.1",
            "persistence false",
            "set_tcp_nodelay true",
            "max_queued_messages 0",
            "log_dest stderr",
            "log_type all",
            *(self._extra or ("allow_anonymous true",)),
        ]
        self._config.write_text("\n".join(lines) + "\n")
        assert MOSQUITTO
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [MOSQUITTO, "-c", str(self._config)],
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )
        until(lambda: accepts(self.port), "mosquitto answers", 10, pause=0.01)

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def log(self) -> str:
        return self.log_path.read_text("utf-8", "replace")

    def __enter__(self) -> Mosquitto:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


class Host:
    """A subscriber to everything, with a judge; it comes back by itself."""

    def __init__(self, port: int, qos: int = 1) -> None:
        self.judge = Judge()
        self.errors: list[BaseException] = []
        self._ready = threading.Event()
        client = mqtt.Client(CallbackAPIVersion.VERSION2)
        client.reconnect_delay_set(1, 1)
        client.on_connect = lambda c, *_: c.subscribe("spBv1.0/#", qos)
        client.on_subscribe = lambda *_: self._ready.set()
        client.on_disconnect = lambda *_: self._ready.clear()
        client.on_message = self._hear
        client.connect_async("127.0.0.1", port)
        client.loop_start()
        self._client = client

    def ready(self) -> Host:
        assert self._ready.wait(30)
        return self

    def command(self, topic: str, payload: bytes) -> None:
        self._client.publish(topic, payload, 1).wait_for_publish(5)

    def _hear(self, _: Any, __: Any, message: mqtt.MQTTMessage) -> None:
        try:
            data = bytes(message.payload)
            self.judge.hear(message.topic, data, message.qos, message.retain)
        except Exception as error:  # noqa: BLE001 - told to the test
            self.errors.append(error)

    def __enter__(self) -> Host:
        return self.ready()

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()
