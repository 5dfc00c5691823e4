"""One edge node: frames in, Sparkplug messages out, and an account of what is owed.

Two threads come here, the flow's and the MQTT client's, so one lock guards it all: a
``seq`` is drawn and its message handed over under the lock. Live frames go out at
once; a frame that cannot is owed, and goes out as historical data at a limited rate
as soon as its device is born.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence

import structlog

from sinks.sparkplug import session as sparkplug
from sinks.sparkplug.account import Account, Mark
from sinks.sparkplug.contract import DeviceSetup, Frames, Link, LogRecord, Part
from sinks.sparkplug.device import Device, Refill
from sinks.sparkplug.node_metrics import NodeMetrics, NodeValues
from sinks.sparkplug.payload import REBIRTH, PayloadError, bare, death, parse
from sinks.sparkplug.session import Message, Session
from sinks.sparkplug.topic import MessageType, Topic
from transforms.codec.frame import FrameRecord, FrameSchema
from transforms.codec.framing import CodecError
from transforms.liveness import UNKNOWN, Change, Liveness, silent, watch
from transforms.model.metrics import Metrics
from transforms.model.quality import Status

__all__ = ["EdgeNode"]

FRESH_US = 5_000_000  # an older frame is history
_CHUNK = 1000
_NODE_DATA_US = 10_000_000
_SECOND_US = 1_000_000
_UNANSWERED_US = 5_000_000
_ANSWERED = (Status.OK, Status.PARTIAL)
_DEVICE_TYPES: tuple[MessageType, ...] = ("DBIRTH", "DDATA", "DDEATH")
_NODE_TYPES: tuple[MessageType, ...] = ("NBIRTH", "NDATA", "NDEATH")


class EdgeNode:
    """The publisher of one ``<site>.<area>``; ``start`` is what it owes at first."""

    def __init__(
        self,
        *,
        group: str,
        node: str,
        devices: Mapping[str, DeviceSetup],
        scan_rate_ms: int,
        include_datatype: bool,
        backlog_messages_per_second: float,
        frames: Frames,
        start: Mark,
        clock_us: Callable[[], int],
        metrics: Metrics,
    ) -> None:
        self.name = node
        self._group = group
        self._setups = devices
        self._frames = frames
        self._clock_us = clock_us
        self._metrics = metrics
        self._rate = backlog_messages_per_second
        self._lock = threading.RLock()
        self._log = structlog.get_logger().bind(node=node)
        self._own = NodeMetrics(
            scan_rate_ms=scan_rate_ms, include_datatype=include_datatype
        )
        self._devices: dict[str, Device] = {}
        alias = self._own.next_alias
        for name in sorted(devices):
            self._devices[name] = Device(
                devices[name].groups,
                first_alias=alias,
                include_datatype=include_datatype,
            )
            alias = self._devices[name].next_alias
        self._topics: dict[tuple[MessageType, str | None], str] = {
            (kind, device): str(Topic(group=group, type=kind, node=node, device=device))
            for device in devices
            for kind in _DEVICE_TYPES
        } | {
            (kind, None): str(Topic(group=group, type=kind, node=node))
            for kind in _NODE_TYPES
        }
        self._session = Session()
        self._liveness: dict[str, Liveness] = dict.fromkeys(devices, UNKNOWN)
        self._account = Account(start, devices)
        self._ahead: deque[LogRecord] = deque()  # of the backlog, read and not sent
        self._ahead_range = (0, 0)
        self._catching_up = False
        self._tokens = 0.0
        self._bd_seq = 0
        self._poll_errors = 0
        self._link: Link | None = None
        self._started_us = self._ticked_us = self._second_us = clock_us()
        self._node_data_us = self._started_us

    def attach(self, link: Link) -> None:
        """Give it the connection, before anything else."""
        self._link = link

    # What the flow's thread calls.

    def take(self, part: Part) -> None:
        """Publish live frames, or owe them."""
        with self._lock:
            now_us = self._clock_us()
            # First, so that all of it is owed again if the connection breaks in it.
            self._account.looked(part.stop)
            for record in part.records:
                self._take_one(record, now_us)

    def tick(self) -> None:
        """Whatever time asks for; call it about ten times a second."""
        with self._lock:
            now_us = self._clock_us()
            self._catch_up(now_us, now_us - self._ticked_us)
            self._ticked_us = now_us
            # A clock set back must not stop it.
            if abs(now_us - self._second_us) >= _SECOND_US:
                self._second_us = now_us
                self._every_second(now_us)
            if abs(now_us - self._node_data_us) >= _NODE_DATA_US:
                self._node_data_us = now_us
                self._session, messages = sparkplug.node_data(self._session)
                self._send(messages, now_us)

    def mark(self) -> Mark:
        """What is surely delivered: a process that goes on from here makes no hole."""
        with self._lock:
            online = self._session.online
            return self._account.proved_mark if online else self._account.now()

    def stop(self) -> bool:
        """Say goodbye: DDEATHs and NDEATH. Whether there was a session to end."""
        with self._lock:
            was_online = self._session.online
            self._session, messages = sparkplug.stop(self._session)
            self._send(messages, self._clock_us())
            return was_online

    def stopped(self, *, unacknowledged: bool) -> Mark:
        """The account after ``stop``, and whether the server acknowledged that."""
        with self._lock:
            if unacknowledged:
                self._account.broke()
            return self._account.now()

    # What the MQTT client's thread calls.

    @property
    def commands(self) -> tuple[str, str]:
        """What to subscribe to: commands to the node, and to any of its devices."""
        node = str(Topic(group=self._group, type="NCMD", node=self.name))
        device = Topic(group=self._group, type="DCMD", node=self.name, device="#")
        return node, str(device)

    def will(self, bd_seq: int) -> tuple[str, bytes]:
        """Topic and payload of the will for the attempt with this ``bdSeq``."""
        with self._lock:
            self._bd_seq = bd_seq
            return self._topics["NDEATH", None], death(bd_seq, self._clock_us() // 1000)

    def subscribed(self) -> None:
        """The server has answered the subscription to commands: say the births."""
        with self._lock:
            if self._session.online:
                return
            self._account.connected()
            self._session, messages = sparkplug.subscribed(self._session)
            if self._send(messages, self._clock_us()):
                backlog = self._account.records
                self._log.info(
                    "mqtt_online", bd_seq=self._bd_seq, backlog_records=backlog
                )

    def disconnected(self) -> None:
        """The connection is gone, and with it whatever was not proved to be there."""
        with self._lock:
            if self._session.online:
                self._session, _ = sparkplug.closed(self._session)
                self._account.broke()
                self._log.warning("mqtt_lost", bd_seq=self._bd_seq)

    def proved(self, probe: int) -> None:
        """The server answered a probe: it has everything handed over before it."""
        with self._lock:
            self._account.proved(probe)

    def command(self, text: str, payload: bytes) -> None:
        """A host's command: a rebirth is honored, everything else is refused."""
        try:
            topic, metrics = Topic.parse(text), parse(payload).metrics
        except (ValueError, PayloadError) as error:
            self._log.warning("command_unreadable", topic=text, error=str(error))
            return
        for metric in metrics:
            if topic.type != "NCMD" or metric.name != REBIRTH:
                self._log.warning("command_refused", topic=text, metric=metric.name)
            elif metric.boolean_value:
                with self._lock:
                    self._session, messages = sparkplug.rebirth(self._session)
                    self._send(messages, self._clock_us())
                self._log.info("rebirth", messages=len(messages))

    # Under the lock.

    def _take_one(self, kept: LogRecord, now_us: int) -> None:
        device = self._devices.get(kept.device)
        frame = self._decode(kept) if device else None
        if device is None or frame is None:
            return
        schema, record = frame
        answered = record.status in _ANSWERED
        if now_us - record.received_us > FRESH_US:
            if answered:
                self._account.owe(kept.device, kept.offset)
            return
        if answered:
            device.take(schema, record)
        else:
            self._poll_errors += 1
        told = False
        if schema.group == self._setups[kept.device].watched:
            state, change = watch(
                self._liveness[kept.device], record.slot_us, record.status
            )
            self._liveness[kept.device] = state
            told = bool(change) and self._change(kept.device, change, now_us)
        if answered:
            # A DBIRTH that went out just now has the frame's readings already.
            if told or self._send_live(kept.device, device, schema, record, now_us):
                self._account.sent(kept.device, kept.offset)
                late_seconds = (self._clock_us() - record.received_us) / 1e6
                self._metrics.observe("pm500_mqtt_publish_seconds", late_seconds)
            else:
                self._account.owe(kept.device, kept.offset)

    def _send_live(
        self,
        name: str,
        device: Device,
        schema: FrameSchema,
        record: FrameRecord,
        now_us: int,
    ) -> bool:
        """Whether it was handed over, or holds nothing that the birth names."""
        if name not in self._session.born:
            return False
        refill = device.data(schema, record)
        return refill is None or self._send_data(name, refill, now_us)

    def _decode(self, kept: LogRecord) -> tuple[FrameSchema, FrameRecord] | None:
        try:
            schema = self._frames.schema(kept.value)
            return schema, schema.decode(kept.value)
        except CodecError as error:
            self._frames.reject(kept, str(error))
            return None

    def _change(self, device: str, change: Change | None, now_us: int) -> bool:
        """DBIRTH or DDEATH; whether one was sent."""
        step = sparkplug.back if change == "back" else sparkplug.lost
        self._session, messages = step(self._session, device)
        self._log.info(f"device_{change}", device=device)
        return bool(messages) and self._send(messages, now_us)

    def _every_second(self, now_us: int) -> None:
        for device, setup in self._setups.items():
            state, change = silent(
                self._liveness[device], setup.watched_period_us, now_us
            )
            self._liveness[device] = state
            if change:
                self._change(device, change, now_us)
        if self._session.online and self._link:
            number = self._link.probe()
            if number is not None:
                self._account.probed(number, now_us)
        backlog = self._account.records
        self._metrics.gauge("pm500_mqtt_backlog_records", backlog, node=self.name)

    def _catch_up(self, now_us: int, elapsed_us: int) -> None:
        """Send as much of the backlog as the rate allows, from one reading at most."""
        # A quarter of a second's worth is the most that goes at once.
        earned = self._rate * max(0, elapsed_us) / 1e6
        self._tokens = min(self._tokens + earned, max(1.0, self._rate / 4))
        start = self._account.next_owed
        waits_since_us = self._account.unproved_since_us() or now_us
        if not self._session.online or now_us - waits_since_us > _UNANSWERED_US:
            return
        if (start is not None) != self._catching_up:
            self._catching_up = start is not None
            self._log.info("backlog_begins" if self._catching_up else "backlog_done")
        if start is None:
            return
        self._read_ahead(start)
        waiting: list[tuple[str, int]] = []
        stop = start
        while self._ahead and self._tokens >= 1:
            kept = self._ahead[0]
            if self._account.holds(kept.device, kept.offset):
                sent = self._send_history(kept, now_us)
                if sent is None:
                    waiting.append((kept.device, kept.offset))
                elif not sent:
                    return  # all that was not proved is owed again
            self._ahead.popleft()
            stop = kept.offset + 1
            self._ahead_range = (stop, self._ahead_range[1])
        if not self._ahead:
            stop = self._ahead_range[1]
        self._account.settle(stop, waiting)

    def _read_ahead(self, start: int) -> None:
        first, stop = self._ahead_range
        if not first <= start < stop:
            part = self._frames.read(start, self._account.live, _CHUNK)
            self._ahead = deque(part.records)
            stop = part.stop
        while self._ahead and self._ahead[0].offset < start:
            self._ahead.popleft()
        # What was taken from the front is not there any more, should it be owed again.
        self._ahead_range = (start, stop)

    def _send_history(self, kept: LogRecord, now_us: int) -> bool | None:
        """Send one owed frame; None where its device must be born first."""
        device = self._devices.get(kept.device)
        frame = self._decode(kept) if device else None
        if device is None or frame is None or frame[1].status not in _ANSWERED:
            return True
        if kept.device not in self._session.born:
            return None
        refill = device.history(*frame)
        if refill is None:
            return True
        self._tokens -= 1
        return self._send_data(kept.device, refill, now_us)

    def _send(self, messages: Sequence[Message], now_us: int) -> bool:
        """Hand over births, deaths and NDATA in order; whether all went."""
        now_ms = now_us // 1000
        for message in messages:
            match message:
                case ("NBIRTH", _, _):
                    values = self._node_values(now_us)
                    payload = self._own.birth(self._bd_seq, now_ms, values)
                case ("NDATA", _, int(seq)):
                    payload = self._own.data(seq, now_ms, self._node_values(now_us))
                case ("DBIRTH", str(device), int(seq)):
                    payload = self._devices[device].birth(seq, now_ms)
                    self._account.born(device)
                case (_, _, int(seq)):
                    payload = bare(seq, now_ms)
                case _:
                    payload = death(self._bd_seq, now_ms)
            if not self._hand_over(message, payload):
                return False
        return True

    def _send_data(self, device: str, refill: Refill, now_us: int) -> bool:
        self._session, messages = sparkplug.data(self._session, device)
        return all(
            self._hand_over(message, refill.encode(message.seq or 0, now_us // 1000))
            for message in messages
        )

    def _hand_over(self, message: Message, payload: bytes) -> bool:
        topic = self._topics[message.type, message.device]
        qos = 1 if message.type == "NDEATH" else 0
        if self._link is None or not self._link.publish(topic, payload, qos):
            # Its number is lost, and so is the session: the next starts with NBIRTH.
            self.disconnected()
            return False
        self._metrics.count("pm500_mqtt_messages_total", type=message.type)
        return True

    def _node_values(self, now_us: int) -> NodeValues:
        uptime_seconds = max(0, now_us - self._started_us) // 1_000_000
        return NodeValues(uptime_seconds, self._poll_errors, self._account.records)
