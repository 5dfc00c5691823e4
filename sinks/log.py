"""A Bytewax sink that appends to the log at once, and holds records while it cannot.

Polling never stops for the log: on a full disk the records wait in a bounded buffer,
the oldest go when it is full, and when there is room again they are appended in order,
followed by an event that says from when until when, how many were held and how many
were dropped.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from functools import partial
from itertools import islice

import structlog
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from connectors.log.contract import EVENTS, Log, LogError, LogFull
from transforms.codec.records import Event
from transforms.model.metrics import NO_METRICS, Metrics

__all__ = ["LogSink"]

Item = tuple[str, bytes]

_RETRY_SECONDS = 0.5
_CHUNK = 1000
# A long backlog is appended over several calls, so that no call keeps the worker long.
_CATCH_UP_SECONDS = 0.2


def _nothing(*_: object) -> None:
    pass


class LogSink(FixedPartitionedSink[Item, None]):
    """Appends records to a topic, in the order of their coming.

    The engine hands a sink only the second half of each pair of a keyed stream, so the
    stream's items are ``(key, (key, value))``. ``buffer_records`` bounds what is held while the log refuses. ``prepare`` is called
    once with each log opened, before its first append, and again until it succeeds.
    ``on_hold(reason)`` and ``on_clear()`` tell when holding begins and ends. At least
    once: an append whose answer is an error is made again. A log that is wrong, rather
    than full, at the start raises LogError.
    """

    def __init__(
        self,
        open_log: Callable[[], Log],
        topic: str,
        *,
        buffer_records: int,
        metrics: Metrics = NO_METRICS,
        prepare: Callable[[Log], object] = _nothing,
        on_hold: Callable[[str], None] = _nothing,
        on_clear: Callable[[], None] = _nothing,
    ) -> None:
        self._build: Callable[[], _Partition] = partial(
            _Partition,
            open_log,
            topic,
            buffer_records=buffer_records,
            metrics=metrics,
            prepare=prepare,
            on_hold=on_hold,
            on_clear=on_clear,
        )

    def list_parts(self) -> list[str]:
        """One partition, whatever the number of workers."""
        return ["log"]

    def build_part(
        self, step_id: str, for_part: str, resume_state: None
    ) -> StatefulSinkPartition[Item, None]:
        """Open the log in the worker that owns the partition."""
        return self._build()


class _Partition(StatefulSinkPartition[Item, None]):
    """Appends, or holds since ``_since_us``, until the event of it is in the log too."""

    def __init__(
        self,
        open_log: Callable[[], Log],
        topic: str,
        *,
        buffer_records: int,
        metrics: Metrics,
        prepare: Callable[[Log], object],
        on_hold: Callable[[str], None],
        on_clear: Callable[[], None],
    ) -> None:
        self._open_log = open_log
        self._topic = topic
        self._room = buffer_records
        self._metrics = metrics
        self._prepare = prepare
        self._on_hold = on_hold
        self._on_clear = on_clear
        self._log: Log | None = None
        self._held: deque[Item] = deque()
        self._since_us: int | None = None
        self._kind = self._reason = ""
        self._most = 0
        self._dropped = 0
        self._try_at = 0.0
        try:
            self._ready()
        except LogFull as error:
            self._refused(error)

    def write_batch(self, values: list[Item]) -> None:
        if self._since_us is None:
            try:
                self._append(values)
            except LogError as error:
                self._refused(error)
            else:
                return
        self._hold(values)
        if time.monotonic() >= self._try_at:
            self._catch_up()

    def snapshot(self) -> None:
        if self._since_us is not None and time.monotonic() >= self._try_at:
            self._catch_up()

    def close(self) -> None:
        if self._since_us is not None:
            self._catch_up(whole=True)
        if self._held:
            structlog.get_logger().error(
                "log_records_lost", topic=self._topic, records=len(self._held)
            )
        if self._log is not None:
            self._log.close()

    def _ready(self) -> Log:
        if self._log is None:
            log = self._open_log()
            try:
                self._prepare(log)
            except BaseException:
                log.close()
                raise
            self._log = log
        return self._log

    def _append(self, records: list[Item]) -> None:
        self._ready().append(self._topic, records)
        self._metrics.count("pm500_log_appended_total", len(records), topic=self._topic)

    def _refused(self, error: LogError) -> None:
        self._try_at = time.monotonic() + _RETRY_SECONDS
        if self._since_us is not None:
            return
        self._since_us = _now_us()
        self._reason = str(error)
        self._kind = "log_full" if isinstance(error, LogFull) else "log_refused"
        self._most = self._dropped = 0
        structlog.get_logger().error(
            "log_refuses", topic=self._topic, reason=self._reason, room=self._room
        )
        self._on_hold(self._reason)

    def _hold(self, records: list[Item]) -> None:
        self._held.extend(records)
        over = len(self._held) - self._room
        for _ in range(over):
            self._held.popleft()
        if over > 0:
            if not self._dropped:
                structlog.get_logger().error("log_buffer_full", topic=self._topic)
            self._dropped += over
            self._metrics.count("pm500_log_dropped_total", over, topic=self._topic)
        self._most = max(self._most, len(self._held))
        self._gauge()

    def _catch_up(self, *, whole: bool = False) -> None:
        """Append what is held, oldest first, then the event, as far as the log takes."""
        deadline = time.monotonic() + _CATCH_UP_SECONDS
        try:
            while self._held:
                chunk = list(islice(self._held, _CHUNK))
                self._append(chunk)
                for _ in chunk:
                    self._held.popleft()
                if not whole and time.monotonic() > deadline:
                    return
            self._tell()
        except LogError as error:
            self._refused(error)
        finally:
            self._gauge()

    def _gauge(self) -> None:
        held = len(self._held)
        self._metrics.gauge("pm500_log_held_records", held, topic=self._topic)

    def _tell(self) -> None:
        """The trouble is over: say so in the events, the log and the health."""
        assert self._since_us is not None
        event = Event(
            asset="",
            kind=self._kind,
            time=self._since_us,
            until=_now_us(),
            severity="error" if self._dropped else "warning",
            text=self._reason,
            data={
                "topic": self._topic,
                "held": str(self._most),
                "dropped": str(self._dropped),
            },
        )
        self._ready().append(EVENTS, [(event.asset, event.encode())])
        self._metrics.count("pm500_events_total", kind=event.kind)
        self._since_us = None
        structlog.get_logger().info("log_accepts", **event.data)
        self._on_clear()


def _now_us() -> int:
    return time.time_ns() // 1000
