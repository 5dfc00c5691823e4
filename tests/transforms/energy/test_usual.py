"""The usual call is a shortcut: it comes to what the whole machine comes to."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transforms.energy.kit import MINUTE_US, SECOND_US, rules
from transforms.energy import intervals
from transforms.energy.intervals import (
    NEW,
    Counting,
    IntervalRules,
    PowerMinute,
    change,
    flush,
    from_snapshot,
    to_snapshot,
)
from transforms.energy.usual import after_minute, after_slot

READ = ["read", "read", "read", "failed", "skipped"]
FAULTS = ["zero", "garbage", "less", "little_less", "reset", "back", "odd_once"]
OTHERS = ["swap", "swap_ahead", "ratio", "ratio_ahead", "flush", "restart", "period"]
POWER = ["in_time", "in_time", "late", "none", "part", "nan", "after"]


@dataclass(frozen=True)
class Stretch:
    """So many slots of one kind, with power of one kind."""

    kind: str
    slots: int
    flow_wh: int
    power: str


@dataclass(slots=True)
class Plant:
    """A counter and its power, fed to both ways; a difference fails at once."""

    rules: IntervalRules
    period_us: int
    slot_us: int = 36_000 * SECOND_US
    wh: int = 53_000_000
    offset_wh: int = 0
    power_us: int = 36_000 * SECOND_US
    state: Counting = NEW
    usual: int = 0
    others: int = 0
    told: list[object] = field(default_factory=list)

    def live(self, stretch: Stretch) -> None:
        for number in range(stretch.slots):
            self.slot_us = (self.slot_us // self.period_us + 1) * self.period_us
            self.wh += stretch.flow_wh * (number % 3)
            self._change(stretch.kind)
            self._power(stretch, at_end=False)
            self._count(stretch.kind, number)
            self._power(stretch, at_end=True)

    def _change(self, kind: str) -> None:
        at_us = self.slot_us + (65 if kind.endswith("ahead") else -3) * SECOND_US
        if kind.startswith("swap"):
            self.state, _ = change(self.rules, self.state, at_us, "meter_swap")
        elif kind.startswith("ratio"):
            self.state, _ = change(self.rules, self.state, at_us, "ct_change")
        elif kind == "flush":
            self.state, _ = flush(self.rules, self.state)
        elif kind == "restart":
            self.state = from_snapshot(to_snapshot(self.state))
        elif kind == "period":
            self.period_us = 70 * SECOND_US - self.period_us

    def _count(self, kind: str, number: int) -> None:
        if kind == "reset":
            self.offset_wh = self.wh
        elif kind == "back":
            self.offset_wh = 0
        shown = self.wh - self.offset_wh
        odd = {"zero": 0, "garbage": 812_300, "less": shown - 900}
        odd |= {"little_less": shown - 1, "odd_once": shown - 900 * (number == 0)}
        if kind != "skipped":
            self.read(None if kind == "failed" else odd.get(kind, shown))

    def _power(self, stretch: Stretch, *, at_end: bool) -> None:
        lag_us = 7 * MINUTE_US if stretch.power == "late" else 0
        if stretch.power == "after" and not at_end:
            return
        while self.power_us + MINUTE_US + lag_us <= self.slot_us:
            minute = PowerMinute(
                self.power_us,
                self.power_us + MINUTE_US,
                float("nan") if stretch.power == "nan" else stretch.flow_wh * 3.3,
                MINUTE_US // 2 if stretch.power == "part" else MINUTE_US,
                stretch.flow_wh * 0.21,
            )
            self.power_us = minute.end_us
            if stretch.power != "none":
                self.power(minute)

    def read(self, wh: int | None) -> None:
        args = (self.rules, self.state, self.slot_us, wh, self.period_us)
        self._same(after_slot(*args), intervals.read(*args), intervals._read(*args))

    def power(self, minute: PowerMinute) -> None:
        args = (self.rules, self.state, minute)
        self._same(after_minute(*args), intervals.power(*args), intervals._power(*args))

    def _same(
        self,
        usual: Counting | None,
        told: intervals.Told,
        whole: intervals.Told,
    ) -> None:
        # As text, so that 0.0 and -0.0, or 1 and True, are not the same.
        assert repr(told) == repr(whole)
        self.usual += usual is not None
        self.others += usual is None
        self.state = whole[0]
        self.told += whole[1]


stretches = st.lists(
    st.builds(
        Stretch,
        kind=st.sampled_from([*READ, *READ, *FAULTS, *OTHERS]),
        slots=st.sampled_from([1, 1, 2, 3, 7, 40, 150]),
        flow_wh=st.sampled_from([0, 1, 90, 3_000, 40_000]),
        power=st.sampled_from(POWER),
    ),
    min_size=1,
    max_size=25,
)
plants = st.builds(
    Plant,
    rules=st.builds(
        lambda seconds, float32, modulus_wh, own: replace(
            rules(seconds, float32=float32, modulus_wh=modulus_wh), **own
        ),
        seconds=st.sampled_from([60, 300, 900]),
        float32=st.booleans(),
        modulus_wh=st.sampled_from([None, 53_010_000.5]),
        own=st.fixed_dictionaries(
            {
                "wait_us": st.sampled_from([0, MINUTE_US, 300 * SECOND_US]),
                "shape_us": st.sampled_from([0, MINUTE_US, 300 * SECOND_US]),
                "kept": st.sampled_from([1, 5, 96]),
            }
        ),
    ),
    period_us=st.sampled_from([7 * SECOND_US, 10 * SECOND_US, 60 * SECOND_US]),
)


@settings(max_examples=60, deadline=None)
@given(plants, stretches)
def test_the_usual_call_comes_to_what_the_whole_machine_comes_to(
    plant: Plant, lived: list[Stretch]
) -> None:
    for stretch in lived:
        plant.live(stretch)


def test_nearly_all_readings_inside_an_interval_are_usual() -> None:
    plant = Plant(rules(900), 10 * SECOND_US)
    plant.live(Stretch("read", 8_640, 90, "in_time"))
    assert plant.usual / (plant.usual + plant.others) > 0.97


def test_a_line_that_a_break_left_does_not_end_what_is_usual() -> None:
    plant = Plant(rules(900), 10 * SECOND_US)
    plant.live(Stretch("read", 100, 90, "in_time"))
    plant.live(Stretch("reset", 1, 90, "in_time"))
    plant.live(Stretch("read", 2_000, 90, "in_time"))
    assert plant.state.counter.lines != ()
    assert plant.usual / (plant.usual + plant.others) > 0.95


def test_failed_slots_are_usual_but_where_an_interval_is_forgotten() -> None:
    plant = Plant(rules(900), 10 * SECOND_US)
    plant.live(Stretch("read", 100, 90, "none"))
    others = plant.others
    plant.live(Stretch("failed", 2_000, 90, "none"))
    assert plant.others - others == 1


def test_a_line_that_a_break_left_is_known_for_a_day() -> None:
    plant = Plant(rules(900), 60 * SECOND_US)
    plant.live(Stretch("read", 10, 90, "in_time"))
    plant.live(Stretch("reset", 1, 90, "in_time"))
    plant.live(Stretch("read", 1_430, 90, "in_time"))
    assert len(plant.state.counter.lines) == 1
    plant.live(Stretch("read", 10, 90, "in_time"))
    assert len(plant.state.counter.lines) == 0


def test_power_of_a_hole_of_hours_is_not_kept() -> None:
    plant = Plant(rules(900), 60 * SECOND_US)
    plant.live(Stretch("read", 10, 90, "in_time"))
    plant.live(Stretch("failed", 180, 90, "in_time"))
    assert len(plant.state.minutes) < 120
