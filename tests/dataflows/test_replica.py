"""Replicas of a flow: what each takes, who may run beside whom, real processes."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.log.embedded import EmbeddedLog
from connectors.simulator import SimulatedMeter, Simulator, running_simulator
from dataflows.agreement import agree
from dataflows.flock import Patience
from dataflows.instance import Run, TakenError, holder_of, running
from dataflows.ledger import summarize
from dataflows.replica import ALONE, Replica, ReplicaError, replica
from tests.dataflows.processes import (
    ROOT,
    events,
    found,
    get,
    process,
    write_site,
)
from tests.integration.frames import LoggedFrame, logged_frames
from tests.kit import Plant, until

HOSTS = [f"127.6.1.{n}" for n in range(1, 7)]
ASSETS = [f"plant/hall{n % 2}/m{n}" for n in range(len(HOSTS))]
PERIODS = {"realtime": 0.25, "energy": 1.0}
SLOW_BUSY = 60.0


def of(text: str) -> Replica:
    number, _, count = text.partition("/")
    return Replica(number=int(number), count=int(count))


# -- the parts ---------------------------------------------------------------------


@given(st.lists(st.integers()), st.integers(1, 40))
def test_the_parts_of_all_replicas_are_the_whole_once_each(
    things: list[int], count: int
) -> None:
    numbered = list(enumerate(things))
    parts = [Replica(number=n, count=count).own(numbered) for n in range(1, count + 1)]
    assert sorted(one for part in parts for one in part) == numbered
    sizes = {len(part) for part in parts}
    assert max(sizes) - min(sizes) <= 1


def test_one_alone_takes_all() -> None:
    assert ALONE.own("abc") == ["a", "b", "c"]
    assert of("3/3").own("ab") == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", "1/1"), (" 2/8 ", "2/8"), ("8/8", "8/8"), ("1/1", "1/1")],
)
def test_the_environment_says_which_part(
    monkeypatch: pytest.MonkeyPatch, text: str, expected: str
) -> None:
    monkeypatch.setenv("PM500_REPLICA", text)
    assert str(replica()) == expected


@pytest.mark.parametrize(
    "text", ["2", "0/2", "3/2", "1/0", "-1/2", "a/b", "1/2/3", "²/8"]
)
def test_a_part_that_cannot_be_is_refused(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("PM500_REPLICA", text)
    with pytest.raises(ReplicaError) as raised:
        replica()
    assert str(raised.value) == (
        f"PM500_REPLICA: {text!r} is not of the form 2/8, the second of eight"
    )


# -- who may run beside whom -------------------------------------------------------


def agrees(folder: Path, text: str) -> bool:
    try:
        return agree(folder, "flow", of(text), Patience(0))
    except TakenError:
        return False


def test_replicas_of_one_count_run_beside_each_other(tmp_path: Path) -> None:
    assert agrees(tmp_path, "1/2")
    assert agrees(tmp_path, "2/2")


@pytest.mark.parametrize(
    ("first", "second"),
    [("1/2", "3/3"), ("2/2", "1/1"), ("1/1", "2/3"), ("1/3", "1/2")],
)
def test_replicas_of_another_count_are_kept_out(
    tmp_path: Path, first: str, second: str
) -> None:
    assert agrees(tmp_path, first)
    with pytest.raises(TakenError) as raised:
        agree(tmp_path, "flow", of(second), Patience(0))
    count = first.partition("/")[2]
    assert str(raised.value) == (
        f"flow {second} cannot run beside replicas of {count}: a process in {tmp_path}"
    )


def test_flows_do_not_mind_each_others_counts(tmp_path: Path) -> None:
    assert agree(tmp_path, "acquire", of("1/2"), Patience(0))
    assert agree(tmp_path, "archive", of("3/3"), Patience(0))


RACE = """
import os, sys, time
from pathlib import Path
from dataflows.agreement import agree
from dataflows.flock import Patience
from dataflows.instance import TakenError
from dataflows.replica import Replica
folder = Path(sys.argv[1])
told = os.open(folder / "told", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
for _ in range(300):
    waiting, start = os.pipe()
    children = []
    for count in (2, 2, 3, 3):
        if not (pid := os.fork()):
            os.close(start)
            os.read(waiting, 1)
            try:
                agree(folder, "flow", Replica(count=count), Patience(0))
                os.write(told, b"+%d\\n" % count)
                time.sleep(0.003)
                os.write(told, b"-%d\\n" % count)
            except TakenError:
                pass
            os.kill(os.getpid(), 9)
        children.append(pid)
    os.close(start)
    os.close(waiting)
    for pid in children:
        os.waitpid(pid, 0)
"""


@pytest.mark.integration
def test_processes_that_race_never_hold_two_counts(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-c", RACE, str(tmp_path)], check=True, cwd=ROOT, timeout=120
    )
    inside: list[str] = []
    won: set[str] = set()
    for line in (tmp_path / "told").read_text().split():
        if line.startswith("+"):
            inside.append(line[1:])
        else:
            inside.remove(line[1:])
        assert len(set(inside)) <= 1
        won.update(inside)
    assert won == {"2", "3"}


# -- real flows --------------------------------------------------------------------


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    meters = [
        SimulatedMeter(name=f"m{n}", address=host, seed=n)
        for n, host in enumerate(HOSTS)
    ]
    with running_simulator(meters) as started:
        yield started


class Replicas:
    """Processes of one plant, by what they are and which part they take."""

    def __init__(self, plant: Plant, stack: ExitStack) -> None:
        self.plant = plant
        self.run_folder = plant.folder / "data" / "run"
        self._stack = stack
        self.processes: dict[str, subprocess.Popen[str]] = {}

    def start(self, *parts: str, flow: str = "acquire") -> None:
        command = (sys.executable, "-m", "dataflows", "run", flow)
        for part in parts:
            self.processes[part] = self._stack.enter_context(
                process(command, self.plant.site, PM500_REPLICA=part)
            )

    def stop(self, *parts: str) -> None:
        stopped = [self.processes.pop(part) for part in parts]
        for each in stopped:
            each.send_signal(signal.SIGTERM)
        assert [each.wait(30) for each in stopped] == [0] * len(stopped), self.text()

    def run(self, name: str) -> Run:
        return until(lambda: running(self.run_folder).get(name), name, SLOW_BUSY)

    def text(self) -> str:
        return (self.plant.folder / "stderr.log").read_text()[-3000:]

    def frames(self) -> list[LoggedFrame]:
        if not self.plant.log_path.exists():
            return []
        return list(logged_frames(self.plant.log_path))

    def until_all_are_polled(self, times: int) -> None:
        """As many new frames of every group of every meter."""
        before = len(self.frames())

        def polled() -> bool:
            seen = [(f.asset, f.group) for f in self.frames()[before:]]
            wanted = [(asset, group) for asset in ASSETS for group in PERIODS]
            return all(seen.count(each) >= times for each in wanted)

        until(polled, f"{times} frames of all: {self.text()}", SLOW_BUSY, pause=0.3)


@pytest.fixture
def replicas(simulator: Simulator, tmp_path: Path) -> Iterator[Replicas]:
    with ExitStack() as stack:
        yield Replicas(plant_in(tmp_path / "plant", simulator), stack)


def plant_in(folder: Path, simulator: Simulator, **sections: Any) -> Plant:
    meters: list[dict[str, object]] = [
        {
            "asset": asset.partition("/")[2],
            "host": host,
            "ethernet_ip_port": simulator.ethernet_ip_port,
            "modbus_port": simulator.modbus_port,
            "groups": PERIODS,
        }
        for asset, host in zip(ASSETS, HOSTS, strict=True)
    ]
    return Plant(folder, meters, sections)


def numbers_of(frames: list[LoggedFrame]) -> dict[tuple[str, str], list[int]]:
    found: dict[tuple[str, str], list[int]] = {}
    for frame in frames:
        found.setdefault((frame.asset, frame.group), []).append(frame.record.seq)
    return found


@pytest.mark.integration
@pytest.mark.slow
def test_two_replicas_then_three_poll_every_slot_once(replicas: Replicas) -> None:
    replicas.start("1/2", "2/2")
    replicas.until_all_are_polled(3)
    assert [events_of_parts(replicas)[part] for part in ("1/2", "2/2")] == [3, 3]
    replicas.stop("1/2", "2/2")
    before = replicas.frames()
    replicas.start("3/3", "1/3", "2/3")
    replicas.until_all_are_polled(3)
    assert [events_of_parts(replicas)[p] for p in ("1/3", "2/3", "3/3")] == [2, 2, 2]
    replicas.stop("1/3", "2/3", "3/3")

    first = numbers_of(before)
    second = numbers_of(replicas.frames()[len(before) :])
    assert set(first) == set(second) == {(a, g) for a in ASSETS for g in PERIODS}
    for numbers in (*first.values(), *second.values()):
        assert {after - one for one, after in pairwise(numbers)} == {1}
    pauses = [second[key][0] - numbers[-1] - 1 for key, numbers in first.items()]
    assert min(pauses) >= 0
    with EmbeddedLog(replicas.plant.log_path, create=False) as log:
        summary = summarize(log)
    assert summary.duplicates == 0
    assert summary.missing == sum(pauses)


def events_of_parts(replicas: Replicas) -> dict[str, int]:
    told = events(replicas.plant.site, "polls_part")
    assert {each["of"] for each in told} == {len(HOSTS)}
    return {each["replica"]: each["meters"] for each in told}


@pytest.mark.integration
@pytest.mark.slow
def test_changing_the_count_one_by_one_settles(replicas: Replicas) -> None:
    replicas.start("1/2", "2/2")
    replicas.until_all_are_polled(1)
    replicas.stop("2/2")
    replicas.start("3/3", "1/3")
    until(lambda: events(replicas.plant.site, "waits_for_lock")[1:], "both wait")
    replicas.stop("1/2")
    replicas.start("2/3")
    replicas.until_all_are_polled(2)
    assert sorted(running(replicas.run_folder)) == ["acquire", "acquire-2", "acquire-3"]
    replicas.stop("1/3", "2/3", "3/3")
    for numbers in numbers_of(replicas.frames()).values():
        assert len(numbers) == len(set(numbers))


@pytest.mark.integration
@pytest.mark.slow
def test_parts_of_another_count_are_refused_while_replicas_run(
    replicas: Replicas,
) -> None:
    replicas.start("1/2", "2/2")
    first, second = replicas.run("acquire").pid, replicas.run("acquire-2").pid
    replicas.start("3/3", "1/1")
    for part in ("3/3", "1/1"):
        assert replicas.processes[part].wait(30) == 3
        assert (
            f"acquire {part} cannot run beside replicas of 2: pid {first}, pid {second}"
            f" in {replicas.run_folder}\n"
        ) in (replicas.plant.folder / "stderr.log").read_text()


@pytest.mark.integration
@pytest.mark.slow
def test_the_same_part_twice_is_refused(replicas: Replicas) -> None:
    replicas.start("2/2")
    pid = replicas.run("acquire-2").pid
    replicas.start("2/2")
    assert replicas.processes["2/2"].wait(30) == 3
    assert f"acquire-2 runs already: pid {pid} holds" in replicas.text()


@pytest.mark.integration
def test_replicas_with_folders_of_their_own_have_a_log_each(
    simulator: Simulator, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        parts = {
            part: Replicas(plant_in(tmp_path / part[0], simulator), stack)
            for part in ("1/2", "2/2")
        }
        for part, machine in parts.items():
            machine.start(part)
        for machine in parts.values():
            until(lambda one=machine: len(one.frames()) > 20, "frames")  # type: ignore[misc]
            name = machine.run_folder / "retention.lock"
            assert holder_of(name) == next(iter(machine.processes.values())).pid
        for part, machine in parts.items():
            machine.stop(part)
        polled = [
            sorted({frame.asset for frame in machine.frames()})
            for machine in parts.values()
        ]
    assert polled == [sorted(ASSETS[0::2]), sorted(ASSETS[1::2])]


@pytest.mark.integration
def test_another_replica_bounds_the_log_when_the_one_that_did_is_killed(
    replicas: Replicas,
) -> None:
    lock = replicas.run_folder / "retention.lock"
    replicas.start("1/2")
    first = replicas.processes["1/2"]
    until(lambda: holder_of(lock) == first.pid, "the first bounds the log")
    replicas.start("2/2")
    replicas.run("acquire-2")
    first.kill()
    first.wait()
    second = replicas.processes["2/2"].pid
    until(lambda: holder_of(lock) == second, "the second bounds the log")


@pytest.mark.integration
def test_a_replica_without_meters_is_alive_and_stops(replicas: Replicas) -> None:
    replicas.start("7/7")
    run = replicas.run("acquire-7")
    assert get(run, "/healthz")[0] == 200
    assert get(run, "/readyz")[0] == 200
    until(lambda: events(replicas.plant.site, "nothing_to_do"), "it says so")
    replicas.stop("7/7")


@pytest.mark.integration
def test_only_the_first_publishes_and_the_others_miss_it(
    simulator: Simulator, tmp_path: Path
) -> None:
    nobody = {"host": "127.0.0.1", "port": 9}
    with ExitStack() as stack:
        plant = plant_in(tmp_path / "plant", simulator, mqtt=nobody)
        replicas = Replicas(plant, stack)
        replicas.start("2/2", flow="publish")
        second = replicas.run("publish-2")
        reason = "replica 1, which publishes, does not run on this data folder"
        until(lambda: reason in get(second, "/readyz")[1], "it misses the first")
        replicas.start("1/2", flow="publish")
        until(lambda: get(second, "/readyz")[0] == 200, "it has the first")
        replicas.stop("1/2", "2/2")


WORKER = """
import time
import structlog
from connectors.stop import STOP
from dataflows.edge_log import hold_edge_log
from dataflows.runtime import start_flow
from tests.dataflows import tiny
context = start_flow("tiny")
hold_edge_log(context)
structlog.get_logger().info("works")
while not STOP.requested:
    time.sleep(0.02)
"""


@pytest.mark.integration
def test_one_works_on_the_log_and_the_other_stands_by_until_it_is_gone(
    tmp_path: Path,
) -> None:
    site = write_site(tmp_path)

    def works() -> list[str]:
        return [each["replica"] for each in events(site, "works")]

    command = (sys.executable, "-c", WORKER)
    with process(command, site, PM500_REPLICA="1/2") as first:
        until(works, "the first works")
        with process(command, site, PM500_REPLICA="2/2") as second:
            waits = until(lambda: events(site, "stands_by"), "the second stands by")
            assert (waits[0]["replica"], waits[0]["holder"]) == ("2/2", first.pid)
            assert get(found(site, "tiny-2"), "/healthz")[0] == 200
            first.kill()
            first.wait()
            until(lambda: works() == ["1/2", "2/2"], "the second works")
            second.terminate()
            assert second.wait(30) == 0


@pytest.mark.integration
def test_a_stop_ends_the_standing_by(tmp_path: Path) -> None:
    site = write_site(tmp_path)
    command = (sys.executable, "-c", WORKER)
    with process(command, site, PM500_REPLICA="1/2"):
        until(lambda: events(site, "works"), "the first works")
        with process(command, site, PM500_REPLICA="2/2") as second:
            until(lambda: events(site, "stands_by"), "the second stands by")
            second.terminate()
            assert second.wait(30) == 0
