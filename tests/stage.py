"""A small plant on which the docs' blocks run: its meters live, its flows stand still."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import tomli_w

from connectors.log.contract import FRAMES
from connectors.log.embedded import EmbeddedLog
from dataflows.instance import Run, running
from tests.dataflows.processes import get
from tests.integration.frames import logged_frames
from tests.kit import Flow, Plant, until
from tests.mosquitto import MOSQUITTO, Mosquitto
from tests.reference.pages import ROOT
from tests.simulated import SimulatorProcess
from transforms.model.quality import Status

__all__ = [
    "Stage",
    "moved_to_kafka",
    "shell",
    "staged",
    "stop_when_it_says",
    "with_flows",
]

SECONDS = 60.0
HOSTS = ("127.5.1.1", "127.5.1.2", "127.5.1.3")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A site's folder with a log and an archive of some seconds."""

    folder: Path
    mqtt_port: int | None
    kafka: str | None = None

    def copy(self, folder: Path) -> Path:
        """A copy in which a block may do what it likes, with deploy/ beside it.

        Without the run files: they tell the ports of flows that have ended.
        """
        shutil.copytree(
            self.folder, folder, ignore=shutil.ignore_patterns("run", "deploy")
        )
        folder.joinpath("deploy").symlink_to(ROOT / "deploy")
        return folder


@contextmanager
def staged(folder: Path) -> Iterator[Stage]:
    """Three meters, polled until there are good and failed frames."""
    # One block's Modbus must not silence the EtherNet/IP of the next.
    quick: dict[str, object] = {"modbus_recovery_seconds": 0.0}
    simulated = [
        quick | {"name": f"m{n}", "address": host, "seed": n}
        for n, host in enumerate(HOSTS)
    ]
    simulated[2]["profile"] = "em24"
    fault = {"kind": "cip_error", "meter": "m0", "end_seconds": 5.0}
    with ExitStack() as stack:
        broker = stack.enter_context(Mosquitto(folder)) if MOSQUITTO else None
        simulator = stack.enter_context(
            SimulatorProcess(folder, HOSTS, meters=simulated, faults=[fault])
        )
        sections: dict[str, object] = {}
        if broker is not None:
            sections = {"mqtt": {"host": "127.0.0.1", "port": broker.port}}
        plant = Plant(folder / "plant", _meters(simulator), sections)
        stack.callback(plant.close)
        run = plant.start("run")
        until(plant.log_path.exists, "a log")
        until(lambda: _has_both(plant.log_path), "good and failed frames", pause=0.3)
        assert run.stop() == 0, run.text()[-3000:]
        yield Stage(folder=plant.folder, mqtt_port=broker.port if broker else None)


def moved_to_kafka(stage: Stage, folder: Path, servers: str) -> Stage:
    """The same plant with Kafka, and its log moved on."""
    stage.copy(folder)
    site = tomllib.loads((folder / "site.toml").read_text("utf-8"))
    site |= {"kafka": {"bootstrap_servers": servers}}
    # What an archive has is not moved: to forward this one is not there.
    nowhere = site | {"archive": {"path": "nowhere"}}
    (folder / "site.toml").write_text(tomli_w.dumps(nowhere), "utf-8")
    forward = Flow(["run", "forward"], folder / "site.toml", folder / "forward.log")
    try:
        with EmbeddedLog(folder / "data" / "log" / "edge.sqlite", create=False) as log:
            _, end = log.bounds(FRAMES, 0)
            until(lambda: log.position("forward", FRAMES, 0) == end, "moved on")
        assert forward.stop() == 0, forward.text()[-3000:]
    finally:
        forward.kill()
    (folder / "site.toml").write_text(tomli_w.dumps(site), "utf-8")
    return Stage(folder=folder, mqtt_port=stage.mqtt_port, kafka=servers)


def _meters(simulator: SimulatorProcess) -> list[dict[str, object]]:
    """The assets that the pages name."""
    ports: dict[str, object] = {
        "ethernet_ip_port": simulator.ethernet_ip_port,
        "modbus_port": simulator.modbus_port,
    }
    often: dict[str, object] = {"groups": {"realtime": 0.5, "energy": 1.0}}
    em24: dict[str, object] = {"profile": "em24", "protocol": "modbus"}
    return [
        ports | often | {"asset": "hall1/main", "host": HOSTS[0]},
        ports | {"asset": "hall1/press", "host": HOSTS[1], "protocol": "both"},
        ports | often | em24 | {"asset": "hall2/oven", "host": HOSTS[2]},
    ]


def _has_both(log: Path) -> bool:
    frames = list(logged_frames(log))
    good = {frame.asset for frame in frames if frame.status is Status.OK}
    failed = any(frame.status is Status.CIP_ERROR for frame in frames)
    return failed and good >= {"plant/hall1/main", "plant/hall2/oven"}


def shell(text: str, here: Path, language: str = "sh") -> str:
    """What the text prints; it must succeed."""
    process = subprocess.Popen(
        _command(language, text),
        cwd=here,
        env=_environment(here),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        said, complained = process.communicate(timeout=SECONDS)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert process.returncode == 0, said[-2000:] + complained[-3000:]
    return said


def with_flows(text: str, language: str, here: Path, mqtt_port: int | None) -> str:
    """What the text prints while ``pm500 run`` lives; its default ports are the real ones."""
    flows = Flow(["run"], here / "site.toml", here / "run.log")
    try:
        acquire = _ready(here, "acquire")
        until(lambda: "frames_total{" in get(acquire, "/metrics")[1], "polls")
        _ready(here, "archive")
        text = text.replace("127.0.0.1:9500", f"{acquire.host}:{acquire.port}")
        if mqtt_port is not None:
            _ready(here, "publish")
            text = text.replace('"127.0.0.1", 1883', f'"127.0.0.1", {mqtt_port}')
        said = shell(text, here, language)
        assert flows.stop() == 0, flows.text()[-3000:]
    finally:
        flows.kill()
    return said


def _ready(here: Path, name: str) -> Run:
    """The flow, once nothing holds it."""
    folder = here / "data" / "run"
    flow = until(lambda: running(folder).get(name), f"{name} runs")
    until(lambda: get(flow, "/readyz")[0] == 200, f"{name} is ready")
    return flow


def stop_when_it_says(wanted: str, text: str, here: Path) -> None:
    """Ctrl-C once it has said it; it must end well. Simulators take free ports."""
    free = "pm500 simulate --ethernet-ip-port 0 --modbus-port 0"
    output = here / "output.txt"
    with output.open("wb") as file:
        process = subprocess.Popen(
            _command("sh", text.replace("pm500 simulate", free)),
            cwd=here,
            env=_environment(here),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    try:
        until(lambda: wanted in output.read_text("utf-8") or process.poll(), wanted)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(SECONDS) == 0, output.read_text("utf-8")[-3000:]
        assert wanted in output.read_text("utf-8")
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _command(language: str, text: str) -> list[str]:
    if language == "python":
        return [sys.executable, "-c", text]
    return ["bash", "-euo", "pipefail", "-c", text]


def _environment(here: Path) -> dict[str, str]:
    """``pm500`` is on the PATH as after ``make``; where it is not installed, a shim."""
    own = Path(sys.executable).parent
    if not own.joinpath("pm500").exists():
        own = here.parent / "bin"
        own.mkdir(exist_ok=True)
        shim = own / "pm500"
        shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m dataflows "$@"\n')
        shim.chmod(0o755)
    out = {name: text for name, text in os.environ.items() if name != "PM500_SITE"}
    path = f"{own}:{os.environ['PATH']}"
    return out | {"PATH": path, "PYTHONPATH": str(ROOT), "COLUMNS": "120"}
