"""The pollers against simulated meters over real sockets."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
import structlog

from connectors.polling.partition import PollingThread
from connectors.polling.plan import MeterPlan, PollSettings
from connectors.simulator import Fault, SimulatedMeter, Simulator, running_simulator
from tests.connectors.polling.polled import QUICK, plan_for, poll_until
from tests.kit import until
from transforms.codec.records import Event
from transforms.model.outcome import Meaning, Outcome
from transforms.model.quality import Status

pytestmark = pytest.mark.integration

FAST = {"realtime": 0.2}
ADDRESSES = [f"127.7.0.{n}" for n in range(1, 9)]


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    meters = [
        SimulatedMeter(name=f"m{n}", address=a, seed=n) for n, a in enumerate(ADDRESSES)
    ]
    meters.append(SimulatedMeter(name="em24", address="127.7.1.1", profile="em24"))
    with running_simulator(meters) as running:
        yield running


def polled(
    plan: MeterPlan | list[MeterPlan], count: int, *wanted: Status
) -> tuple[list[Outcome], list[Event]]:
    """Poll until ``count`` outcomes are there, and one of each wanted status."""
    plans = plan if isinstance(plan, list) else [plan]

    def enough(outcomes: list[Outcome], _: list[Event]) -> bool:
        seen = {outcome.status for outcome in outcomes}
        return len(outcomes) >= count and seen >= set(wanted)

    return poll_until(plans, enough)


def spoil(simulator: Simulator, kind: str, **parameters: object) -> None:
    simulator.add_fault(
        Fault(kind=kind, meter="m0", **parameters)  # type: ignore[arg-type]
    )


def statuses(outcomes: list[Outcome]) -> set[Status]:
    return {outcome.status for outcome in outcomes}


@pytest.mark.parametrize(
    ("protocol", "address", "profile"),
    [
        ("ethernet_ip", ADDRESSES[0], "pm500"),
        ("modbus", ADDRESSES[0], "pm500"),
        ("modbus", "127.7.1.1", "em24"),
    ],
)
def test_every_slot_gives_one_good_outcome(
    simulator: Simulator, protocol: str, address: str, profile: str
) -> None:
    plan = plan_for(
        simulator,
        address,
        protocol=protocol,  # type: ignore[arg-type]
        profile=profile,
        groups={"realtime": 0.5 if profile == "em24" else 0.2},
    )
    outcomes, _ = polled(plan, 5)
    assert statuses(outcomes) == {Status.OK}
    numbers = [outcome.seq for outcome in outcomes]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_a_slot_is_its_number_times_its_period(simulator: Simulator) -> None:
    outcomes, _ = polled(plan_for(simulator, ADDRESSES[0], groups=FAST), 3)
    for outcome in outcomes:
        assert outcome.slot_us == outcome.seq * 200_000
        assert outcome.slot_us <= outcome.sent_us <= outcome.received_us


@pytest.mark.parametrize(
    ("kind", "parameters", "status"),
    [
        ("refuse", {}, Status.CLOSED),
        ("delay", {"delay_seconds": float("inf")}, Status.TIMEOUT),
        ("truncate", {}, Status.CLOSED),
        ("wrong_length", {"extra_bytes": 4}, Status.MALFORMED),
        ("wrong_length", {"extra_bytes": -4}, Status.MALFORMED),
        ("cip_error", {"cip_status": 0x10}, Status.CIP_ERROR),
        ("garbage", {}, Status.MALFORMED),
    ],
)
def test_a_fault_over_ethernet_ip_has_its_status(
    simulator: Simulator, kind: str, parameters: dict[str, object], status: Status
) -> None:
    spoil(simulator, kind, **parameters)
    plan = plan_for(simulator, ADDRESSES[0], groups=FAST)
    outcomes, _ = polled(plan, 2, status)
    assert Status.OK not in statuses(outcomes)


@pytest.mark.parametrize(
    ("kind", "parameters", "status"),
    [
        ("delay", {"delay_seconds": float("inf")}, Status.TIMEOUT),
        ("truncate", {}, Status.CLOSED),
        ("wrong_length", {"extra_bytes": 4}, Status.MALFORMED),
        ("modbus_exception", {"exception_code": 6}, Status.MODBUS_EXCEPTION),
        ("garbage", {}, Status.MALFORMED),
    ],
)
def test_a_fault_over_modbus_has_its_status(
    simulator: Simulator, kind: str, parameters: dict[str, object], status: Status
) -> None:
    spoil(simulator, kind, **parameters)
    plan = plan_for(simulator, ADDRESSES[0], protocol="modbus", groups=FAST)
    outcomes, _ = polled(plan, 2, status)
    assert Status.OK not in statuses(outcomes)


def test_nobody_listening_is_refused(simulator: Simulator) -> None:
    plan = plan_for(simulator, ADDRESSES[0], groups=FAST)
    with_nobody = replace(plan, ethernet_ip_port=1)
    outcomes, _ = polled(with_nobody, 2, Status.REFUSED)
    assert statuses(outcomes) <= {Status.REFUSED, Status.BACKING_OFF}


def test_one_good_assembly_of_two_is_kept_as_partial(simulator: Simulator) -> None:
    spoil(simulator, "cip_error", block=102)
    plan = plan_for(simulator, ADDRESSES[0], groups=FAST)
    outcomes, _ = polled(plan, 2, Status.PARTIAL)
    partial = next(o for o in outcomes if o.status is Status.PARTIAL)
    assert [block is not None for block in partial.blocks] == [True, False]


def test_a_foreign_device_is_refused_with_one_event(simulator: Simulator) -> None:
    spoil(simulator, "foreign_identity")
    plan = plan_for(simulator, ADDRESSES[0], groups=FAST)
    outcomes, events = polled(plan, 12, Status.FOREIGN_DEVICE)
    assert statuses(outcomes) == {Status.FOREIGN_DEVICE, Status.BACKING_OFF}
    assert [event.kind for event in events] == ["foreign_device"]


@pytest.mark.parametrize("protocol", ["ethernet_ip", "modbus"])
def test_a_late_answer_is_never_taken_for_the_current_one(
    simulator: Simulator, protocol: str
) -> None:
    # Later than the deadline of 0.3 s, and before the next one gives up the link.
    spoil(
        simulator,
        "delay",
        delay_seconds=0.4,
        block=101 if protocol == "ethernet_ip" else 0x0050,
        end_us=(time.time_ns() // 1000) + 2_000_000,
    )
    counts: dict[str, float] = {}

    class Counting:
        def count(self, name: str, amount: float = 1, **labels: str) -> None:
            counts[name] = counts.get(name, 0) + amount

        def gauge(self, name: str, value: float, **labels: str) -> None: ...

        def observe(self, name: str, value: float, **labels: str) -> None: ...

    plan = plan_for(
        simulator,
        ADDRESSES[0],
        protocol=protocol,  # type: ignore[arg-type]
        groups={"realtime": 0.5, "status": 0.5},
    )
    thread = PollingThread([plan], QUICK, metrics=Counting())
    outcomes: list[Outcome] = []

    def enough() -> bool:
        outcomes.extend(i for i in thread.take(1000) if isinstance(i, Outcome))
        good = [o for o in outcomes if o.status is Status.OK]
        return bool(counts.get("pm500_late_answers_total")) and len(good) > 4

    thread.start()
    try:
        until(enough, "a late answer, then good ones")
    finally:
        thread.stop()
    for outcome in outcomes:
        sizes = [len(block) for block in outcome.blocks if block is not None]
        if protocol == "ethernet_ip":
            expected = [48, 72] if outcome.group == 0 else [4]
        else:
            expected = [116] if outcome.group == 0 else [6]
        assert sizes in (expected, expected[: len(sizes)])


def test_a_slow_meter_overruns_its_own_slots_only(simulator: Simulator) -> None:
    spoil(simulator, "delay", delay_seconds=0.25)
    plans = [
        plan_for(simulator, address, index=index, groups=FAST)
        for index, address in enumerate(ADDRESSES[:2])
    ]
    outcomes, _ = polled(plans, 20, Status.OVERRUN)
    slow = {o.status for o in outcomes if o.meter == 0}
    assert slow == {Status.OK, Status.OVERRUN}
    assert {o.status for o in outcomes if o.meter == 1} == {Status.OK}


def test_a_dead_meter_never_delays_another(simulator: Simulator) -> None:
    spoil(simulator, "delay", delay_seconds=float("inf"))
    plans = [
        plan_for(simulator, address, index=index, groups=FAST)
        for index, address in enumerate(ADDRESSES)
    ]
    outcomes, _ = polled(plans, 60, Status.TIMEOUT)
    well = [o for o in outcomes if o.meter > 0]
    assert {o.status for o in well} == {Status.OK}
    # As long as a poll on loopback takes on a busy machine, and far under a deadline.
    waits = sorted(o.received_us - o.slot_us for o in well)
    assert waits[len(waits) // 2] < 100_000


def test_each_slot_of_a_lost_meter_has_one_frame_too(simulator: Simulator) -> None:
    spoil(simulator, "refuse", end_us=(time.time_ns() // 1000) + 2_000_000)
    plan = plan_for(simulator, ADDRESSES[0], groups=FAST)

    def back(outcomes: list[Outcome], _: list[Event]) -> bool:
        return len(outcomes) > 12 and outcomes[-1].status is Status.OK

    outcomes, _ = poll_until([plan], back)
    assert Status.BACKING_OFF in statuses(outcomes)
    numbers = [outcome.seq for outcome in outcomes]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_both_takes_power_by_ethernet_ip_and_counters_by_modbus(
    simulator: Simulator,
) -> None:
    plan = plan_for(
        simulator,
        ADDRESSES[0],
        protocol="both",
        groups={"realtime": 0.2, "energy": 2.0},
    )

    def enough(outcomes: list[Outcome], events: list[Event]) -> bool:
        energy = [o for o in outcomes if o.group == 1 and o.status is Status.OK]
        settings = [e for e in events if "ctRatio" in e.data]
        return len(energy) >= 2 and bool(settings)

    outcomes, _ = poll_until([plan], enough)
    energy = [o for o in outcomes if o.group == 1 and o.status is Status.OK]
    realtime = {o.status for o in outcomes if o.group == 0}
    assert all(len(o.blocks[0] or b"") == 72 for o in energy)
    # The meter silences EtherNet/IP for a while after each Modbus session.
    assert realtime <= {Status.OK, Status.SUSPENDED, Status.PARTIAL, Status.OVERRUN}
    assert Status.OK in realtime
    assert overlaps(simulator, "m0") == []


def overlaps(simulator: Simulator, meter: str) -> list[int]:
    """How long, in us, the meter had connections of both protocols, each time.

    The simulator may see the end of one and the start of the other, which came in
    this order, in one turn of its loop: that is under a millisecond.
    """
    is_open = {"ethernet_ip": 0, "modbus": 0}
    since, wrong = None, []
    for event in simulator.record.connections:
        if event.meter != meter or event.what == "refused":
            continue
        is_open[event.protocol] += 1 if event.what == "opened" else -1
        if since is not None and event.time_us - since > 1000:
            wrong.append(event.time_us - since)
        since = event.time_us if all(is_open.values()) else None
    assert simulator.record.of(meter=meter, protocol="ethernet_ip")
    assert simulator.record.of(meter=meter, protocol="modbus")
    return wrong


def test_a_dead_ethernet_ip_of_both_is_not_suspended_for_ever(
    simulator: Simulator,
) -> None:
    spoil(simulator, "delay", protocol="ethernet_ip", delay_seconds=float("inf"))
    plan = plan_for(
        simulator,
        ADDRESSES[0],
        protocol="both",
        groups={"realtime": 0.25, "energy": 1.0},
    )

    def enough(outcomes: list[Outcome], _: list[Event]) -> bool:
        return sum(o.group == 1 and o.status is Status.OK for o in outcomes) >= 6

    outcomes, _ = poll_until([plan], enough)
    realtime = [o.status for o in outcomes if o.group == 0]
    energy = [o.status for o in outcomes if o.group == 1]
    # The grace is 3 s: after it the silence counts as what it is.
    assert set(realtime[-4:]) <= {Status.TIMEOUT, Status.BACKING_OFF, Status.OVERRUN}
    # The dead protocol takes no slot of the living one for itself.
    assert Status.BACKING_OFF not in energy


def test_one_meters_strange_bytes_end_no_other_polling(
    simulator: Simulator,
) -> None:
    plans = [
        plan_for(simulator, address, index=index, groups=FAST)
        for index, address in enumerate(ADDRESSES[:2])
    ]

    def broken(_: str) -> Meaning:
        raise RuntimeError("a mistake of the program")

    # As the flows have it: a traceback in color takes longer than a poll.
    structlog.configure(processors=[structlog.processors.KeyValueRenderer()])
    plans[0] = replace(plans[0], meaning=broken)
    outcomes, _ = polled(plans, 12, Status.MALFORMED)
    assert {o.status for o in outcomes if o.meter == 1} == {Status.OK}


def test_a_host_name_that_is_none_is_unreachable(simulator: Simulator) -> None:
    plans = [
        plan_for(simulator, host, index=index, groups=FAST)
        for index, host in enumerate(["meter..plant", ADDRESSES[1]])
    ]
    outcomes, _ = polled(plans, 12, Status.UNREACHABLE)
    assert {o.status for o in outcomes if o.meter == 1} == {Status.OK}


def test_a_device_of_the_family_with_another_code_is_foreign() -> None:
    meter = SimulatedMeter(name="odd", address="127.7.2.1", product_code=3)
    with running_simulator([meter]) as odd:
        plan = plan_for(odd, "127.7.2.1", groups=FAST)
        outcomes, _ = polled(plan, 2, Status.FOREIGN_DEVICE)
    assert Status.OK not in statuses(outcomes)


def test_a_description_comes_once_and_again_only_when_it_changes(
    simulator: Simulator,
) -> None:
    plan = plan_for(simulator, ADDRESSES[0], groups=FAST)
    _, events = polled(plan, 10)
    assert [event.kind for event in events] == ["meter_described"]
    assert events[0].data["firmwareBase"]
    assert len(simulator.record.of(meter="m0", block=100)) == 1


@pytest.mark.parametrize("protocol", ["ethernet_ip", "both"])
def test_a_new_meter_tells_its_serial_before_its_first_frame(
    simulator: Simulator, protocol: str
) -> None:
    plan = plan_for(
        simulator,
        ADDRESSES[0],
        protocol=protocol,  # type: ignore[arg-type]
        groups={"realtime": 0.2, "energy": 0.4},
    )
    thread = PollingThread([plan], QUICK)
    items: list[Outcome | Event] = []

    def kinds() -> list[str]:
        items.extend(thread.take(10_000))
        return [item.kind for item in items if isinstance(item, Event)]

    thread.start()
    try:
        until(lambda: "meter_described" in kinds(), "a description")
        now_us = time.time_ns() // 1000
        spoil(simulator, "refuse", start_us=now_us, end_us=now_us + 1_000_000)
        spoil(simulator, "meter_swap", start_us=now_us + 500_000)
        until(lambda: "configuration_changed" in kinds(), "another serial")
        changed = next(
            place
            for place, item in enumerate(items)
            if isinstance(item, Event) and item.kind == "configuration_changed"
        )
        until(lambda: len(kinds()) and len(items) > changed + 8, "frames after it")
    finally:
        thread.stop()
    first = next(place for place, item in enumerate(items) if _answered(item))
    event, described = items[changed], items[first - 1]
    assert isinstance(event, Event)
    assert "serialText.before" in event.data
    assert isinstance(described, Event)
    new = [i for i in items[changed:] if isinstance(i, Outcome) and _answered(i)]
    old = [i for i in items[:changed] if isinstance(i, Outcome) and _answered(i)]
    assert all(item.sent_us < now_us + 500_000 for item in old)
    assert max(i.slot_us for i in old) < event.time <= min(i.slot_us for i in new)


def _answered(item: Outcome | Event) -> bool:
    return isinstance(item, Outcome) and item.status is Status.OK


def test_only_reads_ever_leave_the_pollers(simulator: Simulator) -> None:
    settings = PollSettings(timeout_seconds=0.3)
    plans = [
        plan_for(simulator, ADDRESSES[0], index=0),
        plan_for(simulator, ADDRESSES[1], index=1, protocol="modbus"),
        plan_for(
            simulator,
            ADDRESSES[2],
            index=2,
            protocol="both",
            groups={"realtime": 0.5, "energy": 2.0},
        ),
        plan_for(simulator, "127.7.1.1", index=3, profile="em24", protocol="modbus"),
    ]
    poll_until(plans, lambda o, e: len(o) > 30 and len(e) > 2, settings)
    requests = list(simulator.record.of())
    assert requests
    for request in requests:
        if request.protocol == "modbus":
            function, address, count = modbus_read(request.request)
            assert function in (3, 4)
            assert not address <= 0x1000 < address + count
        else:
            assert cip_service(request.request) in (None, 0x01, 0x0E)


def modbus_read(request: bytes) -> tuple[int, int, int]:
    """Function, address and count, straight from the bytes on the wire."""
    assert len(request) == 12
    numbers = (request[8:10], request[10:12])
    address, count = (int.from_bytes(n, "big") for n in numbers)
    return request[7], address, count


def cip_service(request: bytes) -> int | None:
    """The CIP service; None for a session command, straight from the bytes."""
    command = int.from_bytes(request[:2], "little")
    assert command in (0x65, 0x66, 0x63, 0x6F)
    return request[40] if command == 0x6F else None
