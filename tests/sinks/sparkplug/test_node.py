"""An edge node with the clock wound by hand, before a link that writes down."""

from __future__ import annotations

import math

from connectors.profiles import load_profile
from sinks.sparkplug.account import Mark
from sinks.sparkplug.contract import DeviceSetup, LogRecord, Part
from sinks.sparkplug.node import EdgeNode
from sinks.sparkplug.owed import NOTHING
from tests.sinks.sparkplug.judge import Judge
from transforms.codec.frame import FrameSchema, frame_schema
from transforms.codec.framing import CodecError, fingerprint_of
from transforms.model.metrics import NO_METRICS
from transforms.model.quality import Status

PROFILE = load_profile("pm500")
REALTIME = frame_schema(PROFILE, PROFILE.group_named("realtime"))
ENERGY = frame_schema(PROFILE, PROFILE.group_named("energy"))
SECOND_US = 1_000_000
NOON_US = 1_700_000_000 * SECOND_US


class World:
    """A log in a list, a clock, and a link whose server answers probes when told."""

    def __init__(self, *, history: int = 0, rate: float = 1000.0) -> None:
        self.now_us = NOON_US
        self.judge = Judge()
        self.connected = True
        self.answers = True
        self.log: list[LogRecord] = []
        self.rejected: list[LogRecord] = []
        self._probe = 0
        for n in range(history):
            self.append("m1", n, at_us=NOON_US - (history - n) * SECOND_US)
        setup = DeviceSetup(
            groups=(REALTIME, ENERGY), watched="realtime", watched_period_us=SECOND_US
        )
        end = len(self.log)
        self.node = EdgeNode(
            group="pm500",
            node="plant.hall1",
            devices={"m1": setup, "m2": setup},
            scan_rate_ms=1000,
            include_datatype=False,
            backlog_messages_per_second=rate,
            frames=self,
            start=Mark(NOTHING.add(("m1", "m2"), 0, end), end),
            clock_us=lambda: self.now_us,
            metrics=NO_METRICS,
        )
        self.node.attach(self)
        self.node.will(0)

    # What EdgeNode wants of the log and of the link.

    def schema(self, value: bytes) -> FrameSchema:
        for schema in (REALTIME, ENERGY):
            if fingerprint_of(value) == schema.fingerprint:
                return schema
        raise CodecError("unknown")

    def read(self, start: int, stop: int, maximum: int) -> Part:
        stop = min(stop, start + maximum)
        return Part(stop, self.log[start:stop])

    def reject(self, record: LogRecord, error: str) -> None:
        self.rejected.append(record)

    def publish(self, topic: str, payload: bytes, qos: int) -> bool:
        if self.connected:
            self.judge.hear(topic, payload, qos, retain=False)
        return self.connected

    def probe(self) -> int | None:
        self._probe += 1
        if self.answers:
            # The answer comes later, from another thread; here it comes at the next one.
            self.node.proved(self._probe - 1)
        return self._probe

    # What a test does.

    def append(
        self,
        device: str,
        number: int,
        *,
        status: Status = Status.OK,
        schema: FrameSchema = REALTIME,
        at_us: int | None = None,
        period_us: int = SECOND_US,
    ) -> LogRecord:
        us = self.now_us if at_us is None else at_us
        seq = us // period_us
        times = seq, period_us, seq * period_us, us, us, status
        count = len(schema.columns)
        if status:
            value = schema.encode_failed(*times)
        else:
            value = schema.encode(*times, bytes(count), [float(number)] * count)
        self.log.append(LogRecord(len(self.log), device, value))
        return self.log[-1]

    def poll(self, device: str, number: int, **how: Status | FrameSchema | int) -> None:
        record = self.append(device, number, **how)  # type: ignore[arg-type]
        self.node.take(Part(len(self.log), [record]))

    def after(self, seconds: float) -> None:
        self.now_us += int(seconds * SECOND_US)
        self.node.tick()

    def kinds(self) -> list[str]:
        return [f"{seen.type} {seen.device or ''}".strip() for seen in self.judge.seen]

    def numbers(self, *, historical: bool) -> list[float]:
        of_volts = self.judge.readings("voltageAN", historical=historical)
        return [metric.value for metric in of_volts]


def test_a_device_is_born_with_its_first_answer() -> None:
    world = World()
    world.node.subscribed()
    world.poll("m1", 1, status=Status.TIMEOUT)
    world.poll("m2", 2)
    world.after(1)
    world.poll("m2", 3)
    assert world.kinds() == ["NBIRTH", "DBIRTH m2", "DDATA m2"]
    assert world.numbers(historical=False) == [2, 3]


def test_births_after_a_break_carry_the_newest_values() -> None:
    world = World()
    for number in (1, 2):
        world.poll("m1", number)
        world.after(1)
    world.node.subscribed()
    assert world.kinds() == ["NBIRTH", "DBIRTH m1"]
    assert world.numbers(historical=False) == [2]


def test_frames_that_could_not_go_follow_as_history_after_the_births() -> None:
    world = World()
    for number in (1, 2, 3):
        world.poll("m1", number)
        world.after(1)
    world.node.subscribed()
    world.poll("m1", 4)
    world.after(1)
    assert world.numbers(historical=True) == [1, 2, 3]
    assert world.judge.violations == []


def test_history_waits_until_its_device_is_born() -> None:
    world = World(history=5)
    world.node.subscribed()
    world.poll("m2", 1)
    for _ in range(3):
        world.after(1)
    assert world.numbers(historical=True) == []
    assert world.node.mark().lowest == 0
    world.poll("m1", 9)
    world.after(1)
    assert world.numbers(historical=True) == [0, 1, 2, 3, 4]
    world.after(1)
    world.after(1)
    assert world.node.mark() == Mark(NOTHING, len(world.log))


def test_a_meter_that_was_dead_all_along_holds_nothing_up() -> None:
    world = World()
    world.node.subscribed()
    for _ in range(5):
        world.poll("m1", 1)
        world.poll("m2", 0, status=Status.TIMEOUT)
        world.after(1)
    world.node.disconnected()
    world.poll("m1", 2)
    world.node.subscribed()
    for _ in range(3):
        world.after(1)
    assert world.node.mark() == Mark(NOTHING, len(world.log))


def test_the_backlog_keeps_its_rate() -> None:
    world = World(history=100, rate=20)
    world.poll("m1", 200)
    world.node.subscribed()
    sent = []
    for _ in range(10):
        world.after(0.2)
        sent.append(len(world.numbers(historical=True)))
    assert sent == [4 * n for n in range(1, 11)]


def test_the_backlog_stands_while_the_server_proves_nothing() -> None:
    world = World(history=1000, rate=20)
    world.answers = False
    world.poll("m1", 2000)
    world.node.subscribed()
    for _ in range(30):
        world.after(1)
    assert len(world.numbers(historical=True)) <= 5 * 8
    assert world.node.mark().lowest == 0


def test_what_was_not_proved_is_sent_again_after_a_break() -> None:
    world = World()
    world.node.subscribed()
    world.answers = False
    for number in (1, 2, 3):
        world.poll("m1", number)
    world.node.disconnected()
    world.node.subscribed()
    world.after(1)
    assert world.numbers(historical=True) == [1, 2, 3]


def test_a_link_found_broken_by_a_frame_owes_that_frame() -> None:
    world = World()
    world.node.subscribed()
    world.poll("m1", 1)
    world.connected = False
    world.poll("m1", 2)
    world.connected = True
    world.node.subscribed()
    world.after(1)
    assert 2 in world.numbers(historical=True)
    assert world.judge.violations == []


def test_an_old_frame_is_history_and_no_sign_of_life() -> None:
    world = World()
    world.node.subscribed()
    world.poll("m1", 1)
    record = world.append("m1", 7, at_us=world.now_us - 6 * SECOND_US)
    world.node.take(Part(len(world.log), [record]))
    world.after(1)
    assert world.numbers(historical=False) == [1]
    assert world.numbers(historical=True) == [7]


def test_a_silent_acquisition_ends_the_device() -> None:
    world = World()
    world.node.subscribed()
    world.poll("m1", 1)
    for _ in range(10):
        world.after(1)
    assert "DDEATH m1" not in world.kinds()
    world.after(1)
    assert "DDEATH m1" in world.kinds()


def test_a_meter_that_is_polled_more_slowly_now_is_lost_and_back() -> None:
    world, slow = World(), 10 * SECOND_US
    world.node.subscribed()
    world.poll("m1", 1)
    for status in (Status.OK, *[Status.TIMEOUT] * 3, Status.OK):
        world.after(10)
        world.poll("m1", 2, status=status, period_us=slow)
    of_life = [kind for kind in world.kinds() if kind in ("DBIRTH m1", "DDEATH m1")]
    assert of_life == ["DBIRTH m1", "DDEATH m1", "DBIRTH m1"]


def test_other_groups_of_a_lost_device_follow_after_its_return() -> None:
    world = World()
    world.node.subscribed()
    world.poll("m1", 1)
    for _ in range(3):
        world.after(1)
        world.poll("m1", 0, status=Status.TIMEOUT)
    world.poll("m1", 5, schema=ENERGY)
    world.after(1)
    assert world.kinds() == ["NBIRTH", "DBIRTH m1", "DDEATH m1"]
    world.poll("m1", 2)
    world.after(1)
    assert world.kinds()[3:] == ["DBIRTH m1", "DDATA m1"]
    energy = world.judge.readings("energyImport")
    assert [(m.value, m.historical) for m in energy] == [(5.0, False), (5.0, True)]


def test_a_record_that_is_no_frame_is_set_aside_and_the_rest_goes_on() -> None:
    world = World()
    world.node.subscribed()
    bad = LogRecord(0, "m1", REALTIME.header + b"cut")
    world.log.append(bad)
    world.node.take(Part(1, [bad]))
    world.poll("m1", 1)
    assert world.rejected == [bad]
    assert world.numbers(historical=False) == [1]


def test_node_data_comes_every_ten_seconds() -> None:
    world = World()
    world.node.subscribed()
    for _ in range(25):
        world.after(1)
    uptime = [seen.payload.metrics[0].value for seen in world.judge.of("NDATA")]
    assert uptime == [10, 20]


def test_commands_that_cannot_be_read_change_nothing() -> None:
    world = World()
    world.node.subscribed()
    world.node.command("spBv1.0/pm500/NCMD/plant.hall1", b"\xff\xff")
    world.node.command("somewhere/else", b"")
    assert world.kinds() == ["NBIRTH"]


def test_a_value_that_is_no_number_is_null() -> None:
    world = World()
    world.node.subscribed()
    count = len(REALTIME.columns)
    seq = NOON_US // SECOND_US
    times = seq, SECOND_US, NOON_US, NOON_US, NOON_US, Status.OK
    value = REALTIME.encode(*times, bytes([101] * count), [math.nan] * count)
    world.log.append(LogRecord(0, "m1", value))
    world.node.take(Part(1, world.log))
    assert all(metric.null for metric in world.judge.seen[-1].payload.metrics[:count])
    assert world.judge.violations == []


def answer(second: int, quality: bytes, values: list[float]) -> bytes:
    """A partial frame of REALTIME."""
    slot_us = NOON_US + second * SECOND_US
    times = slot_us // SECOND_US, SECOND_US, slot_us, slot_us, slot_us, Status.PARTIAL
    return REALTIME.encode(*times, quality, values)


def test_a_reading_that_did_not_come_keeps_the_last_that_was_a_number() -> None:
    world = World()
    world.node.subscribed()
    count = len(REALTIME.columns)
    frames = [
        answer(0, bytes(count), [230.0] * count),
        answer(1, bytes([102] * count), [math.nan] * count),
        answer(2, bytes([0] + [100] * (count - 1)), [231.0] + [math.nan] * (count - 1)),
    ]
    for offset, value in enumerate(frames):
        world.log.append(LogRecord(offset, "m1", value))
        world.now_us = NOON_US + offset * SECOND_US
        world.node.take(Part(offset + 1, world.log[offset:]))
    metrics = world.judge.seen[-1].payload.metrics
    assert [metric.value for metric in metrics] == [231.0] + [230.0] * (count - 1)
    qualities = [metric.properties.get("Quality") for metric in metrics]
    assert qualities == [192] + [500] * (count - 1)
    assert world.judge.violations == []
