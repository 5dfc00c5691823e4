"""What every flow stands on: site, logs, metrics, health, stop signals and its lock.

Exit codes of a flow: 0 graceful stop, 1 failure (start it again), 2 configuration
(starting again does not help), 3 another process runs this flow.
"""

from __future__ import annotations

import errno
import gc
import importlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NoReturn

import structlog

from connectors.log.embedded import EmbeddedLog
from connectors.stop import STOP, install_stop_signals
from dataflows.agreement import agree
from dataflows.flock import Patience
from dataflows.health import Health, serve_health
from dataflows.instance import Run, TakenError, take, write_run
from dataflows.logs import configure_logs
from dataflows.metrics import PrometheusMetrics
from dataflows.replica import ALONE, Replica, ReplicaError, replica
from dataflows.site import Site, SiteError, load_site, site_path
from dataflows.site.models import FLOW_PORTS
from transforms.model.metrics import Metrics

__all__ = [
    "CONFIGURATION",
    "FLOWS",
    "FlowContext",
    "FlowModule",
    "flows_of",
    "hold_name",
    "parts_of",
    "refuse_site",
    "replica_or_exit",
    "run_flow",
    "site_or_exit",
    "start_flow",
]

CONFIGURATION = 2
RUNS_ALREADY = 3

# A killed supervisor may leave a flow that is still ending.
LOCK_WAIT_SECONDS = 10.0
EPOCH = timedelta(seconds=1)
_LAST_PORT = 65535


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowModule:
    """Where a flow lives, its place among the ports, and which sites want it.

    ``single``: each process works on one partition of the log, with a state of its own.
    ``patient``: what it does can wait; beside others it leaves them the processor.
    """

    module: str
    port_offset: int
    configured: Callable[[Site], bool]
    single: bool = False
    patient: bool = False


FLOWS: dict[str, FlowModule] = {
    "acquire": FlowModule(
        module="dataflows.acquire", port_offset=0, configured=lambda _: True
    ),
    "publish": FlowModule(
        module="dataflows.publish",
        port_offset=1,
        configured=lambda site: site.mqtt is not None,
    ),
    "forward": FlowModule(
        module="dataflows.forward",
        port_offset=3,
        configured=lambda site: site.kafka is not None,
    ),
    "derive": FlowModule(
        module="dataflows.derive",
        port_offset=4,
        configured=lambda site: site.derive is not None,
        single=True,
        patient=True,
    ),
    "historian": FlowModule(
        module="dataflows.historian",
        port_offset=5,
        configured=lambda site: site.influx is not None,
        patient=True,
    ),
    "archive": FlowModule(
        module="dataflows.archive",
        port_offset=2,
        configured=lambda site: site.archive is not None,
        patient=True,
    ),
}


def flows_of(site: Site, flows: Mapping[str, FlowModule] = FLOWS) -> tuple[str, ...]:
    """The flows that the site has configured."""
    return tuple(name for name, flow in flows.items() if flow.configured(site))


def parts_of(name: str, site: Site, part: Replica) -> list[Replica]:
    """The processes that do ``part`` of a flow's work: one, or one for each partition."""
    if not FLOWS[name].single or site.kafka is None:
        return [part]
    count = site.kafka.partitions
    if count == part.count or count == 1:
        return [part]
    everyone = [Replica(number=number + 1, count=count) for number in range(count)]
    return part.own(everyone)


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowContext:
    """What a flow is given."""

    name: str
    site: Site
    metrics: Metrics
    health: Health
    replica: Replica = ALONE

    def open_edge_log(self) -> EmbeddedLog:
        """A fresh handle of the edge's embedded log; LogError where it cannot be."""
        settings = self.site.log
        return EmbeddedLog(self.site.log_path, synchronous=settings.synchronous)


def start_flow(name: str) -> FlowContext:
    """Everything a flow needs before its first step; call it in the main thread.

    Ends the process (SystemExit) where the site has mistakes, where the flow runs
    already, and where a stop comes meanwhile.
    """
    # Else an exception's own traceback is buried in the engine's.
    os.environ["RUST_BACKTRACE"] = "0"
    install_stop_signals()
    site = site_or_exit()
    part = replica_or_exit()
    several = "" if part.alone else str(part)
    configure_logs(name, site.observe.log_format, replica=several)
    folder = hold_name(site, name, part)
    metrics, health = PrometheusMetrics(), Health()
    port = _serve(site, FLOWS[name].port_offset, part, health, metrics)
    run = Run(
        name=part.name(name),
        pid=os.getpid(),
        host=site.observe.host,
        port=port,
        started=datetime.now(UTC).isoformat(timespec="milliseconds"),
    )
    log = structlog.get_logger()
    try:
        write_run(folder, run)
    except OSError as error:
        # A full disk must not keep a meter from being polled.
        log.warning("run_file_not_written", error=str(error))
    log.info("flow_started", health=f"http://{run.host}:{port}", site=str(site_path()))
    return FlowContext(
        name=name, site=site, metrics=metrics, health=health, replica=part
    )


def run_flow(name: str) -> int:
    """Run a flow in this process until it ends; its exit code."""
    install_stop_signals()
    configure_logs(name)
    from bytewax.run import cli_main

    from dataflows.state import StateError
    from sinks.derived import HeldAtStopError

    try:
        module = importlib.import_module(FLOWS[name].module)
        flow = module.flow()
        _calm_collector()
        # A flow with a state of its own says where it is kept.
        own = module.engine() if hasattr(module, "engine") else {}
        cli_main(flow, **{"epoch_interval": EPOCH} | own)  # type: ignore[no-untyped-call]
    except Exception as error:  # noqa: BLE001 - the edge of the process
        cause = _cause(error)
        if isinstance(cause, HeldAtStopError):
            structlog.get_logger().warning("stopped_while_held", reason=str(cause))
            return 0
        # A state that cannot be read is mended by hand; meanwhile the others go on.
        told = None if isinstance(cause, StateError) else error
        structlog.get_logger().error("flow_failed", reason=str(cause), exc_info=told)
        _say(f"pm500 run {name}: {type(cause).__name__}: {cause}")
        return 1
    structlog.get_logger().info("flow_stopped")
    return 0


def _calm_collector() -> None:
    """Look for garbage less often: records and frames make no cycles.

    With the defaults a third of what reading Kafka costs is the collector walking over
    messages that wait.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(1_000_000, 50, 100)


def site_or_exit() -> Site:
    """The site that PM500_SITE names; its mistakes are printed and end the process."""
    try:
        return load_site(site_path())
    except SiteError as error:
        _refuse(CONFIGURATION, str(error))


def replica_or_exit() -> Replica:
    """What PM500_REPLICA says; a mistake in it is printed and ends the process."""
    try:
        return replica()
    except ReplicaError as error:
        _refuse(CONFIGURATION, str(error))


def refuse_site(mistakes: Sequence[str]) -> NoReturn:
    """End the process over mistakes that only a flow can see in its site."""
    _refuse(CONFIGURATION, str(SiteError(site_path(), list(mistakes))))


def hold_name(site: Site, name: str, part: Replica = ALONE) -> Path:
    """Be the only process of this part on the site's data; the folder of records.

    There is none of another number of replicas either: a part alone keeps all others
    out.
    """
    log = structlog.get_logger()
    folder = site.data / "run"
    patience = Patience(
        LOCK_WAIT_SECONDS,
        waits=lambda holder: log.warning("waits_for_lock", holder=holder),
        stop=lambda: STOP.requested,
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        taken = agree(folder, name, part, patience) and take(
            folder, part.name(name), patience
        )
    except TakenError as error:
        _refuse(RUNS_ALREADY, str(error))
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            _refuse(1, str(error))
        _refuse(CONFIGURATION, f"{site_path()}: site.data: {error}")
    if not taken:
        raise SystemExit(0)
    return folder


def _serve(
    site: Site,
    port_offset: int,
    part: Replica,
    health: Health,
    metrics: PrometheusMetrics,
) -> int:
    """Serve on the flow's port, on a free one where that is taken.

    The ports of the next replica follow those of one, as long as there are such.
    """
    observe = site.observe
    wanted = observe.base_port + (part.number - 1) * FLOW_PORTS + port_offset
    if not observe.base_port or wanted > _LAST_PORT:
        wanted = 0
    try:
        return serve_health(observe.host, wanted, health, metrics.text)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            where = f"observe: {observe.host}:{wanted}"
            _refuse(CONFIGURATION, f"{site_path()}: {where}: {error}")
    port = serve_health(observe.host, 0, health, metrics.text)
    structlog.get_logger().error("health_port_taken", wanted=wanted, port=port)
    return port


def _cause(error: BaseException) -> BaseException:
    """What went wrong, below what the engine wraps around it."""
    from bytewax.errors import BytewaxRuntimeError

    while isinstance(error, BytewaxRuntimeError) and error.__cause__ is not None:
        error = error.__cause__
    return error


def _refuse(code: int, text: str) -> NoReturn:
    _say(text)
    raise SystemExit(code)


def _say(text: str) -> None:
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)
