"""``make demo SERVICES=real``: the script itself, on the servers that it starts."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.dataflows.historian_points import identities_in
from tests.dataflows.processes import ROOT
from tests.influxdb import INFLUXDB, InfluxDb
from tests.integration.frames import logged_frames
from tests.kafka_broker import kafka_files
from tests.mosquitto import MOSQUITTO, free_port

# Never beside those that make many workers busy: a demo must stop in time.
pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.xdist_group("same"),
]
MAKE = shutil.which("make")


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[Path]:
    """What the script needs of the project, in a folder whose name has a space.

    Its environment is that of the tests, which takes no set-up, and it has a Kafka.
    """
    folder = tmp_path / "our meters"
    shutil.copytree(ROOT / "deploy", folder / "deploy")
    shutil.copy(ROOT / "Makefile", folder)
    _script(folder / "deploy" / "setup.sh", "exit 0")
    pm500 = folder / ".venv" / "bin" / "pm500"
    pm500.parent.mkdir(parents=True)
    _script(
        pm500,
        f'export PYTHONPATH="{ROOT}"\nexec "{sys.executable}" -m dataflows "$@"',
    )
    files, services = kafka_files(), folder / ".services"
    services.mkdir()
    for name in ("java", "kafka"):
        services.joinpath(name).symlink_to(files / name)
    yield folder
    subprocess.run(
        [str(folder / "deploy" / "services.sh"), "stop"], check=False, timeout=60
    )


@pytest.mark.timeout(400)
@pytest.mark.skipif(MAKE is None, reason="no make")
@pytest.mark.skipif(INFLUXDB is None, reason="no influxdb")
@pytest.mark.skipif(MOSQUITTO is None, reason="no mosquitto")
def test_a_demo_on_real_services_adds_up_and_leaves_nothing_behind(
    clone: Path, tmp_path: Path
) -> None:
    names = ("MQTT_PORT", "KAFKA_PORT", "INFLUXDB_PORT")
    ports = {name: str(free_port()) for name in names}
    before = _files(clone)
    said = _make(
        clone,
        ports,
        "demo",
        "SERVICES=real",
        f"ARGS=--seconds 13 --data {tmp_path}/demo",
    )
    frames = list(logged_frames(tmp_path / "demo" / "data" / "log" / "edge.sqlite"))
    assert "It adds up: " in said
    assert said.rstrip().endswith("and archive rows = frames = frames in InfluxDB.")
    # What it found in InfluxDB is there, and it used the three that were started.
    [there] = re.findall(r"^frames in InfluxDB +(\d+)", said, re.MULTILINE)
    assert int(there) == len(frames) > 200
    influxdb = InfluxDb(tmp_path / "influxdb", int(ports["INFLUXDB_PORT"]))
    assert identities_in(influxdb) == {
        (f.asset, f.group, f.record.slot_us * 1000) for f in frames
    }
    [kafka] = re.findall(r"^kafka +(\S+)  topics demo-", said, re.MULTILINE)
    [mqtt] = re.findall(r"^mqtt +(\S+)  spBv1.0", said, re.MULTILINE)
    assert kafka == f"127.0.0.1:{ports['KAFKA_PORT']}"
    assert mqtt == f"127.0.0.1:{ports['MQTT_PORT']}"
    _make(clone, {}, "services-stop")
    assert _processes_of(tmp_path) == []
    assert _files(clone) == before


def _script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n", "utf-8")
    path.chmod(0o755)


def _make(clone: Path, ports: dict[str, str], *words: str) -> str:
    # `make test` may have started us, and would tell its own flags.
    own = {name: text for name, text in os.environ.items() if "MAKE" not in name}
    done = subprocess.run(
        ["make", *words],
        cwd=clone,
        env=own | ports,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def _files(clone: Path) -> list[str]:
    """All but what the services keep, which ``make clean`` removes."""
    return sorted(
        str(path.relative_to(clone))
        for path in clone.rglob("*")
        if ".services" not in path.parts
    )


def _processes_of(folder: Path) -> list[str]:
    """Those that stand in the folder, or have a file of it in their command line."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd", "status"]):
        words = [*(process.info["cmdline"] or ()), process.info["cwd"] or ""]
        if process.info["status"] != psutil.STATUS_ZOMBIE and any(
            str(folder) in word for word in words
        ):
            found.append(" ".join(words))
    return found
