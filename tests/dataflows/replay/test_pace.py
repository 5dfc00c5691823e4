from __future__ import annotations

import numpy as np
import pytest

from dataflows.replay.blocks import Block
from dataflows.replay.pace import Pace, parse_speed


class Clock:
    """Moves only when somebody sleeps."""

    def __init__(self, stops_at: float = 1e9) -> None:
        self.now = 100.0
        self.longest = 0.0
        self._stops_at = stops_at

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.longest = max(self.longest, seconds)

    def stopped(self) -> bool:
        return self.now >= self._stops_at

    def pace(self, factor: float | None) -> Pace:
        return Pace(
            factor, stopping=self.stopped, clock=lambda: self.now, sleep=self.sleep
        )


def block(*seconds: float) -> Block:
    keys = [f"at {second:g}" for second in seconds]
    times_us = np.array([round(second * 1e6) for second in seconds], np.int64)
    return Block(times_us, keys, [b""] * len(keys))


def given_out(
    pace: Pace, clock: Clock, *blocks: Block
) -> list[tuple[float, list[str]]]:
    return [
        (round(clock.now - 100.0, 3), list(part.keys))
        for each in blocks
        for part in pace.portions(each)
    ]


def test_at_most_speed_a_block_is_given_out_at_once() -> None:
    clock = Clock()
    pace = clock.pace(None)
    assert given_out(pace, clock, block(1, 9)) == [(0.0, ["at 1", "at 9"])]
    assert not pace.exact


def test_the_first_is_due_at_once_and_the_others_as_they_were() -> None:
    clock = Clock()
    found = given_out(clock.pace(1.0), clock, block(50, 50, 51), block(53.5))
    assert found == [(0.0, ["at 50", "at 50"]), (1.0, ["at 51"]), (3.5, ["at 53.5"])]
    assert clock.longest <= 0.05


@pytest.mark.parametrize(("factor", "later"), [(10.0, 0.2), (0.5, 4.0)])
def test_a_factor_makes_history_shorter_or_longer(factor: float, later: float) -> None:
    clock = Clock()
    found = given_out(clock.pace(factor), clock, block(0, 2))
    assert found == [(0.0, ["at 0"]), (later, ["at 2"])]


def test_one_that_is_older_than_one_before_it_does_not_wait() -> None:
    clock = Clock()
    found = given_out(clock.pace(1.0), clock, block(0, 2, 1), block(1.5, 3))
    assert found == [
        (0.0, ["at 0"]),
        (2.0, ["at 2", "at 1"]),
        (2.0, ["at 1.5"]),
        (3.0, ["at 3"]),
    ]


def test_who_is_late_catches_up() -> None:
    clock = Clock()
    pace = clock.pace(1.0)
    assert given_out(pace, clock, block(0)) == [(0.0, ["at 0"])]
    clock.now += 60
    assert given_out(pace, clock, block(1, 2, 61)) == [
        (60.0, ["at 1", "at 2"]),
        (61.0, ["at 61"]),
    ]


def test_a_stop_leaves_out_the_rest() -> None:
    clock = Clock(stops_at=105.0)
    assert given_out(clock.pace(1.0), clock, block(0, 4, 3600)) == [
        (0.0, ["at 0"]),
        (4.0, ["at 4"]),
    ]
    assert clock.now < 105.1


@pytest.mark.parametrize("text", ["", "x", "0x", "-1x", "1", "fast", "1e3x"])
def test_what_is_no_speed_is_said(text: str) -> None:
    with pytest.raises(ValueError, match="neither max nor a factor"):
        parse_speed(text)
