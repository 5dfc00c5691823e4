"""The demo from curtain to curtain: start plant and flows, watch, stop, sum up."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from connectors.log.contract import DEAD, EVENTS, FRAMES, SCHEMAS
from connectors.log.embedded import EmbeddedLog
from connectors.stop import STOP
from dataflows.demo.board import Board
from dataflows.demo.latency import LatencyListener
from dataflows.demo.plant import (
    SITE,
    DemoMeter,
    SimulatorPorts,
    fleet_toml,
    plant_of,
    site_toml,
)
from dataflows.demo.processes import Child, DemoError, Stopped
from dataflows.demo.servers import MqttAddress, Servers, count_frames
from dataflows.demo.summary import Outcome, count_archive, runnable, short_path
from dataflows.demo.trouble import troubles
from dataflows.instance import running
from dataflows.kafka import open_kafka
from dataflows.ledger import summarize
from dataflows.site import Site, load_site
from sinks.sparkplug.topic import NAMESPACE

__all__ = ["Play", "Screen", "Settings", "perform"]

_START_SECONDS = 30.0
_CHECK_SECONDS = 60.0
_FIRST_FRAME_SECONDS = 30.0
_KAFKA_SECONDS = 2.0
_STOP_SECONDS = 20.0
_LOOK_SECONDS = 0.05
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the user asked for. ``seconds`` 0: until a stop."""

    meters: int
    seconds: float
    folder: Path
    servers: Servers
    seed: int


@dataclass(slots=True, kw_only=True)
class Play:
    """A running demo as its screen sees it; ``started`` is the first frame's time."""

    meters: tuple[DemoMeter, ...]
    site: Site
    board: Board
    latency: LatencyListener
    where: dict[str, str]
    started: float | None = None

    @property
    def seconds(self) -> float:
        """How long frames have been coming."""
        return 0.0 if self.started is None else time.monotonic() - self.started

    def health_ports(self) -> dict[str, int]:
        """The port of each running flow's health server, by its name."""
        flows = running(self.site.data / "run").values()
        return {flow.name: flow.port for flow in flows if flow.name != "run"}


class Screen(Protocol):
    """Where the running demo is shown."""

    @property
    def refresh_seconds(self) -> float:
        """How often to call ``show``."""

    def show(self, play: Play) -> None:
        """Show how it stands."""

    def close(self) -> None:
        """It is over: leave the terminal as it was."""


def perform(
    settings: Settings, screen: Callable[[], Screen], say: Say
) -> Outcome | None:
    """Run the whole demo; None where a stop came before anything was polled.

    DemoError where it cannot go on. All processes are stopped in any case. Call it in
    the main thread, after ``install_stop_signals``.
    """
    with ExitStack() as stack:
        stage = _Stage(settings, say, stack)
        try:
            stage.set_up()
        except Stopped:
            return None
        return stage.play(screen)


class _Stage:
    """The processes of one demo; ``stack`` stops them in the opposite order."""

    def __init__(self, settings: Settings, say: Say, stack: ExitStack) -> None:
        self._settings = settings
        self._folder = settings.folder
        self._logs = settings.folder / "logs"
        self._site_path = settings.folder / "site.toml"
        self._say = say
        self._stack = stack
        self._meters = plant_of(settings.meters, settings.seed)
        self._servers: list[Child] = []
        self._mqtt = MqttAddress("127.0.0.1", 0)

    def set_up(self) -> None:
        """Simulator and broker up, the site written, its meters commissioned."""
        self._logs.mkdir(parents=True, exist_ok=True)
        fleet = self._folder / "fleet.toml"
        faults = troubles(self._meters, self._settings.seed)
        fleet.write_text(fleet_toml(self._meters, faults), "utf-8")
        simulator = self._start(
            "simulator", "dataflows", "simulate", "--json", "--fleet", str(fleet),
            "--ethernet-ip-port", "0", "--modbus-port", "0",
        )  # fmt: skip
        self._servers.append(simulator)
        broker = None
        if self._settings.servers.mqtt is None:
            broker = self._start("broker", "dataflows.broker", "--port", "0")
            self._servers.append(broker)
        ready = json.loads(simulator.lines(1, _START_SECONDS, _stopping)[0])
        ports = SimulatorPorts(ready["ethernet_ip_port"], ready["modbus_port"])
        self._tell(
            "simulator",
            f"{len(self._meters)} meters, EtherNet/IP on port {ports.ethernet_ip}, "
            f"Modbus TCP on {ports.modbus}",
        )
        self._tell("faults", f"{short_path(fleet)}, seed {self._settings.seed}")
        self._mqtt = self._mqtt_of(broker)
        # The last meter comes after commissioning: what is only inferred of it shows.
        known = self._meters[:-1] or self._meters
        # Before the other servers are named: it is about meters.
        self._site_path.write_text(site_toml(known, ports, self._mqtt), "utf-8")
        self._commission(known)
        site = site_toml(self._meters, ports, self._mqtt, self._settings.servers)
        self._site_path.write_text(site, "utf-8")

    def play(self, screen: Callable[[], Screen]) -> Outcome:
        """Flows up, watched until the end, stopped, counted."""
        site = load_site(self._site_path)
        assert site.mqtt is not None
        latency = LatencyListener(self._mqtt, group=site.mqtt.group, site=SITE)
        latency.start()
        self._stack.callback(latency.stop)
        begun_us = time.time_ns() // 1000
        run = self._start(
            "run", "dataflows", "run", "--site", str(self._site_path),
            "--log-file", str(self._logs / "flows.log"),
        )  # fmt: skip
        where = self._where(site)
        for title, text in where.items():
            self._tell(title, text)
        self._tell("topics", ", ".join((FRAMES, EVENTS, DEAD, SCHEMAS)))
        self._tell("logs", short_path(self._logs))
        log = EmbeddedLog(site.log_path, synchronous=site.log.synchronous)
        self._stack.callback(log.close)
        behind = None
        if site.kafka is not None:
            behind = open_kafka(site, timeout_seconds=_KAFKA_SECONDS)
            self._stack.callback(behind.close)
        play = Play(
            meters=self._meters,
            site=site,
            board=Board(log, [meter.name for meter in self._meters], behind),
            latency=latency,
            where=where,
        )
        wrong = list(self._watch(play, run, screen()))
        self._tell("stopping", "flows, then broker and simulator")
        if code := run.stop(_STOP_SECONDS):
            wrong.append(run.obituary(code))
        latency.stop()
        wrong += self._stop_servers()
        wrong += _restarts(self._logs / "run.log")
        influx = self._settings.servers.influx
        return Outcome(
            ledger=summarize(log),
            frames=log.bounds(FRAMES, 0)[1],
            archive=count_archive(Path(site.archive_place)),
            archive_path=Path(site.archive_place),
            site_path=self._site_path,
            log_path=site.log_path,
            p50_ms=latency.percentile_ms(50),
            p99_ms=latency.percentile_ms(99),
            influx=influx,
            influx_frames=influx and count_frames(influx, SITE, begun_us),
            troubles=tuple(dict.fromkeys(wrong)),
        )

    def _mqtt_of(self, broker: Child | None) -> MqttAddress:
        if broker is None:
            assert self._settings.servers.mqtt is not None
            return self._settings.servers.mqtt
        line = broker.lines(1, _START_SECONDS, _stopping)[0]
        address = MqttAddress("127.0.0.1", int(line.split()[-1]))
        self._tell(
            "broker", f"{address}, embedded, for this demo only: a plant runs its own"
        )
        return address

    def _commission(self, known: tuple[DemoMeter, ...]) -> None:
        """``pm500 check --probe``, told in a line."""
        check = self._start(
            "check", "dataflows", "check", "--site", str(self._site_path),
            "--probe", "--with-modbus",
        )  # fmt: skip
        lines = check.lines(None, _CHECK_SECONDS, _stopping)
        code = check.wait(_STOP_SECONDS)
        (self._logs / "check.txt").write_text("\n".join(lines) + "\n", "utf-8")
        passed = sum("  passed" in line for line in lines)
        late = ", ".join(meter.asset for meter in self._meters[len(known) :])
        more = f"; {late} is not: it stays uncertain" if late else ""
        self._tell("check", f"{passed} of {len(known)} meters commissioned{more}")
        if code and not passed:
            raise DemoError(check.obituary(code))
        for line in lines:
            if line.endswith("  FAILED") or line.startswith("  WRONG"):
                self._tell("", line)

    def _watch(self, play: Play, run: Child, screen: Screen) -> Iterator[str]:
        """Show it until the time is over, a stop comes, or a process has ended."""
        begun = drawn = time.monotonic()
        seconds = self._settings.seconds
        try:
            while not STOP.requested and not (0 < seconds <= play.seconds):
                play.board.read_on()
                now = time.monotonic()
                if play.started is None and play.board.frames:
                    play.started = drawn = now
                if play.started is None and now - begun > _FIRST_FRAME_SECONDS:
                    yield f"no frame after {_FIRST_FRAME_SECONDS:g} s"
                    return
                for child in (run, *self._servers):
                    if (code := child.code) is not None:
                        yield child.obituary(code)
                        return
                if now >= drawn:
                    screen.show(play)
                    drawn = now + screen.refresh_seconds
                time.sleep(_LOOK_SECONDS)
        finally:
            play.board.read_on()
            screen.close()

    def _stop_servers(self) -> Iterator[str]:
        for child in reversed(self._servers):
            if code := child.stop(_STOP_SECONDS):
                yield child.obituary(code)

    def _start(self, name: str, module: str, *arguments: str) -> Child:
        child = Child(name, module, *arguments, log_path=self._logs / f"{name}.log")
        self._stack.callback(child.stop, _STOP_SECONDS)
        return child

    def _where(self, site: Site) -> dict[str, str]:
        assert site.mqtt is not None
        servers = self._settings.servers
        more = {}
        if servers.kafka is not None:
            more["kafka"] = f"{servers.kafka}  topics {servers.topic_prefix}pm500.*"
        if servers.influx is not None:
            more["influx"] = str(servers.influx)
        only = (
            "  (broker for this demo only)"
            if self._settings.servers.mqtt is None
            else ""
        )
        return {
            "archive": short_path(Path(site.archive_place)),
            "log": f"{short_path(site.log_path)}  topic {FRAMES}",
            "tail": f"{runnable('pm500')} tail --site "
            f"{shlex.quote(short_path(self._site_path))}",
            "mqtt": f"{self._mqtt}  {NAMESPACE}/{site.mqtt.group}/#{only}",
            **more,
        }

    def _tell(self, title: str, text: str) -> None:
        self._say(f"{title:<10} {text}")


def _stopping() -> bool:
    return STOP.requested


def _restarts(run_log: Path) -> Iterator[str]:
    """What the supervisor had to say of flows that ended by themselves."""
    for line in run_log.read_text("utf-8", "replace").splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if event.get("event") in ("child_ended", "child_killed"):
            yield f"{event['child']}: {event['event']} {event.get('why', '')} ({run_log})"
