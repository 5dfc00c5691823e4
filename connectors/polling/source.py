"""The Bytewax source of polls: a thin cover over a polling thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition

from connectors.polling.partition import PollingThread
from connectors.polling.plan import MeterPlan, PollSettings
from connectors.stop import STOP
from transforms.codec.records import Event
from transforms.model.metrics import NO_METRICS, Metrics
from transforms.model.outcome import Outcome

__all__ = ["PollSource"]

# Short enough for a value to be on MQTT in well under 100 ms, long enough for an idle
# engine to cost next to nothing.
_IDLE = timedelta(milliseconds=20)
_BATCH = 2000


class _Partition(StatefulSourcePartition[Outcome | Event, None]):
    def __init__(
        self, thread: PollingThread, metrics: Metrics, alive: Callable[[], None]
    ) -> None:
        self._thread = thread
        self._metrics = metrics
        self._alive = alive
        self._stopped = False
        thread.start()

    def next_batch(self) -> Iterable[Outcome | Event]:
        if self._thread.error is not None:
            raise self._thread.error
        if STOP.requested and not self._stopped:
            self._thread.stop()
            self._stopped = True
        self._alive()
        items = self._thread.take(_BATCH)
        if not items and self._stopped:
            raise StopIteration
        self._metrics.gauge("pm500_queue_frames", len(self._thread))
        return items

    def next_awake(self) -> datetime | None:
        return None if len(self._thread) else datetime.now(UTC) + _IDLE

    def snapshot(self) -> None:
        # Nothing to resume: numbers come from the clock grid, slots lost are holes.
        return None

    def close(self) -> None:
        self._thread.stop()


class PollSource(FixedPartitionedSource[Outcome | Event, None]):
    """Polls all meters of a plan as one partition: one loop, one thread.

    ``alive`` is called at every look at the queue, whether frames came or not.
    """

    def __init__(
        self,
        plans: Sequence[MeterPlan],
        settings: PollSettings,
        *,
        alive: Callable[[], None],
        not_before_us: int = 0,
        metrics: Metrics = NO_METRICS,
    ) -> None:
        self._not_before_us = not_before_us
        self._alive = alive
        self._plans = tuple(plans)
        self._settings = settings
        self._metrics = metrics

    def list_parts(self) -> list[str]:
        """One partition: it is the unit that replicas split."""
        return ["meters"]

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> _Partition:
        """Start polling."""
        thread = PollingThread(
            self._plans,
            self._settings,
            not_before_us=self._not_before_us,
            metrics=self._metrics,
        )
        return _Partition(thread, self._metrics, self._alive)
