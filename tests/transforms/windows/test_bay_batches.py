"""The order of arrival and the cutting of the log make no difference."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transforms.windows.oracle import Fact
from tests.transforms.windows.runs import (
    MINUTE,
    SECOND,
    SECONDS,
    Site,
    Told,
    cut,
    cuts,
    delayed,
    final,
    is_plain,
    late_runs,
    seconds,
    site_and_frames,
    slots_of,
    told_of,
    with_lanes,
)
from transforms.windows.bay import Bay

few = settings(max_examples=40)


@given(late_runs(), cuts)
@few
def test_any_cut_into_batches_gives_the_same_bytes(
    run: tuple[Site, list[Fact]], places: list[int]
) -> None:
    site, facts = run
    assert told_of(site, cut(facts, places)).sorted() == told_of(site, [facts]).sorted()


@given(late_runs())
@few
def test_a_batch_of_each_frame_gives_the_same_bytes(
    run: tuple[Site, list[Fact]],
) -> None:
    site, facts = run
    single = told_of(site, [[fact] for fact in facts])
    assert single.sorted() == told_of(site, [facts]).sorted()


@given(st.data(), site_and_frames, cuts)
@few
def test_frames_shuffled_within_the_lateness_give_the_same_bytes(
    data: st.DataObject, run: tuple[Site, list[Fact]], places: list[int]
) -> None:
    site, facts = run
    shuffled = data.draw(delayed(site, facts, site.lateness))
    told = told_of(site, cut(shuffled, places))
    assert told.sorted() == told_of(site, [facts]).sorted()


@given(st.data(), late_runs(), cuts)
@few
def test_duplicates_change_nothing_but_their_events(
    data: st.DataObject, run: tuple[Site, list[Fact]], places: list[int]
) -> None:
    site, facts = run
    doubled = facts.copy()
    copies = data.draw(st.lists(st.integers(0, len(facts) - 1), max_size=9))
    for number in copies:
        first = doubled.index(facts[number])
        doubled.insert(data.draw(st.integers(first + 1, len(doubled))), facts[number])
    told = told_of(site, cut(doubled, places))
    assert told.sorted() == told_of(site, [facts]).sorted()
    assert sorted((e.asset, e.time) for e in told.duplicates) == sorted(
        (f"plant/hall/meter{facts[n].lane}", facts[n].slot) for n in copies
    )
    assert told.counts["duplicate"] == len(copies)


@given(late_runs(), cuts)
@few
def test_a_bay_goes_on_from_its_snapshot(
    run: tuple[Site, list[Fact]], places: list[int]
) -> None:
    site, facts = run

    def restarted(bay: Bay) -> Bay:
        snapshot = bay.to_snapshot()
        assert is_plain(snapshot)
        new = site.bay()
        new.restore(snapshot)
        return new

    told = told_of(site, cut(facts, places), restarted)
    assert told.sorted() == told_of(site, cut(facts, places)).sorted()


def test_a_snapshot_of_an_empty_bay_is_one() -> None:
    bay = SECONDS.bay()
    bay.restore(SECONDS.bay().to_snapshot())
    assert bay.to_snapshot() == SECONDS.bay().to_snapshot()


def test_a_snapshot_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="windows of version 0 is not known"):
        SECONDS.bay().restore((0, *SECONDS.bay().to_snapshot()[1:]))


def test_windows_of_a_new_length_begin_with_the_restart() -> None:
    old = with_lanes(replace(SECONDS, lengths=(MINUTE,)).bay())
    old.take(slots_of(seconds(range(70)), range(3)))
    new = SECONDS.bay()
    new.restore(old.to_snapshot())
    told = Told()
    told.add(new, new.take(slots_of(seconds(range(70, 140)), range(3))))
    told.add(new, new.finish(0))
    assert [w[2] for w in final(told, 0, MINUTE).values()] == [60, 20]
    # What was closed before is not in it.
    assert [w[2] for w in final(told, 0, 15 * MINUTE).values()] == [80]


def test_cells_of_another_length_are_refused() -> None:
    other = replace(SECONDS, lengths=(5 * SECOND,)).bay()
    with pytest.raises(ValueError, match="of other lengths is not known"):
        SECONDS.bay().restore(other.to_snapshot())


def test_windows_built_from_a_length_that_is_gone_are_refused() -> None:
    old = replace(SECONDS, lengths=(5 * MINUTE, 15 * MINUTE)).bay()
    with pytest.raises(ValueError, match="of other lengths is not known"):
        SECONDS.bay().restore(old.to_snapshot())


def test_longer_windows_that_are_gone_are_dropped() -> None:
    new = replace(SECONDS, lengths=(MINUTE,)).bay()
    new.restore(with_lanes(SECONDS.bay()).to_snapshot())
    assert len(new.cells) == 16
