from __future__ import annotations

import os
import signal
import sys
import threading
import time
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

from dataflows.supervise import Supervisor, pause_after
from tests.dataflows.processes import (
    PM500,
    SITE,
    TINY,
    events,
    found,
    gone,
    process,
    wait_for,
    write_site,
)

SUPERVISE = (*TINY, "supervise")


def test_pauses_double_up_to_ten_seconds() -> None:
    pauses = [pause_after(before, 0.1) for before in (0.0, 0.2, 0.4, 3.2, 6.4, 10.0)]
    assert pauses == [0.2, 0.4, 0.8, 6.4, 10.0, 10.0]


def test_half_a_minute_of_running_forgets_earlier_failures() -> None:
    assert pause_after(10.0, 29.9) == 10.0
    assert pause_after(10.0, 30.0) == 0.2


@pytest.mark.integration
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_reaches_the_flows_and_is_exit_code_zero(
    tmp_path: Path, number: signal.Signals
) -> None:
    site = write_site(tmp_path)
    with process(SUPERVISE, site) as supervisor:
        run = found(site, "tiny")
        supervisor.send_signal(number)
        assert supervisor.wait(30) == 0
        assert gone(run.pid)
    assert events(site, "child_stopped")[0]["code"] == 0


@pytest.mark.integration
def test_a_killed_flow_is_started_again(tmp_path: Path) -> None:
    site = write_site(tmp_path)
    with process(SUPERVISE, site):
        first = found(site, "tiny").pid
        os.kill(first, signal.SIGKILL)
        wait_for(lambda: found(site, "tiny").pid != first)
    assert events(site, "child_ended")[0]["why"] == "exit code -9"


@pytest.mark.integration
def test_a_crash_loop_backs_off(tmp_path: Path) -> None:
    site = write_site(tmp_path)
    with process(SUPERVISE, site, TINY_MODE="raise"):
        wait_for(lambda: events(site, "child_ended")[2:])
    ends = events(site, "child_ended")[:3]
    assert [each["pause_seconds"] for each in ends] == [0.2, 0.4, 0.8]


@pytest.mark.integration
@pytest.mark.parametrize("mode", ["tick", "deaf"])
def test_flows_end_with_a_killed_supervisor(tmp_path: Path, mode: str) -> None:
    site = write_site(tmp_path)
    with process(SUPERVISE, site, TINY_MODE=mode) as supervisor:
        child = found(site, "tiny").pid
        supervisor.kill()
        wait_for(lambda: gone(child))


@pytest.mark.integration
def test_the_flow_is_back_soon_after_a_killed_supervisor(tmp_path: Path) -> None:
    site = write_site(tmp_path)
    with process(SUPERVISE, site, TINY_MODE="deaf") as supervisor:
        first = found(site, "tiny").pid
        supervisor.kill()
        supervisor.wait()
    with process(SUPERVISE, site):
        wait_for(lambda: found(site, "tiny").pid != first)


@pytest.mark.integration
@pytest.mark.timeout(60)
def test_patient_flows_leave_the_processor_to_the_others() -> None:
    sleep = [sys.executable, "-c", "import time; time.sleep(120)"]
    supervisor = Supervisor(
        {"acquire": [*sleep, "acquire"], "archive": [*sleep, "archive"]},
        environment=os.environ,
        patient={"archive"},
    )
    own = os.getpriority(os.PRIO_PROCESS, 0)
    expected = {"acquire": own, "archive": min(own + 5, 19)}

    def as_expected() -> bool:
        children = {child.pid: child.cmdline() for child in psutil.Process().children()}
        found = {
            words[-1]: os.getpriority(os.PRIO_PROCESS, pid)
            for pid, words in children.items()
            if words[:3] == sleep
        }
        return found == expected

    assert supervisor.run(as_expected) == 0


@pytest.mark.integration
def test_a_refused_configuration_ends_all() -> None:
    refuse = [sys.executable, "-c", "raise SystemExit(2)"]
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    supervisor = Supervisor({"sleep": sleep, "refuse": refuse}, environment=os.environ)
    assert supervisor.run(lambda: False) == 2


ENDS = """
import pathlib, signal, sys, time
ready, late, own, other = map(pathlib.Path, sys.argv[1:])
def end(*_):
    time.sleep(0.3)
    late.write_text(str(other.exists()))
    own.touch()
    sys.exit()
signal.signal(signal.SIGTERM, end)
ready.touch()
while True:
    time.sleep(1)
"""


@pytest.mark.integration
def test_the_first_flow_has_ended_before_the_next_is_asked(tmp_path: Path) -> None:
    def command(own: str, other: str) -> list[str]:
        names = (f"{own}.ready", f"{own}.saw", f"{own}.ended", f"{other}.ended")
        return [sys.executable, "-c", ENDS, *(str(tmp_path / name) for name in names)]

    commands = {"fills": command("fills", "reads"), "reads": command("reads", "fills")}
    supervisor = Supervisor(commands, environment=os.environ)
    assert supervisor.run(lambda: len([*tmp_path.glob("*.ready")]) == 2) == 0
    assert (tmp_path / "fills.saw").read_text() == "False"
    assert (tmp_path / "reads.saw").read_text() == "True"


@pytest.mark.integration
def test_a_command_that_cannot_start_is_tried_again(tmp_path: Path) -> None:
    program = tmp_path / "program"
    supervisor = Supervisor({"late": [str(program)]}, environment=os.environ)
    stop = threading.Event()
    runs = threading.Thread(target=supervisor.run, args=(stop.is_set,))
    runs.start()
    try:
        time.sleep(0.1)
        program.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\nsleep 60\n")
        program.chmod(0o755)
        wait_for((tmp_path / "ran").exists)
    finally:
        stop.set()
        runs.join()


@pytest.mark.integration
def test_the_log_file_takes_what_the_flows_write(tmp_path: Path) -> None:
    write = [sys.executable, "-c", "import time; print('hello'); time.sleep(60)"]
    log = tmp_path / "flows.log"
    supervisor = Supervisor(
        {"write": write},
        environment=os.environ | {"PYTHONUNBUFFERED": "1"},
        log_file=log,
    )
    assert supervisor.run(lambda: log.exists() and "hello" in log.read_text()) == 0


@pytest.mark.integration
@pytest.mark.skipif(
    not all(find_spec(f"dataflows.{flow}") for flow in ("acquire", "archive")),
    reason="the flows are not there",
)
def test_pm500_run_supervises_what_the_site_has(tmp_path: Path) -> None:
    site = write_site(tmp_path, SITE.replace("127.0.0.1", "127.0.0.9"))
    with process((*PM500, "run"), site) as supervisor:
        found(site, "acquire")
        found(site, "archive")
        found(site, "derive")
        supervisor.terminate()
        assert supervisor.wait(30) == 0
    stopped = {each["child"]: each["code"] for each in events(site, "child_stopped")}
    assert stopped == {"acquire": 0, "derive": 0, "archive": 0}


@pytest.mark.integration
def test_replicas_of_pm500_run_share_a_data_folder(tmp_path: Path) -> None:
    site = write_site(tmp_path, SITE.replace("127.0.0.1", "127.0.0.9"))
    command = (*PM500, "run")
    with (
        process(command, site, PM500_REPLICA="1/2") as first,
        process(command, site, PM500_REPLICA="2/2") as second,
    ):
        found(site, "acquire")
        found(site, "acquire-2")
        for supervisor in (first, second):
            supervisor.terminate()
            assert supervisor.wait(30) == 0
    parts = {(e["replica"], e["child"]) for e in events(site, "child_started")}
    assert parts >= {("1/2", "acquire"), ("2/2", "acquire")}


@pytest.mark.integration
@pytest.mark.slow
def test_pm500_run_is_refused_beside_replicas_of_another_count(tmp_path: Path) -> None:
    site = write_site(tmp_path, SITE.replace("127.0.0.1", "127.0.0.9"))
    with process((*PM500, "run"), site, PM500_REPLICA="2/2") as first:
        found(site, "acquire-2")
        with process((*PM500, "run"), site) as second:
            assert second.wait(30) == 3
        assert first.poll() is None
        text = (tmp_path / "stderr.log").read_text()
        assert f"run 1/1 cannot run beside replicas of 2: pid {first.pid} in" in text
