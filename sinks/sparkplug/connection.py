"""The MQTT side of an edge node: paho, made to keep Sparkplug's session rules.

MQTT 3.1.1 with a clean session and a will of QoS 1. Births go out when the server has
answered the subscription to commands, never before. The client id is made from group
and node: a second publisher of the same node throws this one out, and shows itself.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import paho.mqtt.client as mqtt
import structlog
from paho.mqtt.enums import CallbackAPIVersion

__all__ = ["Connection", "Listener"]

_KEEPALIVE_SECONDS = 10
_QUEUED_MESSAGES = 100


class Listener(Protocol):
    """Who uses the connection; all calls come from the client's own thread."""

    @property
    def commands(self) -> tuple[str, str]:
        """The two filters to subscribe to."""

    def will(self, bd_seq: int) -> tuple[str, bytes]:
        """Topic and payload of the will for this attempt."""

    def subscribed(self) -> None:
        """Both subscriptions were granted."""

    def disconnected(self) -> None:
        """The connection is gone. May come more than once."""

    def proved(self, probe: int) -> None:
        """The server has answered a probe."""

    def command(self, text: str, payload: bytes) -> None:
        """A message came."""


class Connection:
    """One client with a thread of its own, which connects again for ever.

    ``bd_seq`` is the last number used; ``count`` keeps the next one as soon as an
    attempt's socket is open. ``hold`` and ``clear`` say whether publishing goes on.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        client_id: str,
        username: str | None,
        password: str | None,
        bd_seq: int,
        listener: Listener,
        count: Callable[[int], None],
        hold: Callable[[str], None],
        clear: Callable[[], None],
    ) -> None:
        self._where = f"{host}:{port}"
        self._listener = listener
        self._bd_seq = bd_seq
        self._count = count
        self._hold = hold
        self._clear = clear
        self._subscription: int | None = None
        self._granted = False
        self._last: mqtt.MQTTMessageInfo | None = None
        self._log = structlog.get_logger().bind(client_id=client_id)
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=True,
            protocol=mqtt.MQTTv311,
        )
        client.suppress_exceptions = True
        client.max_queued_messages_set(_QUEUED_MESSAGES)
        # Many publishers must not come back at the same instant.
        client.reconnect_delay_set(
            min_delay=random.uniform(0.5, 1.0),  # type: ignore[arg-type]  # noqa: S311
            max_delay=random.uniform(15.0, 30.0),  # type: ignore[arg-type]  # noqa: S311
        )
        if username is not None:
            client.username_pw_set(username, password)
        client.on_pre_connect = self._guarded(self._before_connect)
        client.on_socket_open = self._guarded(self._socket_open)
        client.on_connect = self._guarded(self._connected)
        client.on_connect_fail = self._guarded(self._not_connected)
        client.on_subscribe = self._guarded(self._subscribed)
        client.on_unsubscribe = self._guarded(self._unsubscribed)
        client.on_message = self._guarded(self._message)
        client.on_disconnect = self._guarded(self._disconnected)
        client.connect_async(host, port, keepalive=_KEEPALIVE_SECONDS)
        self._client = client

    def start(self) -> None:
        """Begin to connect; this returns at once."""
        self._hold(f"{self._where}: not connected yet")
        self._client.loop_start()

    def publish(self, topic: str, payload: bytes, qos: int) -> bool:
        """Hand over a message; False where there is no connection."""
        info = self._client.publish(topic, payload, qos)
        if qos:
            self._last = info
        return info.rc == mqtt.MQTT_ERR_SUCCESS

    def probe(self) -> int | None:
        """Ask for a sign of life: its number, or None where there is no connection.

        It is an UNSUBSCRIBE of what was never subscribed: that changes nothing, and
        the server must answer it, after all that came before (MQTT 3.1.1, 3.10.4).
        """
        code, number = self._client.unsubscribe("pm500/probe")
        return number if code == mqtt.MQTT_ERR_SUCCESS else None

    def stop(self, *, wait_seconds: float) -> bool:
        """Disconnect, after the last QoS 1 message; whether the server has that one."""
        arrived = False
        if self._last is not None and self._last.rc == mqtt.MQTT_ERR_SUCCESS:
            self._last.wait_for_publish(wait_seconds)
            arrived = self._last.is_published()
        connected = self._client.is_connected()
        self._client.disconnect()
        if connected:  # else its thread may be in an attempt, and ends by itself
            self._client.loop_stop()
        return arrived

    def _guarded(self, callback: Callable[..., None]) -> Callable[..., None]:
        """An exception in a callback would kill the client's thread in silence."""

        def call(*arguments: Any) -> None:
            try:
                callback(*arguments)
            except Exception:  # noqa: BLE001 - the edge of the client's thread
                self._log.exception("mqtt_callback_failed", callback=callback.__name__)

        return call

    def _before_connect(self, client: mqtt.Client, _: Any) -> None:
        self._listener.disconnected()
        topic, payload = self._listener.will((self._bd_seq + 1) % 256)
        client.will_set(topic, payload, qos=1, retain=False)

    def _socket_open(self, _: Any, __: Any, sock: socket.socket) -> None:
        # Else a small message waits up to 40 ms for the one before it.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Only now is it an attempt: without a socket the number is used again.
        self._bd_seq = (self._bd_seq + 1) % 256
        self._count(self._bd_seq)

    def _connected(
        self, client: mqtt.Client, _: Any, __: Any, code: Any, ___: Any
    ) -> None:
        if code.is_failure:
            self._hold(f"{self._where}: refused: {code}")
            return
        filters = [(text, 1) for text in self._listener.commands]
        _, self._subscription = client.subscribe(filters)

    def _not_connected(self, _: Any, __: Any) -> None:
        self._hold(f"{self._where}: cannot be reached")

    def _subscribed(
        self, _: Any, __: Any, number: int, codes: Sequence[Any], ___: Any
    ) -> None:
        if number != self._subscription:
            return
        if any(code.is_failure for code in codes):
            self._hold(f"{self._where}: the subscription to commands is refused")
            return
        self._granted = True
        self._listener.subscribed()
        self._clear()

    def _unsubscribed(self, _: Any, __: Any, number: int, *___: Any) -> None:
        self._listener.proved(number)

    def _message(self, _: Any, __: Any, message: mqtt.MQTTMessage) -> None:
        self._listener.command(message.topic, bytes(message.payload))

    def _disconnected(self, _: Any, __: Any, ___: Any, code: Any, ____: Any) -> None:
        self._listener.disconnected()
        # A refusal is followed by this too, and has said its reason already.
        if self._granted and code.is_failure:
            self._hold(f"{self._where}: connection lost: {code}")
        self._granted = False
