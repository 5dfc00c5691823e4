"""What a flow is to its sinks: where they say that they wait, and that they live."""

from __future__ import annotations

from functools import partial

from connectors.stop import STOP
from dataflows.runtime import FlowContext
from sinks.contract import Host

__all__ = ["sink_host"]


def sink_host(context: FlowContext, name: str) -> Host:
    """The flow as a host; while its sink is refused, ``name`` is held."""

    def hold(reason: str) -> None:
        context.health.hold(name, reason)
        context.health.progress(context.name)

    return Host(
        hold=hold,
        clear=partial(context.health.clear, name),
        stopping=lambda: STOP.requested,
        alive=partial(context.health.progress, context.name),
    )
