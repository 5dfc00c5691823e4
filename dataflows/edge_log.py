"""The one process that works on an edge's log for a flow, and those that stand by."""

from __future__ import annotations

import math

import structlog

from connectors.stop import STOP
from dataflows.flock import Patience
from dataflows.instance import take
from dataflows.runtime import FlowContext

__all__ = ["hold_edge_log"]


def hold_edge_log(context: FlowContext) -> None:
    """Be the only replica of this flow that reads this data folder's log.

    The log has one partition. Where replicas share the folder one works, and the others
    wait here, alive, to take over when it ends; each with a folder of its own works on
    that. SystemExit (0) where a stop comes first; OSError.
    """

    def stop() -> bool:
        context.health.progress(context.name)
        return STOP.requested

    log = structlog.get_logger()
    patience = Patience(
        math.inf, waits=lambda pid: log.info("stands_by", holder=pid), stop=stop
    )
    if not take(context.site.data / "run", f"{context.name}.edge", patience):
        raise SystemExit(0)
