"""Run several flows, each in its own process, and start again what ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from connectors.stop import STOP, install_stop_signals
from dataflows.logs import configure_logs
from dataflows.orphan import ENVIRONMENT
from dataflows.replica import VARIABLE, Replica
from dataflows.runtime import (
    CONFIGURATION,
    FLOWS,
    flows_of,
    hold_name,
    parts_of,
    replica_or_exit,
)
from dataflows.site import Site, site_path

__all__ = ["Supervisor", "pause_after", "supervise", "supervise_parts"]

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 10.0
HEALTHY_SECONDS = 30.0
STOP_SECONDS = 15.0
HEAD_START_SECONDS = 3.0
# Of two that want the same core, one at 5 gets a third of what one at 0 gets.
PATIENT_NICENESS = 5
_LOOK_SECONDS = 0.05


def pause_after(previous: float, ran_seconds: float) -> float:
    """Seconds before the next start; ``previous`` is the pause before this run.

    0.2 s first, then twice as long each time, up to 10 s; 30 s of running forget it.
    """
    if not previous or ran_seconds >= HEALTHY_SECONDS:
        return FIRST_PAUSE_SECONDS
    return min(2 * previous, LONGEST_PAUSE_SECONDS)


def supervise(site: Site, *, log_file: Path | None = None) -> int:
    """Run all flows that the site has configured until a stop; the exit code.

    All take the part that ``PM500_REPLICA`` says. Call it in the main thread. ``log_file`` takes what the flows write, which else
    goes to this process's standard error.
    """
    install_stop_signals()
    part = replica_or_exit()
    several = "" if part.alone else str(part)
    configure_logs("run", site.observe.log_format, replica=several)
    hold_name(site, "run", part)
    return _supervise(flows_of(site), site, part, log_file)


def supervise_parts(name: str, site: Site, part: Replica) -> int:
    """Run a flow that works on one partition as several processes; the exit code."""
    install_stop_signals()
    configure_logs(
        name, site.observe.log_format, replica="" if part.alone else str(part)
    )
    return _supervise((name,), site, part, None)


def _supervise(
    names: Sequence[str], site: Site, part: Replica, log_file: Path | None
) -> int:
    children = [
        (name if own == part else own.name(name), name, own)
        for name in names
        for own in parts_of(name, site, part)
    ]
    supervisor = Supervisor(
        {
            child: [sys.executable, "-m", "dataflows", "run", name]
            for child, name, _ in children
        },
        environment=os.environ | {"PM500_SITE": str(site_path().absolute())},
        own={
            child: {VARIABLE: str(own)} for child, _, own in children if not own.alone
        },
        patient={child for child, name, _ in children if FLOWS[name].patient},
        log_file=log_file,
    )
    return supervisor.run(lambda: STOP.requested)


@dataclass(slots=True, kw_only=True)
class _Child:
    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    due: float = 0.0
    pause: float = 0.0


class Supervisor:
    """Keeps the commands running, each in a process that ends with this one.

    A command that ends, with any code, starts again after a pause that doubles; exit
    code 2, a mistake of configuration, ends them all.
    """

    def __init__(
        self,
        commands: Mapping[str, Sequence[str]],
        *,
        environment: Mapping[str, str],
        own: Mapping[str, Mapping[str, str]] | None = None,
        patient: Collection[str] = (),
        log_file: Path | None = None,
    ) -> None:
        """``own`` adds to the environment of single commands.

        Those that are ``patient`` leave the processor to the others where it is short:
        polling comes first.
        """
        self._patient = patient
        self._children = [
            _Child(
                name=name,
                command=command,
                environment={
                    **environment,
                    **(own or {}).get(name, {}),
                    ENVIRONMENT: "1",
                },
            )
            for name, command in commands.items()
        ]
        self._log_file = log_file
        self._log = structlog.get_logger()

    def run(self, stop: Callable[[], bool]) -> int:
        """Supervise until ``stop`` says so (0) or a configuration is refused (2)."""
        code = 0
        try:
            while not stop() and not code:
                for child in self._children:
                    if self._look_after(child) == CONFIGURATION:
                        code = CONFIGURATION
                        self._log.error("configuration_refused", child=child.name)
                time.sleep(_LOOK_SECONDS)
        finally:
            self._end_all()
        self._log.info("supervisor_stopped", code=code)
        return code

    def _look_after(self, child: _Child) -> int | None:
        """Start what is due; the exit code of what has ended just now."""
        now = time.monotonic()
        if child.process is None:
            if now >= child.due:
                self._start(child, now)
            return None
        code = child.process.poll()
        if code is not None:
            self._ended(child, now, f"exit code {code}")
        return code

    def _start(self, child: _Child, now: float) -> None:
        child.started = now
        try:
            child.process = self._open(child)
        except OSError as error:  # no process, no memory, no room for the log file
            self._ended(child, now, str(error))
        else:
            if child.name in self._patient:
                _make_nice(child.process.pid)
            self._log.info(
                "child_started", child=child.name, child_pid=child.process.pid
            )

    def _open(self, child: _Child) -> subprocess.Popen[bytes]:
        # Standard input is the child's sign of our life (dataflows.orphan). In groups
        # of their own, Ctrl-C reaches the children through us alone.
        if self._log_file is None:
            return subprocess.Popen(  # noqa: S603 - our own command
                child.command,
                stdin=subprocess.PIPE,
                env=child.environment,
                process_group=0,
            )
        with self._log_file.open("ab") as out:
            return subprocess.Popen(  # noqa: S603 - our own command
                child.command,
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=out,
                env=child.environment,
                process_group=0,
            )

    def _ended(self, child: _Child, now: float, why: str) -> None:
        if child.process is not None and child.process.stdin is not None:
            child.process.stdin.close()
        child.process = None
        ran = now - child.started
        child.pause = pause_after(child.pause, ran)
        child.due = now + child.pause
        self._log.warning(
            "child_ended",
            child=child.name,
            why=why,
            ran_seconds=round(ran, 3),
            pause_seconds=child.pause,
        )

    def _end_all(self) -> None:
        """Ask them in their order, each once the one before has ended, or is late.

        Who fills the log ends before those who read it: they get its last records.
        """
        alive = {c.name: c.process for c in self._children if c.process is not None}
        deadline = time.monotonic() + STOP_SECONDS
        for process in alive.values():
            process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(HEAD_START_SECONDS)
        for name, process in alive.items():
            try:
                code = process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                self._log.error("child_killed", child=name, after_seconds=STOP_SECONDS)
                process.kill()
                code = process.wait()
            self._log.info("child_stopped", child=name, code=code)


def _make_nice(pid: int) -> None:
    """Lower the priority of a process that has no threads yet: they will inherit it."""
    niceness = os.getpriority(os.PRIO_PROCESS, 0) + PATIENT_NICENESS
    os.setpriority(os.PRIO_PROCESS, pid, niceness)
