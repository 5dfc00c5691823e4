from __future__ import annotations

import sys

import pytest

from connectors.host_clock import ClockWatch, KernelClock, kernel_clock, synchronized
from transforms.codec.records import Event, decode_record


@pytest.mark.parametrize(
    ("clock", "expected"),
    [
        (KernelClock(state=0, status=0x2001, maximum_error_us=500), True),
        (KernelClock(state=1, status=0x0011, maximum_error_us=500), True),
        (KernelClock(state=5, status=0x0040, maximum_error_us=16_000_000), False),
        (KernelClock(state=0, status=0x2041, maximum_error_us=16_000_000), False),
        (KernelClock(state=5, status=0x2001, maximum_error_us=500), False),
    ],
)
def test_the_kernels_answer_is_its_state_and_its_status(
    clock: KernelClock, expected: bool
) -> None:
    assert clock.synchronized == expected


def test_asking_never_fails() -> None:
    assert synchronized() in (True, False, None)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says it this way")
def test_the_kernel_gives_no_error_below_zero() -> None:
    clock = kernel_clock() or KernelClock(0, 0, 0)
    assert clock.maximum_error_us >= 0


def looks(*seen: bool | None) -> list[Event | None]:
    watch = ClockWatch()
    return [watch.look(now_us, said) for now_us, said in enumerate(seen, 100)]


def events(*seen: bool | None) -> list[Event]:
    return [event for event in looks(*seen) if event]


def test_the_first_word_of_a_synchronized_clock_ends_what_a_watch_before_left_open() -> (
    None
):
    first, then = looks(True, True)
    assert first is not None
    assert (first.kind, first.time, then) == ("clock_synchronized", 100, None)


def test_a_system_that_does_not_say_is_not_news() -> None:
    assert looks(None, None) == [None, None]


def test_an_unsynchronized_clock_is_told_once() -> None:
    _, event = events(True, False, False, None, False)
    assert event == Event(
        asset="",
        kind="clock_unsynchronized",
        time=101,
        severity="warning",
        text="the system says that its clock is not synchronized",
    )


def test_its_end_is_the_next_revision_of_the_same_event() -> None:
    begun, ended = events(False, False, None, True, True)
    assert (ended.id, ended.revision, ended.time, ended.until, ended.text) == (
        begun.id,
        1,
        100,
        103,
        "the system says that its clock is synchronized again",
    )


def test_each_time_is_an_event_of_its_own() -> None:
    told = events(False, True, False)
    assert [(event.time, event.revision) for event in told] == [
        (100, 0),
        (100, 1),
        (102, 0),
    ]


def test_a_clock_that_is_set_back_ends_no_event_before_it_began() -> None:
    watch = ClockWatch()
    watch.look(500, False)
    ended = watch.look(200, True)
    assert ended is not None
    assert ended.until == 500


def test_the_event_can_be_written_and_read() -> None:
    (event,) = events(False)
    assert decode_record(event.encode()) == event
