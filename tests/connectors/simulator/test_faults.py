"""Each fault does what it says, and the record says so."""

from __future__ import annotations

import math
import struct
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Literal

import pytest

from connectors.simulator import (
    Fault,
    SimulatedMeter,
    Simulator,
    running_simulator,
    seeded_faults,
)
from connectors.simulator.faults import KINDS
from tests.connectors.simulator.wire import RawEthernetIp, RawModbus, read_assembly

METERS = [
    SimulatedMeter(
        name="one",
        address="127.1.0.1",
        modbus_suspends_ethernet_ip=False,
        single_modbus_socket=False,
    ),
    SimulatedMeter(name="two", address="127.1.0.2", modbus_suspends_ethernet_ip=False),
    SimulatedMeter(name="em24", address="127.1.0.3", profile="em24"),
]
START_US = 1_760_000_000_000_000
integration = pytest.mark.integration


class Clock:
    """A clock that a test winds."""

    def __init__(self) -> None:
        self.us = START_US

    def __call__(self) -> int:
        return self.us


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def simulator(clock: Clock) -> Iterator[Simulator]:
    with running_simulator(METERS, clock=clock) as running:
        yield running


def until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    waiting = threading.Event()
    for _ in range(int(seconds / 0.005)):
        if condition():
            return
        waiting.wait(0.005)
    raise AssertionError("it did not come to pass")


def floats(data: bytes) -> tuple[float, ...]:
    return struct.unpack(f"<{len(data) // 4}f", data)


@integration
def test_a_fault_is_of_its_meter_and_its_window(
    simulator: Simulator, clock: Clock
) -> None:
    second = 1_000_000
    simulator.add_fault(
        Fault(
            kind="cip_error",
            meter="one",
            start_us=START_US + second,
            end_us=START_US + 2 * second,
        )
    )
    seen = []
    with RawEthernetIp(simulator) as one, RawEthernetIp(simulator, "127.1.0.2") as two:
        for step in (0, 1, 2):
            clock.us = START_US + step * second
            seen.append(
                (one.status(read_assembly(101)), two.status(read_assembly(101)))
            )
    assert seen == [(0, 0), (0x10, 0), (0, 0)]


@integration
def test_a_fault_may_be_of_one_block(simulator: Simulator) -> None:
    simulator.add_fault(Fault(kind="cip_error", meter="one", block=102, cip_status=5))
    with RawEthernetIp(simulator) as client:
        assert client.status(read_assembly(101)) == 0
        assert client.status(read_assembly(102)) == 5
    with RawModbus(simulator) as client:
        assert client.read(0x0050, 2)[0] == 4
    assert [r.fault for r in simulator.record.of(block=102)] == ["cip_error"]


@integration
def test_refuse_resets_open_and_new_connections_and_lets_go(
    simulator: Simulator, clock: Clock
) -> None:
    with RawEthernetIp(simulator) as client:
        simulator.add_fault(
            Fault(kind="refuse", meter="one", end_us=START_US + 1_000_000)
        )
        with pytest.raises((EOFError, ConnectionResetError)):
            client.take(1)
    with pytest.raises((EOFError, ConnectionError)), RawEthernetIp(simulator):
        pass
    clock.us += 2_000_000
    with RawEthernetIp(simulator) as client:
        assert len(client.data(101)) == 48
    events = [e.what for e in simulator.record.connections]
    assert events[:4] == ["opened", "closed", "refused", "opened"]


@integration
def test_a_delayed_answer_comes_after_the_answer_to_a_later_request(
    simulator: Simulator,
) -> None:
    simulator.add_fault(Fault(kind="delay", meter="one", block=101, delay_seconds=0.2))
    with RawEthernetIp(simulator) as client:
        began = time.monotonic()
        client.tell_cip(read_assembly(101))
        client.tell_cip(read_assembly(102))
        assert len(client.reply()) == 44 + 72
        assert len(client.reply()) == 44 + 48
        assert time.monotonic() - began >= 0.19
    entry = simulator.record.of(block=101)[0]
    assert entry.faults == ("delay",)
    assert entry.answer


@integration
def test_an_answer_that_never_comes(simulator: Simulator) -> None:
    simulator.add_fault(Fault(kind="delay", meter="one", delay_seconds=math.inf))
    with RawEthernetIp(simulator, timeout_seconds=0.1) as client:
        client.tell_cip(read_assembly(101))
        with pytest.raises(TimeoutError):
            client.take(1)
    entry = simulator.record.of(block=101)[0]
    assert (entry.faults, entry.sent_us, entry.answer) == (("delay",), None, b"")


@integration
def test_a_late_answer_is_dropped_where_the_client_has_gone(
    simulator: Simulator,
) -> None:
    simulator.add_fault(Fault(kind="delay", meter="one", delay_seconds=60))
    with RawEthernetIp(simulator) as client:
        client.tell_cip(read_assembly(101))
        until(lambda: simulator.record.of(block=101))
    until(lambda: simulator.record.open_connections("one") == 0)
    assert simulator.record.of(block=101)[0].sent_us is None


@integration
def test_truncate_sends_a_part_and_closes(simulator: Simulator) -> None:
    simulator.add_fault(Fault(kind="truncate", meter="one", keep_bytes=50))
    with RawEthernetIp(simulator) as client:
        client.tell_cip(read_assembly(101))
        assert len(client.take(50)) == 50
        with pytest.raises(EOFError):
            client.take(1)
    assert len(simulator.record.of(block=101)[0].answer) == 50


@integration
@pytest.mark.parametrize("extra", [-48, -4, -1, 1, 4, 24])
def test_wrong_length_has_a_consistent_header(simulator: Simulator, extra: int) -> None:
    simulator.add_fault(Fault(kind="wrong_length", meter="one", extra_bytes=extra))
    with RawEthernetIp(simulator) as client:
        client.tell_cip(read_assembly(101))
        answer = client.reply()
    assert len(answer) == 44 + 48 + extra
    assert struct.unpack_from("<H", answer, 38)[0] == 4 + 48 + extra
    with RawModbus(simulator) as client:
        pdu = client.read(0x0050, 58)
    assert (len(pdu), pdu[1]) == (2 + 116 + extra, 116 + extra)


@integration
def test_modbus_exceptions_have_their_code(simulator: Simulator) -> None:
    simulator.add_fault(
        Fault(kind="modbus_exception", meter="one", exception_code=6, block=0x0500)
    )
    with RawModbus(simulator) as client:
        assert client.read(0x0500, 36) == b"\x84\x06"
        assert client.read(0x0050, 58)[:2] == b"\x04\x74"
    first = simulator.record.of(block=0x0500)[0]
    assert first.faults == ("modbus_exception",)
    assert first.values["energyImport"] > 0


@integration
def test_garbage_has_the_answers_length_and_the_record_the_true_values(
    simulator: Simulator,
) -> None:
    with RawEthernetIp(simulator) as client:
        true = client.data(101)
        simulator.add_fault(Fault(kind="garbage", meter="one"))
        client.tell_cip(read_assembly(101))
        noise = client.take(44 + 48)
    good, bad = simulator.record.of(block=101)
    assert true not in noise
    assert bad.answer == noise
    assert bad.values == good.values
    assert (good.faults, bad.faults) == ((), ("garbage",))


@integration
def test_drip_sends_byte_by_byte(simulator: Simulator) -> None:
    simulator.add_fault(Fault(kind="drip", meter="one", delay_seconds=0.002))
    with RawEthernetIp(simulator) as client:
        began = time.monotonic()
        assert len(client.data(108)) == 4
        assert time.monotonic() - began > 0.05
    until(lambda: simulator.record.of(block=108)[0].answer)


@integration
@pytest.mark.parametrize(
    ("reading", "test"),
    [("nan", math.isnan), ("inf", math.isinf), ("overload", lambda v: v > 1e9)],
)
def test_gauges_may_be_no_numbers(
    simulator: Simulator,
    reading: Literal["nan", "inf", "overload"],
    test: Callable[[float], bool],
) -> None:
    simulator.add_fault(Fault(kind="nan", meter="one", reading=reading))
    with RawEthernetIp(simulator) as client:
        assert all(test(v) for v in floats(client.data(101)))
        assert not any(test(v) for v in floats(client.data(107)))
    with RawModbus(simulator) as client:
        words = client.read(0x0050, 2)[2:]
        assert test(struct.unpack(">f", words[2:] + words[:2])[0])
    assert simulator.record.of(block=101)[0].values["voltageAN"] > 200
    assert simulator.record.of(block=107)[0].faults == ()


@integration
def test_one_quantity_may_be_no_number(simulator: Simulator) -> None:
    simulator.add_fault(Fault(kind="nan", meter="one", quantity="currentB"))
    with RawEthernetIp(simulator) as client:
        volts = floats(client.data(101))
    assert [math.isnan(v) for v in volts] == [False] * 9 + [True] + [False] * 2


@integration
def test_an_integer_gauge_reads_its_full_scale(simulator: Simulator) -> None:
    simulator.add_fault(Fault(kind="nan", meter="em24"))
    with RawModbus(simulator, "127.1.0.3") as client:
        assert client.read(0x0000, 2)[2:] == bytes.fromhex("FFFF 7FFF")


@integration
def test_words_may_be_swapped(simulator: Simulator) -> None:
    with RawEthernetIp(simulator) as client:
        true = client.data(101)
        simulator.add_fault(Fault(kind="swapped_words", meter="one"))
        swapped = client.data(101)
    assert swapped[:4] == true[2:4] + true[:2]


@integration
def test_counters_may_read_zero_for_a_while(simulator: Simulator) -> None:
    simulator.add_fault(Fault(kind="counter_zero", meter="one"))
    with RawEthernetIp(simulator) as client:
        assert client.data(107) == bytes(72)
        assert client.data(101) != bytes(48)
    with RawModbus(simulator) as client:
        assert client.read(0x0500, 36)[2:] == bytes(72)
    assert simulator.record.of(block=107)[0].values["energyImport"] > 0


@integration
def test_state_faults_change_what_the_meter_truly_says(
    simulator: Simulator, clock: Clock
) -> None:
    hour = 3_600_000_000
    simulator.add_fault(Fault(kind="counter_reset", meter="one", start_us=START_US + 1))
    with RawModbus(simulator) as client:
        client.read(0x0500, 36)
        clock.us += hour
        client.read(0x0500, 36)
    before, after = (r.values for r in simulator.record.of(block=0x0500))
    load = simulator.device("one").load
    used = (
        load.energy(START_US + hour)["energyImport"]
        - load.energy(START_US + 1)["energyImport"]
    )
    assert before["energyImport"] > 1000
    assert after["energyImport"] == pytest.approx(used, abs=0.002)
    assert after["operatingHours"] > before["operatingHours"]


@integration
def test_a_counter_rolls_over_at_ten_digits(simulator: Simulator, clock: Clock) -> None:
    simulator.add_fault(
        Fault(kind="counter_rollover", meter="one", start_us=START_US + 1_000_000)
    )
    with RawModbus(simulator) as client:
        client.read(0x0500, 4)
        clock.us += 3_000_000
        client.read(0x0500, 4)
    before, after = (
        r.values["energyImport"] for r in simulator.record.of(block=0x0500)
    )
    assert 9_999_999_999.9 < before < 1e10
    assert 0 <= after < 0.1


@integration
def test_a_swapped_meter_has_another_serial_and_other_counters(
    simulator: Simulator, clock: Clock
) -> None:
    simulator.add_fault(
        Fault(kind="meter_swap", meter="one", start_us=START_US + 1, counter_kwh=12.5)
    )
    with RawEthernetIp(simulator) as client:
        identity = bytes.fromhex("0E0320012401 3006")
        first = client.cip(identity)[4:]
        clock.us += 100_000
        second = client.cip(identity)[4:]
        client.data(107)
        client.data(100)
    assert (first, second) == (
        struct.pack("<I", 940_000_000),
        struct.pack("<I", 940_500_000),
    )
    energy = simulator.record.of(block=107)[0].values["energyImport"]
    assert energy == pytest.approx(12.5, abs=0.1)
    assert simulator.record.of(block=100)[0].values["serialText"] == "PM50940500000"


@integration
def test_a_maximum_reset_begins_the_maxima_again(
    simulator: Simulator, clock: Clock
) -> None:
    with RawEthernetIp(simulator) as client:
        client.data(104)
        # Thursday 2025-10-09 08:53 UTC; the next Saturday, 02:00.
        clock.us += 61_626_000_000 + 86_400_000_000
        simulator.add_fault(Fault(kind="maximum_reset", meter="one", start_us=clock.us))
        client.data(104)
    before, after = (
        r.values["maximumRealPower"] for r in simulator.record.of(block=104)
    )
    assert after < before


@integration
def test_a_foreign_product_answers(simulator: Simulator) -> None:
    simulator.add_fault(Fault(kind="foreign_identity"))
    with RawEthernetIp(simulator) as client:
        assert b"PowerMonitor" not in client.cip(bytes.fromhex("0102 2001 2401"))
        assert b"PowerMonitor" not in client.ask(0x63)
    with RawModbus(simulator) as client:
        assert client.read(0x0000, 1) == b"\x04\x02\xff\xff"
    with RawModbus(simulator, "127.1.0.3") as client:
        assert client.read(0x0037, 1) == b"\x04\x02\xff\xff"
    assert {r.fault for r in simulator.record.requests} == {None, "foreign_identity"}


@integration
def test_a_foreign_modbus_client_silences_ethernet_ip(
    simulator: Simulator, clock: Clock
) -> None:
    simulator.add_fault(Fault(kind="suspend", meter="one", end_us=START_US + 10))
    with RawEthernetIp(simulator, register=False, timeout_seconds=0.1) as client:
        client.tell(0x65, b"\1\0\0\0")
        with pytest.raises(TimeoutError):
            client.take(1)
        clock.us += 20
        assert len(client.ask(0x65, b"\1\0\0\0")) == 28
    assert [r.fault for r in simulator.record.requests] == ["suspend", None]


def test_seeded_faults_are_the_same_for_the_same_seed() -> None:
    hour = 3_600_000_000
    arguments = (["a", "b"], START_US, START_US + 100 * hour)
    faults = seeded_faults(5, *arguments, per_meter_hour=2.0)
    assert faults == seeded_faults(5, *arguments, per_meter_hour=2.0)
    assert faults != seeded_faults(6, *arguments, per_meter_hour=2.0)
    assert 300 < len(faults) < 500
    assert {fault.kind for fault in faults} == set(KINDS)
    assert all(START_US < f.start_us < f.end_us for f in faults)
    of_a = [f for f in faults if f.meter == "a"]
    assert all(x.end_us <= y.start_us for x, y in pairwise(of_a))


def test_a_shifted_fault_lasts_as_long() -> None:
    assert Fault(kind="nan", start_us=5, end_us=9).shifted(100) == Fault(
        kind="nan", start_us=105, end_us=109
    )
    assert Fault(kind="nan").shifted(100).active(2**50)
