"""Generated frames are those of acquire, and the truth beside them is true."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.simulator.faults import STATE_KINDS
from connectors.simulator.load import INSTALLED_US, LoadModel
from tests.generated import (
    HIDES_ENERGY,
    KINDS,
    MISSING,
    PERIODS,
    Arrival,
    Day,
    Trouble,
    batches,
    every_trouble,
    meters_of,
    shuffled_within,
)
from tests.generated.load import LoadTwin
from tests.generated.trouble import state_faults
from transforms.assemble import Assembler
from transforms.codec.frame import FrameRecord
from transforms.codec.framing import CodecError
from transforms.ledger import ledger_of
from transforms.model import wire
from transforms.model.outcome import Outcome
from transforms.model.quality import Quality, Status

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
HOUR_US = 60 * MINUTE_US
START_US = 1_772_366_400_000_000 - 10 * MINUTE_US  # 2026-03-01, 11:50
END_US = START_US + 20 * MINUTE_US
YEARS_US = 3 * 365 * 24 * HOUR_US
METERS = meters_of(3)
EXACT, SPLIT, OTHER = METERS

Frames = dict[tuple[str, str, int], FrameRecord]


def trouble(kind: str, at: int, lasts: int = 1, **settings: object) -> Trouble:
    """A trouble of the exact meter; times in seconds after the start."""
    return Trouble(
        kind=kind,  # type: ignore[arg-type]
        start_us=START_US + at * SECOND_US,
        end_us=START_US + (at + lasts) * SECOND_US,
        **{"asset": EXACT.asset, **settings},  # type: ignore[arg-type]
    )


def day(*troubles: Trouble) -> Day:
    return Day(METERS, START_US, END_US, troubles=troubles)


def alone(*troubles: Trouble) -> Day:
    """The exact meter alone."""
    return Day([EXACT], START_US, END_US, troubles=troubles)


@cache
def plain() -> Day:
    return day()


@cache
def troubled() -> Day:
    return day(*every_trouble(METERS, START_US, END_US, seed=3))


@cache
def arrivals() -> list[Arrival]:
    return list(troubled())


def decoded(of: Day, found: Iterable[Arrival]) -> list[tuple[str, str, FrameRecord]]:
    """Asset, group and record of what is a frame, in order."""
    out = []
    for asset, value in found:
        try:
            schema = of.schema_of(value)
            out.append((asset, schema.group, schema.decode(value)))
        except CodecError:
            continue
    return out


@cache
def records() -> list[tuple[str, str, FrameRecord]]:
    return decoded(troubled(), arrivals())


def frames_of(of: Day) -> Frames:
    return {(a, g, record.slot_us): record for a, g, record in decoded(of, of)}


def reading(of: Day, frame: FrameRecord, group: str, quantity: str) -> float:
    (schema,) = (schema for schema in of.schemas if schema.group == group)
    return frame.values[schema.names.index(quantity)]


def column(of: Day, group: str, quantity: str, seconds: Iterable[int]) -> list[float]:
    """A reading of the exact meter at slots after the start."""
    frames = frames_of(of)
    return [
        reading(
            of, frames[EXACT.asset, group, START_US + s * SECOND_US], group, quantity
        )
        for s in seconds
    ]


def qualities(of: Day, group: str, second: int) -> list[int]:
    slot_us = START_US + second * SECOND_US
    return list(frames_of(of)[EXACT.asset, group, slot_us].quality)


# -- the load by column ---------------------------------------------------------------


@given(
    seed=st.integers(0, 2**40),
    system=st.sampled_from(["1P", "2P", "3P", "3P.n"]),
    feeds_back=st.booleans(),
    times=st.lists(st.integers(0, YEARS_US), min_size=1, max_size=5),
)
@settings(max_examples=60)
def test_the_twin_has_the_values_of_the_load_model(
    seed: int, system: str, feeds_back: bool, times: list[int]
) -> None:
    model = LoadModel(seed, electrical_system=system, feeds_back=feeds_back)
    twin = LoadTwin(model)
    at = np.array(times) + INSTALLED_US
    for part in ("realtime", "energy", "status"):
        found = getattr(twin, part)(at)
        wanted = [getattr(model, part)(time_us) for time_us in at.tolist()]
        assert set(found) == set(wanted[0])
        for name, values in found.items():
            numbers = [float(each[name]) for each in wanted]
            assert values.astype(float) == pytest.approx(numbers, rel=1e-9, abs=1e-9)


@given(
    seed=st.integers(0, 2**40),
    time_us=st.integers(0, YEARS_US),
    lasts_us=st.integers(0, 24 * HOUR_US),
)
@settings(max_examples=60)
def test_the_twin_has_the_energy_of_a_day_to_a_milliwatt_hour(
    seed: int, time_us: int, lasts_us: int
) -> None:
    model = LoadModel(seed, feeds_back=True)
    edges = [INSTALLED_US + time_us, INSTALLED_US + time_us + lasts_us]
    first, last = (model.energy(edge) for edge in edges)
    for name, values in LoadTwin(model).energy(np.array(edges)).items():
        energy = last[name] - first[name]
        assert values[1] - values[0] == pytest.approx(energy, abs=1e-6)


# -- frames ---------------------------------------------------------------------------


def test_frames_are_those_that_acquire_would_make() -> None:
    assert wrong_frames(plain()) == []


@pytest.mark.parametrize("system", ["1P", "2P", "3P", "3P.n"])
def test_frames_of_every_electrical_system_are_those_of_acquire(system: str) -> None:
    meter = replace(SPLIT, electrical_system=system, feeds_back=True)  # type: ignore[arg-type]
    assert wrong_frames(Day([meter], START_US, END_US)) == []


@pytest.mark.parametrize("kind", sorted(STATE_KINDS))
def test_frames_after_a_state_trouble_are_those_of_the_simulator(kind: str) -> None:
    assert wrong_frames(day(trouble(kind, 300, asset=None))) == []


def wrong_frames(of: Day) -> list[str]:
    """Slots, some of each lane, whose frame is not that of blocks and their reader."""
    found = {
        (asset, of.schema_of(v).group, of.schema_of(v).decode(v).slot_us): v
        for asset, v in of
    }
    wrong = []
    for meter in of.meters:
        polled = meter.polled(PERIODS)
        assembler = Assembler([polled])
        device = meter.device()
        device.set_faults(state_faults(meter.asset, of.troubles))
        for index, group in enumerate(polled.groups):
            slots = range(START_US, END_US, 7 * group.period_us)
            for slot_us in slots:
                value = found[meter.asset, group.group.name, slot_us]
                record = of.schema_of(value).decode(value)
                if group.protocol == "modbus":
                    blocks = [
                        wire.plain(answer[0], "little")[0]
                        for b in group.group.modbus
                        if (
                            answer := device.registers(
                                b.address, b.count, record.sent_us
                            )
                        )
                    ]
                else:
                    blocks = [
                        device.assembly(b.instance, record.sent_us)
                        for b in group.group.ethernet_ip
                    ]
                swapped = any(
                    each.kind == "meter_swap" and each.start_us <= slot_us
                    for each in of.troubles
                )
                outcome = Outcome(
                    0, index, record.seq, slot_us, record.sent_us,
                    record.received_us, Status.OK, blocks, meter.meaning(swapped=swapped),
                )  # fmt: skip
                if assembler.frame(outcome).value != value:
                    wrong.append(f"{meter.asset} {group.group.name} {slot_us}")
    return wrong


def test_every_frame_is_encoded_as_its_schema_does_it() -> None:
    frames = [
        (value, troubled().schema_of(value).encode(*record))
        for value, record in known_records(troubled(), arrivals())
    ]
    assert len(frames) == 6918
    assert [value for value, again in frames if value != again] == []


def known_records(of: Day, found: Iterable[Arrival]) -> list[tuple[bytes, FrameRecord]]:
    return [
        (value, record)
        for asset, value in found
        for _, _, record in decoded(of, [(asset, value)])
    ]


def test_a_plain_day_has_every_slot_once_and_answered() -> None:
    found = decoded(plain(), plain())
    slots = {(asset, group, record.slot_us) for asset, group, record in found}
    assert len(found) == len(slots) == plain().truth.counts["slots"] == 7680
    assert {record.status for _, _, record in found} == {Status.OK}
    assert {code for _, _, record in found for code in record.quality} == {0}


def test_a_plain_day_is_in_the_order_of_asking() -> None:
    first = [
        (asset[-4:], group, record.slot_us - START_US)
        for asset, group, record in decoded(plain(), plain())[:9]
    ]
    assert first == [
        ("m000", "realtime", 0),
        ("m000", "demand", 0),
        ("m000", "maximum", 0),
        ("m000", "status", 0),
        ("m000", "energy", 0),
        ("m001", "realtime", 0),
        ("m001", "energy", 0),
        ("m001", "demand", 0),
        ("m001", "maximum", 0),
    ]


def test_the_same_arguments_give_the_same_bytes() -> None:
    again = day(*every_trouble(METERS, START_US, END_US, seed=3))
    assert list(again) == arrivals()


# -- the truth about slots ------------------------------------------------------------


def test_every_kind_of_trouble_and_every_status_occurs() -> None:
    troubles = troubled().troubles
    assert {each.kind for each in troubles} == set(KINDS)
    assert {record.status for _, _, record in records()} == set(Status)


def test_a_kind_that_is_switched_off_does_not_occur() -> None:
    kinds = {kind for kind in KINDS if kind != "late"}
    troubles = every_trouble(METERS, START_US, END_US, kinds=kinds)
    assert {each.kind for each in troubles} == kinds
    assert every_trouble(METERS, START_US, END_US, kinds=()) == ()


def test_a_stretch_too_short_for_every_trouble_is_refused() -> None:
    with pytest.raises(ValueError, match="need more time"):
        every_trouble(METERS, START_US, START_US + 5 * MINUTE_US)


def test_every_frame_has_the_status_that_the_truth_says() -> None:
    truth, said = troubled().truth, {}
    for asset, group in truth.lanes:
        slots, statuses = truth.slots(asset, group)
        for slot_us, status in zip(slots.tolist(), statuses.tolist(), strict=True):
            said[asset, group, slot_us] = status
    came = {
        (asset, group, record.slot_us): record.status
        for asset, group, record in records()
        if record.slot_us < END_US
    }
    assert came == {key: status for key, status in said.items() if status != MISSING}


@pytest.mark.parametrize("group", ["realtime", "energy", "status", "demand", "maximum"])
@pytest.mark.parametrize("meter", METERS, ids=lambda meter: meter.asset)
def test_the_ledger_of_the_frames_is_that_of_the_truth(
    meter: object, group: str
) -> None:
    asset = meter.asset  # type: ignore[attr-defined]
    found = np.array(
        [
            (record.seq, record.period_us, record.status)
            for a, g, record in records()
            if (a, g) == (asset, group) and record.slot_us < END_US
        ]
    )
    ledger = ledger_of(found[:, 0], found[:, 1], found[:, 2])
    assert ledger.hours == troubled().truth.hours(asset, group)
    assert set(ledger.hours) == {START_US - 50 * MINUTE_US, START_US + 10 * MINUTE_US}


def test_records_are_counted_by_what_they_are() -> None:
    counts = troubled().truth.counts
    seen = Counter((asset, group, record.slot_us) for asset, group, record in records())
    assert sum(n - 1 for n in seen.values()) == counts["duplicate"] == 7
    assert sum(record.slot_us > END_US for _, _, record in records()) == 1
    assert counts["future"] == 1
    assert len(arrivals()) - len(records()) == counts["no_frame"] == 5
    told = counts["slots"] - counts["missing"]
    assert len(arrivals()) == told + 7 + 1 + 5


def test_an_outage_leaves_no_frame_of_anyone() -> None:
    down = day(trouble("missing", 300, 420, asset=None))
    seconds = {(us - START_US) // SECOND_US for _, _, us in frames_of(down)}
    assert seconds == {*range(300), *range(720, 1200)}
    assert down.truth.counts["missing"] == 3 * (2 * 420 + 42 + 2 * 7)


def test_a_future_frame_was_answered_long_before_its_slot() -> None:
    future = alone(trouble("future", 60, group="realtime", delay_us=HOUR_US))
    (record,) = (r for _, _, r in decoded(future, future) if r.slot_us > END_US)
    assert record.slot_us == START_US + 60 * SECOND_US + HOUR_US
    assert record.seq * record.period_us == record.slot_us
    assert record.received_us < START_US + 61 * SECOND_US


# -- the order of arrival -------------------------------------------------------------


def behind_us(of: Day, found: Iterable[Arrival]) -> list[int]:
    """How far each frame is behind the newest slot of its lane."""
    newest: defaultdict[tuple[str, str], int] = defaultdict(int)
    out = []
    for asset, group, record in decoded(of, found):
        newest[asset, group] = max(newest[asset, group], record.slot_us)
        out.append(newest[asset, group] - record.slot_us)
    return out


def test_frames_of_a_plain_day_are_never_behind() -> None:
    assert set(behind_us(plain(), plain())) == {0}


def test_shuffled_frames_are_behind_by_less_than_the_lateness() -> None:
    shuffled = day(trouble("shuffled", 0, 1200, asset=None, delay_us=2 * SECOND_US))
    assert set(behind_us(shuffled, shuffled)) == {0, SECOND_US}


@pytest.mark.parametrize("seconds", [30, 600, 18_000])
def test_late_frames_come_late_and_at_the_latest_at_the_end(seconds: int) -> None:
    delay_us = seconds * SECOND_US
    late = alone(trouble("late", 60, group="realtime", delay_us=delay_us))
    lane = [
        record.slot_us
        for asset, group, record in decoded(late, late)
        if (asset, group) == (EXACT.asset, "realtime")
    ]
    assert len(lane) == 1200
    place = min(59 + seconds, 1199)
    assert lane.index(START_US + 60 * SECOND_US) == place


def test_a_duplicate_comes_again_after_its_delay() -> None:
    twice = alone(trouble("duplicate", 60, group="energy", delay_us=25 * SECOND_US))
    slots = [
        (record.slot_us - START_US) // SECOND_US
        for asset, group, record in decoded(twice, twice)
        if (asset, group) == (EXACT.asset, "energy")
    ]
    assert slots[5:11] == [50, 60, 70, 80, 60, 90]


@given(lateness=st.integers(1, 5_000_000), seed=st.integers(0, 1000))
@settings(max_examples=20)
def test_shuffled_within_keeps_the_lateness_and_every_record(
    lateness: int, seed: int
) -> None:
    some = arrivals()[:300] + arrivals()[-50:]
    shuffled = shuffled_within(some, lateness, seed)
    assert sorted(shuffled) == sorted(some)
    assert max(behind_us(troubled(), shuffled)) < lateness


def test_shuffled_within_two_seconds_is_another_order() -> None:
    shuffled = shuffled_within(plain(), 2 * SECOND_US, seed=1)
    assert Counter(behind_us(plain(), shuffled))[SECOND_US] > 500


@given(size=st.integers(1, 900), seed=st.none() | st.integers(0, 9))
@settings(max_examples=20)
def test_batches_joined_are_the_frames(size: int, seed: int | None) -> None:
    cut = list(batches(arrivals()[:2000], size, seed))
    joined = [pair for batch in cut for pair in zip(*batch, strict=True)]
    assert joined == arrivals()[:2000]


def test_batches_have_one_size_or_many() -> None:
    fixed = [len(keys) for keys, _ in batches(arrivals(), 1000)]
    drawn = {len(keys) for keys, _ in batches(arrivals(), 100, seed=1)}
    assert fixed == [1000] * 6 + [923]
    assert len(drawn) > 20


def test_deliveries_are_cut_where_a_meter_told_of_itself() -> None:
    deliveries = list(troubled().deliveries())
    assert [event for d in deliveries for event in d.events] == [*troubled().events]
    joined = [pair for d in deliveries for pair in zip(d.keys, d.values, strict=True)]
    assert joined == arrivals()
    assert len(deliveries) == 1 + len(troubled().events)


# -- readings -------------------------------------------------------------------------


@pytest.mark.parametrize("of", [plain, troubled], ids=["plain", "troubled"])
@pytest.mark.parametrize(
    ("meter", "allowed_wh"), [(EXACT, 1.0), (OTHER, 1.0), (SPLIT, 64.0)]
)
def test_each_piece_of_a_counter_has_the_energy_of_the_model(
    of: object, meter: object, allowed_wh: float
) -> None:
    truth = of().truth  # type: ignore[operator]
    asset = meter.asset  # type: ignore[attr-defined]
    rolls = {key for key, kinds in truth.touched.items() if "counter_rollover" in kinds}
    counters = [key for key in truth.counters if key[0] == asset and key not in rolls]
    pieces = [
        (name, *ends) for _, name in counters for ends in truth.pieces(asset, name)
    ]
    assert len(pieces) >= 8
    for name, first_us, last_us in pieces:
        slot, wh, _ = truth.readings(asset, name)
        first, last = np.searchsorted(slot, [first_us, last_us])
        flowed = 1000 * truth.energy_between(asset, name, first_us, last_us)
        counted = int(wh[last] - wh[first])
        # Hours count whole minutes.
        step = 1000 / 60 if name == "operatingHours" else allowed_wh
        assert abs(counted - flowed) <= step + 0.5


def test_readings_of_the_truth_are_those_of_the_frames() -> None:
    slot, wh, _ = troubled().truth.readings(SPLIT.asset, "energyImport")
    came = {
        record.slot_us: round(
            1000 * reading(troubled(), record, "energy", "energyImport")
        )
        for asset, group, record in records()
        if (asset, group, record.status) == (SPLIT.asset, "energy", Status.OK)
    }
    assert dict(zip(slot.tolist(), wh.tolist(), strict=True)) == came


def test_a_reset_counter_begins_again_and_hides_energy() -> None:
    reset = alone(trouble("counter_reset", 600, counter_kwh=5.0))
    before, after = column(reset, "energy", "energyImport", (590, 600))
    assert before > 1000
    assert after == 5.0
    assert reset.truth.hides_energy(EXACT.asset, "energyImport")
    assert not reset.truth.hides_energy(EXACT.asset, "operatingHours")
    assert not reset.truth.hides_energy(SPLIT.asset, "energyImport")
    assert reset.truth.pieces(EXACT.asset, "energyImport") == [
        (START_US, START_US + 590 * SECOND_US),
        (START_US + 600 * SECOND_US, START_US + 1190 * SECOND_US),
    ]


def test_a_counter_rolls_over_at_its_modulus_and_hides_nothing() -> None:
    rolled = alone(trouble("counter_rollover", 600, quantity="energyImport"))
    before, after = column(rolled, "energy", "energyImport", (590, 600))
    assert 1e10 - 1 < before < 1e10
    assert 0 <= after < 1
    touched = rolled.truth.touched
    assert touched == {(EXACT.asset, "energyImport"): {"counter_rollover"}}
    assert not rolled.truth.hides_energy(EXACT.asset, "energyImport")


def test_a_swapped_meter_has_another_serial_which_it_tells() -> None:
    swapped = alone(trouble("meter_swap", 600, counter_kwh=7.0))
    (event,) = (e for e in swapped.events if e.kind == "configuration_changed")
    assert event.asset == EXACT.asset
    assert event.time == START_US + 600 * SECOND_US + 75_000
    assert event.data["serialText.before"] == "PM50940000000"
    assert event.data["serialText"] == "PM50940500000"
    assert column(swapped, "energy", "energyImport", [600]) == [7.0]


def test_a_new_meter_is_not_commissioned() -> None:
    swapped = alone(trouble("meter_swap", 600))
    assert set(qualities(swapped, "realtime", 599)) == {Quality.GOOD}
    new = {Quality.UNCERTAIN_NOT_COMMISSIONED}
    assert set(qualities(swapped, "realtime", 600)) == new
    assert set(qualities(swapped, "demand", 600)) == new


def test_a_changed_ratio_is_told_after_its_delay_and_scales_power() -> None:
    changed = alone(trouble("ct_ratio_change", 600, factor=3.0, delay_us=MINUTE_US))
    (event,) = (e for e in changed.events if e.kind == "configuration_changed")
    assert event.time == START_US + 660 * SECOND_US + 76_000
    assert (event.data["ctRatio.before"], event.data["ctRatio"]) == ("1", "3")
    before, after = column(changed, "realtime", "realPower", (599, 600))
    assert after == pytest.approx(3 * before, rel=0.02)


def test_a_zero_counter_reads_zero_for_one_poll() -> None:
    zero = alone(trouble("counter_zero", 600, group="energy"))
    before, during, after = column(zero, "energy", "energyImport", (590, 600, 610))
    assert during == 0
    assert 0 < before < after
    slot, _, true = zero.truth.readings(EXACT.asset, "energyImport")
    assert slot[~true].tolist() == [START_US + 600 * SECOND_US]


def test_a_stale_answer_is_that_of_before() -> None:
    stale = alone(trouble("stale", 600, group="energy", delay_us=MINUTE_US))
    then, late, now = column(stale, "energy", "energyImport", (540, 600, 610))
    assert late == then < now


def test_frozen_readings_stay_bit_equal() -> None:
    frozen = alone(trouble("frozen", 300, 600, group="realtime"))
    assert len(set(column(frozen, "realtime", "realPower", range(300, 900)))) == 1
    assert len(set(column(frozen, "realtime", "realPower", range(900, 1200)))) > 100


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("nan", Quality.BAD_NOT_A_NUMBER),
        ("inf", Quality.BAD_NOT_A_NUMBER),
        ("overload", Quality.BAD_OVERLOAD),
    ],
)
def test_a_reading_without_a_number_says_why(name: str, code: Quality) -> None:
    odd = alone(trouble("nan", 60, reading=name, quantity="frequency"))
    assert qualities(odd, "realtime", 60) == [Quality.GOOD] * 28 + [code]
    assert set(qualities(odd, "realtime", 61)) == {Quality.GOOD}


def test_a_partial_answer_has_the_readings_of_its_first_block() -> None:
    partial = alone(trouble("partial", 60, asset=None))
    codes = qualities(partial, "realtime", 60)
    assert codes == [Quality.GOOD] * 12 + [Quality.BAD_NO_VALUE] * 17
    slot_us = START_US + 60 * SECOND_US
    frames = frames_of(partial)
    assert frames[EXACT.asset, "realtime", slot_us].status == Status.PARTIAL
    # A group of one block is answered or not.
    assert frames[EXACT.asset, "energy", slot_us].status == Status.OK


def test_a_failed_poll_has_no_readings() -> None:
    failed = alone(trouble("failed", 60, status=Status.REFUSED))
    assert set(qualities(failed, "realtime", 60)) == {Quality.BAD_NO_VALUE}
    assert np.isnan(column(failed, "realtime", "realPower", [60])).all()


def test_meters_of_a_larger_plant_keep_their_energy_but_for_three() -> None:
    meters = [replace(m, periods={"energy": 10.0}) for m in meters_of(12)]
    plant = Day(
        meters, START_US, START_US + 6 * HOUR_US,
        troubles=every_trouble(meters, START_US, START_US + 6 * HOUR_US, seed=5),
    )  # fmt: skip
    hiding = {
        asset for asset, name in plant.truth.counters
        if plant.truth.hides_energy(asset, name)
    }  # fmt: skip
    assert len(hiding) == len(HIDES_ENERGY) == 3
