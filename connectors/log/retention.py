"""Keeps the embedded log within its age and its size, and says what it cost.

By age, oldest first, but never what a reader still needs. By size, once the pages in use
pass the bound: first what nobody needs, of whatever age, then what readers need, and
that is an event. Schemas are never taken. Records go in small chunks with pauses, so
that an append never waits long.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace

import structlog

from connectors.log.contract import EVENTS, SCHEMAS, LogError
from connectors.log.embedded import EmbeddedLog
from connectors.log.loss import loss_event
from transforms.codec.records import Event
from transforms.model.metrics import NO_METRICS, Metrics

__all__ = ["RetentionThread", "Taken", "event_of", "retain"]

CHUNK_RECORDS = 1000
# The lock is free for three quarters of the time.
_PAUSE_FACTOR = 3
# What readers need is cut to this part of the bound, so that a reader that is gone
# gives an event now and then rather than one with every record.
_CUT_TO = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A run of records that is gone; ``readers`` are those that still needed it.

    Both offsets are included; the times are those of the appends (UTC microseconds).
    """

    topic: str
    first_offset: int
    last_offset: int
    first_us: int
    last_us: int
    readers: tuple[str, ...]

    @property
    def records(self) -> int:
        """How many: offsets are dense."""
        return self.last_offset - self.first_offset + 1


def retain(
    log: EmbeddedLog,
    *,
    now_us: int,
    max_age_us: int,
    max_bytes: int,
    readers: Collection[str] | None = None,
    pause: Callable[[float], object] = time.sleep,
) -> tuple[Taken, ...]:
    """Take what is too old or too much; what went, joined by topic and readers.

    ``readers`` are those that count, all where None: what one needed that the site has
    no more is nobody's. ``pause`` is given the seconds to leave the log to others between two chunks, and
    ends the work by an answer that is true. LogFull, LogError where nothing could be
    taken; where something was, it is told first and the trouble comes up next time.
    """
    runs: list[Taken] = []
    try:
        for taken in _chunks(log, now_us - max_age_us, max_bytes, readers):
            started = time.perf_counter()
            log.take(taken.topic, taken.last_offset + 1)
            _join(runs, taken)
            if pause(_PAUSE_FACTOR * (time.perf_counter() - started)):
                break
    except LogError:
        if not runs:
            raise
    return tuple(runs)


def event_of(log_id: str, taken: Taken) -> Event:
    """The event of records that were taken although readers needed them."""
    return loss_event(
        log_id,
        taken.topic,
        partition=0,
        first_offset=taken.first_offset,
        last_offset=taken.last_offset,
        time_us=taken.first_us,
        until_us=taken.last_us,
        readers=taken.readers,
    )


class RetentionThread(threading.Thread):
    """Runs ``retain`` every ``period_seconds`` on a handle of its own, until stopped.

    What readers lost is an event in the log, an error in the structured log and a
    count. Trouble of the log itself is said once and tried again.
    """

    def __init__(
        self,
        open_log: Callable[[], EmbeddedLog],
        *,
        max_age_us: int,
        max_bytes: int,
        readers: Collection[str] | None = None,
        metrics: Metrics = NO_METRICS,
        period_seconds: float = 10.0,
    ) -> None:
        super().__init__(name="log-retention", daemon=True)
        self._open_log = open_log
        self._max_age_us = max_age_us
        self._max_bytes = max_bytes
        self._readers = readers
        self._metrics = metrics
        self._period_seconds = period_seconds
        self._stop_asked = threading.Event()
        self._untold: list[Event] = []
        self._trouble = ""

    def run(self) -> None:
        """Work until ``stop``."""
        log: EmbeddedLog | None = None
        while not self._stop_asked.is_set():
            try:
                log = log or self._open_log()
                self._once(log)
                self._trouble = ""
            except LogError as error:
                if not self._trouble:
                    structlog.get_logger().error("log_not_retained", reason=str(error))
                self._trouble = str(error)
            self._stop_asked.wait(self._period_seconds)
        if log is not None:
            log.close()

    def stop(self) -> None:
        """Ask it to end, and wait until it has: at most one chunk's time."""
        self._stop_asked.set()
        self.join()

    def _once(self, log: EmbeddedLog) -> None:
        runs = retain(
            log,
            now_us=time.time_ns() // 1000,
            max_age_us=self._max_age_us,
            max_bytes=self._max_bytes,
            readers=self._readers,
            pause=self._stop_asked.wait,
        )
        for taken in runs:
            if taken.readers:
                event = event_of(log.log_id, taken)
                structlog.get_logger().error(event.kind, **event.data)
                self._untold.append(event)
        if self._untold:
            log.append(EVENTS, [(e.asset, e.encode()) for e in self._untold])
            for event in self._untold:
                self._metrics.count("pm500_events_total", kind=event.kind)
            self._untold.clear()


def _join(runs: list[Taken], taken: Taken) -> None:
    """Add a chunk to the run that it continues."""
    for index, run in enumerate(runs):
        if (
            run.topic == taken.topic
            and run.readers == taken.readers
            and run.last_offset + 1 == taken.first_offset
        ):
            runs[index] = replace(
                run, last_offset=taken.last_offset, last_us=taken.last_us
            )
            return
    runs.append(taken)


def _chunks(
    log: EmbeddedLog, before_us: int, max_bytes: int, readers: Collection[str] | None
) -> Iterator[Taken]:
    """What to take next, seen after the last chunk was taken."""
    topics = [topic for topic in log.topics() if topic != SCHEMAS]
    for topic in topics:
        while taken := _oldest(log, topic, readers, spare=True, before_us=before_us):
            yield taken
    while log.used_bytes() > max_bytes:
        if (taken := _oldest_of_all(log, topics, readers, spare=True)) is None:
            break
        yield taken
    if log.used_bytes() > max_bytes:
        while log.used_bytes() > _CUT_TO * max_bytes:
            if (taken := _oldest_of_all(log, topics, readers, spare=False)) is None:
                break
            yield taken


def _oldest_of_all(
    log: EmbeddedLog,
    topics: list[str],
    readers: Collection[str] | None,
    *,
    spare: bool,
) -> Taken | None:
    chunks = (_oldest(log, topic, readers, spare=spare) for topic in topics)
    return min(filter(None, chunks), key=lambda taken: taken.first_us, default=None)


def _oldest(
    log: EmbeddedLog,
    topic: str,
    counting: Collection[str] | None,
    *,
    spare: bool,
    before_us: int | None = None,
) -> Taken | None:
    """The next chunk of a topic, needed by the same readers all along; None for none.

    With ``spare`` what a reader needs may not go; with ``before_us`` what is younger.
    """
    times = log.times(topic, CHUNK_RECORDS)
    if not times:
        return None
    first = times[0][0]
    readers = {
        name: at
        for name, at in log.readers(topic).items()
        if counting is None or name in counting
    }
    needing = tuple(sorted(name for name, at in readers.items() if at <= first))
    if needing and spare:
        return None
    end = min((at for at in readers.values() if at > first), default=None)
    if end is not None:
        times = [(n, us) for n, us in times if n < end]
    if before_us is not None:
        # A clock set back leaves later times before earlier ones: only a prefix goes.
        old = next(
            (i for i, (_, us) in enumerate(times) if us >= before_us), len(times)
        )
        times = times[:old]
    if not times:
        return None
    return Taken(
        topic=topic,
        first_offset=times[0][0],
        last_offset=times[-1][0],
        first_us=times[0][1],
        last_us=times[-1][1],
        readers=needing,
    )
