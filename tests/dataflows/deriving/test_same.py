"""What derive tells is a function of the frames alone, however they come."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path

import bytewax.operators as op
import pytest
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.testing import TestingSink, TestingSource, cluster_main, run_main
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.log.contract import EVENTS, Batch
from dataflows.deriving.loop import Loop
from dataflows.deriving.operator import Told, derive, route
from tests.derived import (
    Latest,
    batches_of,
    derived,
    highest,
    rules_for,
    same_content,
    sha256,
    values_of,
)
from tests.generated import KINDS, Day, every_trouble, meters_of, shuffled_within
from transforms.derivation.shard import SHARDS, shard_of

pytestmark = pytest.mark.xdist_group("same")

HOUR_US = 3_600_000_000
START_US = 1_795_046_400_000_000 + 7 * HOUR_US
PERIODS = {"realtime": 1.0, "energy": 10.0, "status": 10.0}
# What comes later than the lateness is told again: in how many revisions depends on it.
IN_TIME = [kind for kind in KINDS if kind not in ("late", "shuffled", "duplicate")]


@pytest.fixture(scope="module")
def day() -> Day:
    """Forty minutes of four meters with every trouble."""
    meters = meters_of(4, periods=PERIODS)
    end_us = START_US + 2400_000_000
    troubles = every_trouble(meters, START_US, end_us, seed=3)
    return Day(meters, START_US, end_us, troubles=troubles)


@pytest.fixture(scope="module")
def in_time() -> Day:
    """The same without frames that are late."""
    meters = meters_of(4, periods=PERIODS)
    end_us = START_US + 2400_000_000
    troubles = every_trouble(meters, START_US, end_us, seed=3, kinds=IN_TIME)
    return Day(meters, START_US, end_us, troubles=troubles)


@pytest.fixture(scope="module")
def expected(day: Day) -> dict[str, Latest]:
    return highest(values_of(derived(rules_for(day), day)))


def test_the_forty_minutes_hold_every_kind_of_record(
    expected: dict[str, Latest],
) -> None:
    assert len(expected) > 2000
    assert max(latest.revision for latest in expected.values()) > 5


@pytest.mark.parametrize("size", [1, 61, 1000])
def test_any_cut_in_batches_gives_the_same(
    day: Day, expected: dict[str, Latest], size: int
) -> None:
    found = highest(values_of(derived(rules_for(day), day, cut(batches_of(day), size))))
    assert same_content(found, expected) == []


@pytest.mark.parametrize("seed", [1, 2])
def test_arrival_shuffled_within_the_lateness_gives_the_same(
    in_time: Day, seed: int
) -> None:
    straight = highest(values_of(derived(rules_for(in_time), in_time)))
    mixed = highest(
        values_of(derived(rules_for(in_time), in_time, shuffled(in_time, seed)))
    )
    assert (same_content(mixed, straight), sha256(mixed)) == ([], sha256(straight))


@settings(max_examples=8, deadline=None)
@given(st.integers(1, 60))
def test_a_snapshot_at_any_point_changes_nothing(
    day: Day, expected: dict[str, Latest], every: int
) -> None:
    rules, count = rules_for(day), 0

    def again(loop: Loop) -> Loop:
        nonlocal count
        count += 1
        if count % every:
            return loop
        states = pickle.loads(pickle.dumps(loop.states()))
        return Loop(rules, day.schema_of, states)

    told = derived(rules, day, cut(batches_of(day), 800), look=again)
    assert same_content(highest(values_of(told)), expected) == []


def test_a_state_is_of_plain_values_only(day: Day) -> None:
    loop = Loop(rules_for(day), day.schema_of)
    for batch in batches_of(day):
        loop.take(batch)
    assert set(kinds_in(loop.states())) <= {
        "int", "float", "str", "bytes", "bool", "NoneType", "tuple", "dict",
    }  # fmt: skip


def test_two_replicas_tell_what_one_does(day: Day, expected: dict[str, Latest]) -> None:
    parts = [
        derived(rules_for(day), day, of_partition(batches_of(day), number))
        for number in (0, 1)
    ]
    found = [highest(values_of(part)) for part in parts]
    assert not set(found[0]) & set(found[1])
    assert same_content(found[0] | found[1], expected) == []


def test_the_engine_tells_what_the_plain_loop_does(
    day: Day, expected: dict[str, Latest]
) -> None:
    told: list[tuple[str, Told]] = []
    run_main(  # type: ignore[no-untyped-call]
        flow(day, list(cut(batches_of(day), 900)), told)
    )
    assert same_content(latest(told), expected) == []


def test_two_workers_tell_what_one_does(day: Day, expected: dict[str, Latest]) -> None:
    told: list[tuple[str, Told]] = []
    cluster_main(  # type: ignore[no-untyped-call]
        flow(day, list(cut(batches_of(day), 900)), told), [], 0,
        worker_count_per_proc=2,
    )  # fmt: skip
    assert same_content(latest(told), expected) == []


def test_a_flow_that_was_ended_goes_on_where_it_was(
    day: Day, expected: dict[str, Latest], tmp_path: Path
) -> None:
    init_db_dir(tmp_path, 1)  # type: ignore[no-untyped-call]
    batches = list(cut(batches_of(day), 400))
    told: list[tuple[str, Told]] = []
    ends = [*range(3, len(batches), 7), len(batches)]
    for end in ends:
        run_main(  # type: ignore[no-untyped-call]
            flow(day, batches[:end], told, ends=end == len(batches)),
            epoch_interval=timedelta(0),
            recovery_config=RecoveryConfig(str(tmp_path)),  # type: ignore[no-untyped-call]
        )
    assert len(ends) > 4
    assert same_content(latest(told), expected) == []


def test_every_shard_has_assets() -> None:
    assert {shard_of(meter.asset) for meter in meters_of(40)} == set(range(SHARDS))


# -- ways for frames to come ------------------------------------------------------------


def cut(batches: Iterable[Batch], size: int) -> Iterator[Batch]:
    for batch in batches:
        if batch.topic == EVENTS:
            yield batch
            continue
        for at in range(0, len(batch.keys), size):
            here = slice(at, at + size)
            yield batch._replace(
                offsets=batch.offsets[here],
                keys=batch.keys[here],
                values=batch.values[here],
            )


def shuffled(day: Day, seed: int) -> Iterator[Batch]:
    """Each stretch between two settings in another order."""
    for batch in batches_of(day, size=1 << 40):
        if batch.topic == EVENTS:
            yield batch
            continue
        frames = list(zip(batch.keys, batch.values, strict=True))
        mixed = shuffled_within(frames, 1_900_000, seed)
        yield batch._replace(
            keys=[key for key, _ in mixed], values=[value for _, value in mixed]
        )


def of_partition(batches: Iterable[Batch], number: int) -> Iterator[Batch]:
    """Half of the assets, as Kafka would divide them; settings go to both."""
    for batch in batches:
        own = [
            place
            for place, key in enumerate(batch.keys)
            if batch.topic == EVENTS or int(key[-1]) % 2 == number
        ]
        if batch.topic == EVENTS:
            own = [n for n in own if int(batch.keys[n][-1]) % 2 == number]
        if own:
            yield batch._replace(
                offsets=[batch.offsets[place] for place in own],
                keys=[batch.keys[place] for place in own],
                values=[batch.values[place] for place in own],
            )


def flow(
    day: Day, batches: list[Batch], told: list[tuple[str, Told]], *, ends: bool = True
) -> Dataflow:
    rules = rules_for(day)
    dataflow = Dataflow("test")
    up = op.input("log", dataflow, TestingSource(batches))
    work = op.flat_map("route", up, route)
    out = derive("derive", work, rules, lambda: day.schema_of, lambda: ends, {})
    op.output("out", out, TestingSink(told))
    return dataflow


def latest(told: list[tuple[str, Told]]) -> dict[str, Latest]:
    return highest(values_of(each for _, each in told))


def kinds_in(value: object) -> Iterator[str]:
    yield type(value).__name__
    if isinstance(value, dict):
        value = tuple(value.items())
    if isinstance(value, tuple):
        for part in value:
            yield from kinds_in(part)
