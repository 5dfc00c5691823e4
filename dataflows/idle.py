"""The flow of a replica that has no part of the work: alive, and doing nothing."""

from __future__ import annotations

from collections.abc import Callable

import bytewax.operators as op
import structlog
from bytewax.dataflow import Dataflow
from bytewax.outputs import DynamicSink, StatelessSinkPartition

from connectors.ticks import Ticks
from dataflows.runtime import FlowContext

__all__ = ["idle_flow"]


def _nothing() -> None:
    pass


def idle_flow(context: FlowContext, look: Callable[[], object] = _nothing) -> Dataflow:
    """A flow that only says that it lives, until a stop; ``look`` is called each time."""
    structlog.get_logger().info("nothing_to_do", replica=str(context.replica))
    dataflow = Dataflow(f"pm500_{context.name}_idle")
    ticks = op.input("ticks", dataflow, Ticks())
    op.output("nothing", ticks, _Alive(context, look))
    return dataflow


class _Alive(DynamicSink[None]):
    def __init__(self, context: FlowContext, look: Callable[[], object]) -> None:
        self._context = context
        self._look = look

    def build(
        self, step_id: str, worker_index: int, worker_count: int
    ) -> StatelessSinkPartition[None]:
        return _AlivePartition(self._context, self._look)


class _AlivePartition(StatelessSinkPartition[None]):
    def __init__(self, context: FlowContext, look: Callable[[], object]) -> None:
        self._context = context
        self._look = look

    def write_batch(self, items: list[None]) -> None:
        self._context.health.progress(self._context.name)
        self._look()
