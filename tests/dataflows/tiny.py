"""A tiny flow and a tiny supervisor for tests of what real flows stand on.

``python -m tests.dataflows.tiny run tiny`` is ``pm500 run`` with one more flow in its
table; ``... supervise`` supervises two of them. TINY_MODE says how the flow fares.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.testing import TestingSink

from connectors.stop import STOP, install_stop_signals
from dataflows.cli import app
from dataflows.logs import configure_logs
from dataflows.runtime import FLOWS, FlowContext, FlowModule, start_flow
from dataflows.supervise import Supervisor

FLOWS["tiny"] = FlowModule(
    module="tests.dataflows.tiny", port_offset=6, configured=lambda _: True
)


class _Ticks(StatefulSourcePartition[int, None]):
    def __init__(self, context: FlowContext, mode: str) -> None:
        self._context = context
        self._mode = mode
        context.health.hold("tiny", "warming up")

    def next_batch(self) -> Iterable[int]:
        if self._mode == "raise":
            raise ValueError("the tiny flow broke")
        if self._mode == "deaf":
            while True:
                time.sleep(1)
        if STOP.requested:
            raise StopIteration
        self._context.health.progress("ticks")
        self._context.metrics.count("pm500_events_total", kind="tick")
        if (self._context.site.data / "warm").exists():
            self._context.health.clear("tiny")
        return [1]

    def next_awake(self) -> datetime:
        return datetime.now(UTC) + timedelta(milliseconds=20)

    def snapshot(self) -> None:
        return None


class _TickSource(FixedPartitionedSource[int, None]):
    def __init__(self, context: FlowContext) -> None:
        self._context = context

    def list_parts(self) -> list[str]:
        return ["only"]

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> _Ticks:
        return _Ticks(self._context, os.environ.get("TINY_MODE", "tick"))


def flow() -> Dataflow:
    context = start_flow("tiny")
    dataflow = Dataflow("tiny")
    ticks = op.input("ticks", dataflow, _TickSource(context))
    op.output("out", ticks, TestingSink([]))
    return dataflow


def _supervise() -> int:
    install_stop_signals()
    configure_logs("run", "json")
    tiny = [sys.executable, "-m", "tests.dataflows.tiny", "run", "tiny"]
    supervisor = Supervisor({"tiny": tiny}, environment=os.environ)
    return supervisor.run(lambda: STOP.requested)


if __name__ == "__main__":
    if sys.argv[1:] == ["supervise"]:
        sys.exit(_supervise())
    app(prog_name="pm500")
