"""The Bytewax side of moving a log on to Kafka: when to settle, what to do while it is away."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

import structlog
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from sinks.contract import Host

__all__ = ["KafkaSink", "Mover"]

B = TypeVar("B")
B_contra = TypeVar("B_contra", contravariant=True)


class Mover(Protocol[B_contra]):
    """Moves one topic, in order; ``connectors.log.kafka.mover`` has the one there is.

    ``waiting`` is asked several times a second while there is nothing to do but wait,
    and ends the wait by an answer that is false; then False is returned. An exception
    ends the flow.
    """

    @property
    def trouble(self) -> str | None:
        """Why nothing can be sent now; None while all is well."""

    def move(self, batch: B_contra, *, waiting: Callable[[], bool]) -> bool:
        """Hand the records over."""

    def settle(self, *, waiting: Callable[[], bool]) -> bool:
        """Wait until all is acknowledged, and keep the position."""

    def close(self) -> None:
        """Give up what is not acknowledged."""


class KafkaSink(FixedPartitionedSink[B, None]):
    """Moves ``(topic, batch)`` items on, each topic by its own mover.

    Every epoch ends when all of it is acknowledged. While the cluster is away the flow
    waits, so that memory stays bounded: the log that is read keeps the rest. A stop
    does not wait: what is not acknowledged is moved by the next run.
    """

    def __init__(
        self, movers: Mapping[str, Callable[[], Mover[B]]], *, host: Host
    ) -> None:
        self._movers = movers
        self._names = sorted(movers)
        self._host = host

    def list_parts(self) -> list[str]:
        """The topics."""
        return self._names

    def part_fn(self, item_key: str) -> int:
        """Each topic has its own."""
        return self._names.index(item_key)

    def build_part(
        self, step_id: str, for_part: str, resume_state: None
    ) -> StatefulSinkPartition[B, None]:
        """Open the mover in the worker that owns the topic."""
        return _Partition(self._movers[for_part](), for_part, self._host)


class _Partition(StatefulSinkPartition[B, None]):
    def __init__(self, mover: Mover[B], topic: str, host: Host) -> None:
        self._mover = mover
        self._host = host
        self._moved = False
        self._given_up = False
        self._log = structlog.get_logger().bind(topic=topic)

    def write_batch(self, values: list[B]) -> None:
        for batch in values:
            if not self._given_up:
                self._moved = True
                self._done(self._mover.move(batch, waiting=self._waiting))

    def snapshot(self) -> None:
        if self._moved and not self._given_up:
            self._moved = False
            self._done(self._mover.settle(waiting=self._waiting))

    def close(self) -> None:
        self._mover.close()

    def _done(self, done: bool) -> None:
        if done:
            self._host.clear()
        else:
            self._given_up = True
            self._log.warning("forward_stopped_while_held")

    def _waiting(self) -> bool:
        self._host.alive()
        if self._mover.trouble is not None:
            self._host.hold(self._mover.trouble)
        return not self._host.stopping()
