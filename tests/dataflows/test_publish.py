"""The publisher as a real process, before a real MQTT server, under a judge."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from connectors.log.contract import FRAMES
from connectors.log.dead import letters
from connectors.log.embedded import EmbeddedLog
from connectors.log.schemas import publish_schemas
from connectors.profiles import load_profile
from dataflows.broker import DemoBroker
from dataflows.instance import running
from sinks.sparkplug.payload import REBIRTH, DataType, Payload, add_metric
from tests.dataflows.processes import get
from tests.kit import Flow, Plant, until
from tests.mosquitto import free_port
from tests.sinks.sparkplug.gate import Gate
from tests.sinks.sparkplug.judge import Judge
from tests.sinks.sparkplug.servers import Host, Mosquitto, accepts, needs_mosquitto
from transforms.codec.frame import frame_schema
from transforms.model.quality import Status

pytestmark = [pytest.mark.integration, needs_mosquitto]

PROFILE = load_profile("pm500")
REALTIME = frame_schema(PROFILE, PROFILE.group_named("realtime"))
ENERGY = frame_schema(PROFILE, PROFILE.group_named("energy"))
METERS = ("hall1/m1", "hall1/m2", "hall2/m3")
NUMBER = "voltageAN"  # carries the frame's own number, so that none can go unseen


class Acquisition(threading.Thread):
    """Appends a frame of every meter each 20 ms, as acquire would, until told to end."""

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        self._path = path
        self._end = threading.Event()
        self._ready = threading.Event()
        self.silent: set[str] = set()
        self.dead: set[str] = set()
        self.numbers: dict[str, list[int]] = {meter: [] for meter in METERS}

    def run(self) -> None:
        log = EmbeddedLog(self._path)
        publish_schemas(log, (REALTIME, ENERGY))
        self._ready.set()
        seq = int(time.time() * 50)
        number = 0
        while not self._end.wait(0.02):
            number += 1
            seq += 1
            now_us = time.time_ns() // 1000
            for meter in METERS:
                if meter in self.silent:
                    continue
                status = Status.TIMEOUT if meter in self.dead else Status.OK
                key = f"plant/{meter}"
                log.append(FRAMES, [(key, realtime(seq, now_us, number, status))])
                if not status:
                    self.numbers[meter].append(number)
        log.close()

    def begin(self) -> None:
        self.start()
        assert self._ready.wait(30)

    def end(self) -> None:
        self._end.set()
        if self.is_alive():
            self.join(10)


def realtime(seq: int, now_us: int, number: int, status: Status) -> bytes:
    times = seq, 20_000, seq * 20_000, now_us, now_us, status
    if status:
        return REALTIME.encode_failed(*times)
    count = len(REALTIME.columns)
    return REALTIME.encode(*times, bytes(count), [float(number)] * count)


class Stage:
    """A plant with its acquisition, a server, a host that judges, and the publisher."""

    def __init__(
        self, folder: Path, port: int, host_qos: int = 1, **mqtt: object
    ) -> None:
        meters: list[dict[str, object]] = [
            {
                "asset": meter,
                "host": f"127.0.0.{number}",
                "groups": {"realtime": 1, "energy": 10},
            }
            for number, meter in enumerate(METERS, 1)
        ]
        self.gate = Gate(port)
        section = {"host": "127.0.0.1", "port": self.gate.port, **mqtt}
        self.plant = Plant(folder / "plant", meters, {"mqtt": section})
        self.acquisition = Acquisition(self.plant.log_path)
        self.plant.log_path.parent.mkdir(parents=True)
        self.host = Host(port, host_qos)

    @property
    def judge(self) -> Judge:
        return self.host.judge

    def publish(self) -> Flow:
        """Start the publisher; nothing is acquired before its very first session."""
        flow = self.plant.start("run", "publish")
        if not self.acquisition.is_alive():
            self.saw("NBIRTH", count=2)
            self.acquisition.begin()
        return flow

    def saw(self, kind: str, device: str | None = None, count: int = 1) -> None:
        until(
            lambda: len(self.judge.of(kind, device)) >= count,
            f"{count} {kind} of {device}",
            20,
            pause=0.01,
        )

    def numbers(self, meter: str, *, historical: bool | None = None) -> set[int]:
        node, device = f"plant.{meter.partition('/')[0]}", meter.partition("/")[2]
        return {
            int(metric.value)
            for seen in list(self.judge.seen)
            if seen.type in ("DBIRTH", "DDATA")
            and (seen.node, seen.device) == (node, device)
            for metric in seen.payload.metrics[:1]
            if historical in (None, metric.historical) and metric.value is not None
        }

    def has_all(self) -> Callable[[], bool]:
        return lambda: all(
            set(self.acquisition.numbers[meter]) <= self.numbers(meter)
            for meter in METERS
        )

    def ready(self) -> int:
        """The status of /readyz; 0 before the flow has a port."""
        run = running(self.plant.folder / "data" / "run").get("publish")
        return get(run, "/readyz")[0] if run else 0


@contextmanager
def stage(
    folder: Path, port: int, host_qos: int = 1, **mqtt: object
) -> Iterator[Stage]:
    made = Stage(folder, port, host_qos, **mqtt)
    try:
        with made.host:
            yield made
            assert made.host.errors == []
            assert made.judge.violations == []
    finally:
        made.acquisition.end()
        made.plant.close()
        made.gate.close()


def rebirth_command() -> bytes:
    payload = Payload(timestamp=int(time.time() * 1000))
    add_metric(payload, REBIRTH, DataType.BOOLEAN, True, payload.timestamp)
    encoded: bytes = payload.SerializeToString()
    return encoded


def test_a_session_from_births_over_the_turn_of_seq_to_the_goodbye(
    tmp_path: Path,
) -> None:
    with Mosquitto(tmp_path) as server, stage(tmp_path, server.port) as s:
        publisher = s.publish()
        s.saw("DDATA", "m1", 300)
        assert s.ready() == 200
        assert publisher.stop() == 0
        s.saw("NDEATH", count=2)
        kinds = [seen.type for seen in s.judge.seen if seen.node == "plant.hall1"]
        assert kinds[0] == "NBIRTH"
        assert kinds[-3:] == ["DDEATH", "DDEATH", "NDEATH"]
        assert "Client pm500/plant.hall1 disconnected." in server.log()
        wills = [line for line in server.log().splitlines() if "Will message" in line]
        assert all("(r0, q1)" in line for line in wills)
        assert len(wills) == 2


def test_tck_id_message_flow_edge_node_ncmd_subscribe(tmp_path: Path) -> None:
    with Mosquitto(tmp_path) as server, stage(tmp_path, server.port) as s:
        s.publish()
        s.saw("NBIRTH", count=2)
        lines = [line for line in server.log().splitlines() if "plant.hall1" in line]
        subscriptions = [
            next(i for i, line in enumerate(lines) if text in line)
            for text in (
                "spBv1.0/pm500/NCMD/plant.hall1 (QoS 1)",
                "spBv1.0/pm500/DCMD/plant.hall1/# (QoS 1)",
                "Sending SUBACK to pm500/plant.hall1",
                "Received PUBLISH from pm500/plant.hall1 (d0, q0, r0, m0, "
                "'spBv1.0/pm500/NBIRTH/plant.hall1'",
            )
        ]
        assert subscriptions == sorted(subscriptions)


def test_tck_id_principles_persistence_clean_session_311(tmp_path: Path) -> None:
    with Mosquitto(tmp_path) as server, stage(tmp_path, server.port) as s:
        s.publish()
        s.saw("NBIRTH", count=2)
        lines = [line for line in server.log().splitlines() if "as pm500/" in line]
        assert len(lines) == 2
        assert all("(p2, c1, " in line for line in lines)


def test_tck_id_topics_nbirth_bdseq_matching_and_increment(tmp_path: Path) -> None:
    with Mosquitto(tmp_path) as server, stage(tmp_path, server.port) as s:
        first = s.publish()
        s.saw("DDATA", "m1", 20)
        first.kill()
        s.saw("NDEATH", count=2)
        second = s.publish()
        s.saw("NBIRTH", count=4)
        s.saw("DDATA", "m1", 40)
        assert second.stop() == 0
        s.publish()
        s.saw("NBIRTH", count=6)
        of_hall1 = [seen for seen in s.judge.of("NBIRTH") if seen.node == "plant.hall1"]
        bd_seqs = [seen.payload.named("bdSeq").value for seen in of_hall1]
        assert bd_seqs == [0, 1, 2]
        s.acquisition.end()
        until(s.has_all(), "every frame, those of the downtime too", 20)


def test_tck_id_operational_behavior_device_ddeath(tmp_path: Path) -> None:
    with Mosquitto(tmp_path) as server, stage(tmp_path, server.port) as s:
        s.publish()
        s.saw("DDATA", "m1", 10)
        s.acquisition.dead.add("hall1/m1")
        s.saw("DDEATH", "m1")
        others = len(s.judge.of("DDATA", "m2"))
        s.saw("DDATA", "m2", others + 5)
        s.acquisition.dead.clear()
        s.saw("DBIRTH", "m1", 2)
        s.saw("DDATA", "m1", 20)
        assert len(s.judge.of("NBIRTH")) == 2
        assert len(s.judge.of("DDEATH")) == 1


def test_tck_id_operational_behavior_data_commands_rebirth_action_1(
    tmp_path: Path,
) -> None:
    with Mosquitto(tmp_path) as server, stage(tmp_path, server.port) as s:
        s.publish()
        s.saw("DDATA", "m1", 10)
        s.host.command("spBv1.0/pm500/NCMD/plant.hall1", rebirth_command())
        s.saw("NBIRTH", count=3)
        s.saw("DDATA", "m1", len(s.judge.of("DDATA", "m1")) + 5)
        mine = [seen for seen in s.judge.seen if seen.node == "plant.hall1"]
        mine = [seen for seen in mine if seen.type != "NCMD"]
        births = [i for i, seen in enumerate(mine) if seen.type == "NBIRTH"]
        assert [seen.type for seen in mine[births[1] :][:4]] == [
            "NBIRTH", "DBIRTH", "DBIRTH", "DDATA",
        ]  # fmt: skip
        assert [mine[i].payload.named("bdSeq").value for i in births] == [0, 0]


def test_other_commands_are_refused_and_said(tmp_path: Path) -> None:
    with Mosquitto(tmp_path) as server, stage(tmp_path, server.port) as s:
        publisher = s.publish()
        s.saw("NBIRTH", count=2)
        payload = Payload(timestamp=1)
        add_metric(payload, "Node Control/Reboot", DataType.BOOLEAN, True, 1)
        add_metric(payload, "voltageAN", DataType.FLOAT, 1.0, 1)
        for topic in ("NCMD/plant.hall1", "DCMD/plant.hall1/m1"):
            s.host.command(f"spBv1.0/pm500/{topic}", payload.SerializeToString())
        until(lambda: publisher.text().count("command_refused") == 4, "refusals", 10)
        assert len(s.judge.of("NBIRTH")) == 2


def frames_pass(s: Stage, count: int) -> int:
    """Wait for so many more frames; how many there were before."""
    numbers = s.acquisition.numbers["hall1/m1"]
    before = len(numbers)
    until(lambda: len(numbers) >= before + count, "frames", 20)
    return before


def test_an_outage_of_the_server_leaves_no_frame_out(tmp_path: Path) -> None:
    with Mosquitto(tmp_path) as server, stage(tmp_path, server.port) as s:
        s.publish()
        s.saw("DDATA", "m1", 50)
        server.kill()
        until(lambda: s.ready() == 503, "not ready", 10)
        s.gate.shut()  # the host must be there first, or it misses the births
        server.start()
        s.host.ready()
        missed = frames_pass(s, 100)
        s.gate.open()
        s.saw("NBIRTH", count=4)
        s.acquisition.end()
        until(s.has_all(), "every frame", 20)
        assert s.ready() == 200
        numbers = s.acquisition.numbers["hall1/m1"]
        assert set(numbers[missed : missed + 90]) <= s.numbers(
            "hall1/m1", historical=True
        )
        assert set(numbers[:10]) <= s.numbers("hall1/m1", historical=False)


def test_lines_cut_again_and_again_leave_no_frame_out(tmp_path: Path) -> None:
    with Mosquitto(tmp_path) as server, stage(tmp_path, server.port) as s:
        s.publish()
        for cut in range(1, 6):
            frames_pass(s, 20)
            s.gate.shut()
            s.saw("NDEATH", count=2 * cut)
            s.gate.open()
            s.saw("NBIRTH", count=2 * cut + 2)
        s.acquisition.end()
        until(s.has_all(), "every frame", 20)


def test_attempts_without_a_socket_do_not_count_for_bd_seq(tmp_path: Path) -> None:
    with Mosquitto(tmp_path) as server, stage(tmp_path, server.port) as s:
        s.gate.close()
        flow = s.plant.start("run", "publish")
        until(lambda: flow.text().count("cannot be reached") == 2, "both held", 10)
        assert s.ready() == 503
        s.gate.reopen()
        s.saw("NBIRTH", count=2)
        births = s.judge.of("NBIRTH")
        assert [b.payload.named("bdSeq").value for b in births] == [0, 0]


def test_the_backlog_keeps_its_rate_and_lets_live_frames_pass(tmp_path: Path) -> None:
    with (
        Mosquitto(tmp_path) as server,
        stage(tmp_path, server.port, backlog_messages_per_second=40) as s,
    ):
        publisher = s.publish()
        s.saw("DDATA", "m1", 10)
        assert publisher.stop() == 0
        frames_pass(s, 100)
        s.publish()
        s.saw("NBIRTH", count=4)
        began = time.monotonic()
        at_start = len(s.judge.seen)
        until(s.has_all(), "every frame", 30)
        s.acquisition.end()
        # 100 frames each of two meters, at 20 a second for each of the edge nodes.
        assert time.monotonic() - began > 8
        data = [
            seen.historical for seen in s.judge.seen[at_start:] if seen.type == "DDATA"
        ]
        first_old, last_live = data.index(True), len(data) - data[::-1].index(False)
        assert last_live > first_old + 100


def test_a_killed_publisher_leaves_no_frame_out(tmp_path: Path) -> None:
    with Mosquitto(tmp_path) as server, stage(tmp_path, server.port) as s:
        for run in range(1, 4):
            publisher = s.publish()
            s.saw("NBIRTH", count=2 * run)
            s.saw("DDATA", "m1", len(s.judge.of("DDATA", "m1")) + 10 * run)
            os.kill(publisher.pid, signal.SIGKILL)
            publisher.process.wait()
            s.saw("NDEATH", count=2 * run)
        s.publish()
        s.saw("NBIRTH", count=8)
        s.acquisition.end()
        until(s.has_all(), "every frame", 20)


def test_a_record_that_is_no_frame_is_set_aside(tmp_path: Path) -> None:
    with Mosquitto(tmp_path) as server, stage(tmp_path, server.port) as s:
        s.publish()
        s.saw("DDATA", "m1", 5)
        with EmbeddedLog(s.plant.log_path) as log:
            log.append(FRAMES, [("plant/hall1/m1", b"no frame")])
            log.append(FRAMES, [("plant/elsewhere/m9", b"not ours")])
            found = until(lambda: letters(log), "a dead letter", 10)
        assert [letter.value for letter in found.values()] == [b"no frame"]
        s.saw("DDATA", "m1", len(s.judge.of("DDATA", "m1")) + 5)


def test_a_refused_password_is_held_and_said_once(tmp_path: Path) -> None:
    with Mosquitto(tmp_path, "allow_anonymous false") as server:
        plant = Plant(
            tmp_path / "plant",
            [{"asset": "hall1/m1", "host": "127.0.0.1"}],
            {"mqtt": {"host": "127.0.0.1", "port": server.port}},
        )
        try:
            publisher = plant.start("run", "publish")
            until(lambda: publisher.text().count("refused") >= 1, "a refusal", 10)
            until(lambda: server.log().count("not authorised") >= 3, "attempts", 15)
            assert publisher.text().count("refused: Not authorized") == 1
            assert publisher.stop() == 0
        finally:
            plant.close()


def test_the_demo_broker_carries_a_session(tmp_path: Path) -> None:
    pytest.importorskip("amqtt", reason="the extra `demo` is not installed")
    with DemoBroker() as broker, stage(tmp_path, broker.port, host_qos=0) as s:
        publisher = s.publish()
        s.saw("DDATA", "m1", 30)
        assert publisher.stop() == 0
        s.saw("NDEATH", count=2)


def test_the_demo_broker_ends_with_its_process() -> None:
    pytest.importorskip("amqtt", reason="the extra `demo` is not installed")
    code = (
        "import os\nfrom dataflows.broker import DemoBroker\n"
        "with DemoBroker() as b:\n print(b.port, flush=True)\n os.kill(os.getpid(), 9)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, stdout=subprocess.PIPE, text=True
    )
    port = int(done.stdout)
    until(lambda: not accepts(port), "the broker is gone", 10)


def test_an_unreachable_server_does_not_hold_up_the_stop(tmp_path: Path) -> None:
    plant = Plant(
        tmp_path,
        [{"asset": f"hall{n}/m", "host": f"127.0.0.{n + 1}"} for n in range(10)],
        {"mqtt": {"host": "127.0.0.1", "port": free_port()}},
    )
    try:
        publisher = plant.start("run", "publish")
        until(lambda: publisher.text().count("cannot be reached") == 10, "held", 10)
        assert publisher.stop(3) == 0
    finally:
        plant.close()


def test_the_password_comes_from_its_file(tmp_path: Path) -> None:
    if not shutil.which("mosquitto_passwd"):
        pytest.skip("mosquitto_passwd is not installed")
    users = tmp_path / "users"
    users.touch(mode=0o600)
    command = ["mosquitto_passwd", "-b", str(users), "edge", "s3cret"]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    (tmp_path / "password").write_text("s3cret\n")
    settings = ("allow_anonymous false", f"password_file {users}", "user root")
    with Mosquitto(tmp_path, *settings) as server:
        mqtt = {"port": server.port, "username": "edge"}
        plant = Plant(
            tmp_path / "plant",
            [{"asset": "hall1/m1", "host": "127.0.0.1"}],
            {"mqtt": mqtt | {"host": "127.0.0.1", "password_file": "../password"}},
        )
        try:
            publisher = plant.start("run", "publish")
            until(lambda: "mqtt_online" in publisher.text(), "a session", 10)
            assert publisher.stop() == 0
        finally:
            plant.close()
