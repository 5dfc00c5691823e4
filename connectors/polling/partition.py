"""All meters of one partition in one asyncio loop, in a thread of their own."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import structlog

from connectors.polling.meter import MeterPoller
from connectors.polling.plan import MeterPlan, PollSettings
from transforms.codec.records import Event
from transforms.model.metrics import NO_METRICS, Metrics
from transforms.model.outcome import Outcome

__all__ = ["PollingThread"]

_log = structlog.get_logger()


class PollingThread:
    """Polls until ``stop``; what it found waits in a bounded queue.

    A full queue drops its oldest and counts it, and never holds up a meter. A program
    error in the loop is kept in ``error``: a dead poller must not look like silence.
    """

    def __init__(
        self,
        plans: Sequence[MeterPlan],
        settings: PollSettings,
        *,
        not_before_us: int = 0,
        queue_items: int = 200_000,
        metrics: Metrics = NO_METRICS,
    ) -> None:
        self._plans = plans
        self._settings = settings
        self._metrics = metrics
        self._not_before_us = not_before_us
        self._most = queue_items
        self._queue: deque[Outcome | Event] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="polling", daemon=True)
        self._ready = threading.Event()

    def start(self) -> None:
        """Start polling; returns when the loop runs."""
        self._thread.start()
        self._ready.wait()

    def stop(self) -> None:
        """Cancel all polls and wait until their links are closed."""
        if self._loop is not None and self._main is not None:
            with suppress(RuntimeError):  # a loop that has ended by itself
                self._loop.call_soon_threadsafe(self._main.cancel)
            self._thread.join(10)

    def take(self, most: int) -> list[Outcome | Event]:
        """Up to ``most`` waiting items, oldest first."""
        taken: list[Outcome | Event] = []
        with suppress(IndexError):  # the loop may drop the last one meanwhile
            while len(taken) < most:
                taken.append(self._queue.popleft())
        return taken

    def __len__(self) -> int:
        return len(self._queue)

    def _emit(self, item: Outcome | Event) -> None:
        if len(self._queue) >= self._most:
            self._queue.popleft()
            self._metrics.count("pm500_queue_dropped_total")
        self._queue.append(item)

    def _run(self) -> None:
        try:
            asyncio.run(self._poll())
        except asyncio.CancelledError:
            pass
        except BaseException as error:  # noqa: BLE001 - the partition's edge
            self.error = error
            self._ready.set()

    async def _poll(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._main = asyncio.current_task()
        self._ready.set()
        # Names that do not resolve take a thread each and no time of the others.
        workers = ThreadPoolExecutor(len(self._plans), "resolve")
        self._loop.set_default_executor(workers)
        async with asyncio.TaskGroup() as group:
            for plan in self._plans:
                poller = MeterPoller(
                    plan,
                    self._settings,
                    self._emit,
                    self._metrics,
                    not_before_us=self._not_before_us,
                )
                group.create_task(poller.run(), name=plan.polled.asset)
