"""The clock grid: one number per slot, whatever the clock does."""

from hypothesis import given
from hypothesis import strategies as st

from connectors.polling.backoff import Backoff
from connectors.polling.schedule import Slots, stagger_us

SECOND = 1_000_000


def taken(slots: Slots, now_us: int) -> tuple[list[int], int] | None:
    found = slots.take(now_us)
    return None if found is None else (list(found[0]), found[1])


def test_a_slot_already_begun_is_not_polled_at_start() -> None:
    slots = Slots(SECOND, 0, 10 * SECOND + 1)
    assert slots.next_seq == 11


def test_a_slot_is_due_at_its_stagger() -> None:
    slots = Slots(SECOND, 200_000, 10 * SECOND)
    assert taken(slots, 11 * SECOND + 199_999) is None
    assert taken(slots, 11 * SECOND + 200_000) == ([], 11)


def test_slots_that_passed_while_the_meter_was_busy_are_overrun() -> None:
    slots = Slots(SECOND, 0, 10 * SECOND)
    assert taken(slots, 13 * SECOND + 5) == ([11, 12], 13)


def test_more_than_a_minute_of_passed_slots_stays_a_hole() -> None:
    slots = Slots(SECOND, 0, 0)
    overrun, seq = taken(slots, 3600 * SECOND) or ([], 0)
    assert (overrun[0], len(overrun), seq) == (3540, 60, 3600)


def test_a_clock_stepped_back_never_gives_a_number_twice() -> None:
    slots = Slots(SECOND, 0, 100 * SECOND)
    assert taken(slots, 101 * SECOND) == ([], 101)
    assert taken(slots, 50 * SECOND) is None
    assert taken(slots, 102 * SECOND) == ([], 102)


@given(
    st.lists(st.integers(0, 20 * SECOND), min_size=1, max_size=60),
    st.sampled_from([200_000, SECOND, 10 * SECOND]),
    st.integers(0, 800_000),
)
def test_every_number_comes_once_and_without_a_hole(
    steps: list[int], period: int, stagger: int
) -> None:
    now = 1_763_720_000 * SECOND
    slots = Slots(period, stagger, now)
    expected = slots.next_seq
    for step in steps:
        now += step
        found = taken(slots, now)
        if found is None:
            continue
        overrun, seq = found
        assert [*overrun, seq] == list(range(expected, seq + 1))
        assert seq * period + stagger <= now < (seq + 1) * period + stagger
        expected = seq + 1


def test_meters_are_spread_over_most_of_the_shortest_period() -> None:
    assert [stagger_us(n, 4, SECOND) for n in range(4)] == [0, 200000, 400000, 600000]


def test_pauses_double_up_to_the_longest_one() -> None:
    backoff = Backoff("meter", SECOND, 30 * SECOND)
    pauses = []
    for _ in range(8):
        backoff.failed(0)
        pauses.append(backoff.until_us)
    share = pauses[0] / SECOND
    assert 0.75 <= share < 1.0
    assert [round(p / share / SECOND) for p in pauses] == [1, 2, 4, 8, 16, 30, 30, 30]


def test_a_meter_that_answers_starts_again_with_the_first_pause() -> None:
    backoff = Backoff("meter", SECOND, 30 * SECOND)
    backoff.failed(0)
    first = backoff.until_us
    backoff.failed(0)
    backoff.succeeded()
    assert not backoff.waits(0)
    backoff.failed(0)
    assert backoff.until_us == first


def test_a_clock_stepped_back_does_not_prolong_a_pause_for_ever() -> None:
    backoff = Backoff("meter", SECOND, 30 * SECOND)
    backoff.failed(1_000_000 * SECOND)
    assert backoff.waits(1_000_000 * SECOND)
    assert not backoff.waits(900_000 * SECOND)
