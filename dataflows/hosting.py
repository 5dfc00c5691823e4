"""What a flow is to its sinks: where they say that they wait, and that they live."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

from connectors.stop import STOP
from dataflows.runtime import FlowContext
from sinks.contract import Host

__all__ = ["shared_host", "sink_host"]


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


def shared_host(context: FlowContext, name: str) -> Callable[[str], Host]:
    """Hosts of the partitions of one sink, whose server refuses all of them or none.

    ``name`` is held, once, as long as any of them is.
    """
    lock = threading.Lock()
    held: dict[str, str] = {}

    def of(part: str) -> Host:
        own = sink_host(context, name)

        def hold(reason: str) -> None:
            with lock:
                held[part] = reason
                own.hold(next(iter(held.values())))

        def clear() -> None:
            with lock:
                if held.pop(part, None) is not None and not held:
                    own.clear()

        return Host(hold=hold, clear=clear, stopping=own.stopping, alive=own.alive)

    return of
