"""What holds for every counter: nothing is made up, nothing lost, nothing twice."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transforms.energy.kit import Run, rules
from transforms.codec.records import Energy
from transforms.energy.intervals import flush, pending_wh

PERIOD = 10
FAULTS = ["zero", "garbage", "less", "reset", "swap", "told_late", "ratio", "back"]


@dataclass(frozen=True)
class Slot:
    """One slot: what flows in it, and what becomes of it on the way to the machine."""

    flow_wh: int
    fate: str
    power: bool
    skip: int = 0


def slots(fates: list[str]) -> st.SearchStrategy[list[Slot]]:
    slot = st.builds(
        Slot,
        flow_wh=st.integers(0, 25_000),
        fate=st.sampled_from(fates),
        power=st.booleans(),
        skip=st.sampled_from([0, 0, 0, 0, 1, 5, 40]),
    )
    return st.lists(slot, min_size=1, max_size=60)


def fed(run: Run, slots: list[Slot], first_wh: int = 53_000_000) -> tuple[int, int]:
    """Feed the slots; the first and the last reading that arrived without a fault."""
    wh, offset, at, minute = first_wh, 0, 600, 10
    answered: list[int] = []
    for slot in slots:
        at += PERIOD * (1 + slot.skip)
        wh += slot.flow_wh
        match slot.fate:
            case "answered" | "twice":
                answered.append(wh)
                run.read(at, wh - offset)
                if slot.fate == "twice":
                    run.read(at, wh - offset)
                    run.read(at - PERIOD, wh - offset + 7)
            case "failed":
                run.read(at, None)
            case "zero":
                run.read(at, 0)
            case "garbage":
                run.read(at, 812_300)
            case "less":
                run.read(at, wh - offset - 900)
            case "reset":
                offset = wh
                run.read(at, 0)
            case "back":
                offset = 0
                run.read(at, wh)
            case "swap":
                run.change(at, "meter_swap")
            case "told_late":
                run.read(at, wh - offset)
                run.change(at + 0.4, "meter_swap")
            case "ratio":
                run.change(at - 3, "ct_change")
        while (minute + 1) * 60 <= at:
            if slot.power:
                run.power(minute, slot.flow_wh * 0.36)
            minute += 1
    if not answered:
        return first_wh, first_wh
    return answered[0], answered[-1]


def told_wh(run: Run) -> int:
    return sum(round(record.energy * 1000) for record in run.energies)


@settings(max_examples=150, deadline=None)
@given(slots(["answered", "answered", "twice", "failed"]), st.booleans())
def test_the_sum_is_the_last_reading_less_the_first(
    given_slots: list[Slot], restarting: bool
) -> None:
    run = Run(rules(), restarting=restarting)
    first, last = fed(run, given_slots)
    assert told_wh(run) + pending_wh(run.state) == last - first
    state, rest = flush(run.rules, run.state)
    run.out += rest
    assert told_wh(run) == last - first
    assert pending_wh(state) == 0


@settings(max_examples=200, deadline=None)
@given(slots(["answered", "answered", "answered", "failed", "twice", *FAULTS]))
def test_the_records_are_what_the_surgeon_accepted_whatever_breaks(
    given_slots: list[Slot],
) -> None:
    run = Run(rules())
    fed(run, given_slots)
    accepted = run.state.counter.accepted
    total = accepted.total_wh if accepted else 0
    assert told_wh(run) + pending_wh(run.state) == total
    assert all(record.energy >= 0 for record in run.energies)


@settings(max_examples=100, deadline=None)
@given(slots(["answered", "answered", "answered", "failed", "twice", *FAULTS]))
def test_a_restart_changes_no_record(given_slots: list[Slot]) -> None:
    running, restarted = Run(rules()), Run(rules(), restarting=True)
    fed(running, given_slots)
    fed(restarted, given_slots)
    assert restarted.out == running.out
    assert restarted.state == running.state


@settings(max_examples=150, deadline=None)
@given(slots(["answered", "answered", "answered", "failed", "twice", *FAULTS]))
def test_records_adjoin_and_are_never_negative(given_slots: list[Slot]) -> None:
    run = Run(rules())
    fed(run, given_slots)
    records = run.energies
    assert all(0 <= r.substituted <= r.energy for r in records)
    assert [a.end for a in records[:-1]] == [b.start for b in records[1:]]


@settings(max_examples=100, deadline=None)
@given(slots(["answered", "answered", "answered", "failed", *FAULTS]))
def test_revisions_of_a_record_count_from_zero(given_slots: list[Slot]) -> None:
    run = Run(rules())
    fed(run, given_slots)
    ids = {record.id for record in run.energies}
    for own in ids:
        told = [r.revision for r in run.out if isinstance(r, Energy) and r.id == own]
        assert told == list(range(len(told)))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(0, 25_000), min_size=4, max_size=40),
    st.sampled_from([0, 1, 812_300, 52_990_000, 90_000_000_000]),
    st.data(),
)
def test_one_odd_reading_changes_no_sum(
    flows: list[int], odd_wh: int, data: st.DataObject
) -> None:
    place = data.draw(st.integers(1, len(flows) - 2))
    run, wh = Run(rules()), 53_000_000
    for number, flow in enumerate(flows):
        wh += flow
        run.read(600 + number * PERIOD, odd_wh if number == place else wh)
    assert told_wh(run) + pending_wh(run.state) == sum(flows[1:])
    assert len(run.events) == 1


@settings(max_examples=60, deadline=None)
@given(st.floats(1_000.3, 900_000.7), st.lists(st.integers(0, 4_000), max_size=60))
def test_a_modulus_that_is_not_whole_adds_up_no_error(
    modulus_wh: float, flows: list[int]
) -> None:
    run = Run(rules(modulus_wh=max(modulus_wh, 40_000.5), maximum_kw=1_500))
    true_wh = 1.0
    for number, flow in enumerate([0, *flows, 100, 100]):
        true_wh += flow
        shown_wh = round(true_wh % run.rules.counter.modulus_wh)  # type: ignore[operator]
        run.read(600 + number * PERIOD, shown_wh)
    accepted = run.state.counter.accepted
    assert accepted is not None
    assert abs(accepted.total_wh - sum(flows) - 200) <= 2


def test_pairs_of_intervals_share_their_bound() -> None:
    run = Run(rules())
    for number in range(40):
        run.read(600 + number * PERIOD, 53_000_000 + number * 100)
    bounds = [(a.end, b.start) for a, b in pairwise(run.energies)]
    assert bounds == [(m * 60_000_000, m * 60_000_000) for m in range(11, 16)]
