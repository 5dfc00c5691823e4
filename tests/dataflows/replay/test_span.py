from __future__ import annotations

import pytest

from dataflows.replay.span import Assets, Span, parse_span


def test_digits_alone_are_an_offset_and_all_else_is_a_time() -> None:
    assert parse_span("20260301", "2026-03-01T12:00:00.5") == Span(
        start_offset=20260301, end_us=1_772_366_400_500_000
    )


def test_a_time_with_a_zone_is_that_instant() -> None:
    assert parse_span("2026-03-01T13:00+01:00", None).start_us == 1_772_366_400_000_000


def test_without_ends_it_is_all_of_history() -> None:
    assert parse_span(None, None) == Span()
    assert not Span().has_offsets


def test_what_is_neither_is_said() -> None:
    with pytest.raises(ValueError, match="'noon' is neither a time such as"):
        parse_span("0", "noon")


def test_no_pattern_wants_everybody() -> None:
    assert Assets().all
    assert Assets().want("plant/hall/press")
    assert Assets().names is None


def test_any_pattern_may_fit() -> None:
    assets = Assets(["plant/*/press-?", "plant/yard/pump"])
    keys = ["plant/hall/press-1", "plant/hall/press-10", "plant/yard/pump"]
    assert [assets.want(key) for key in keys] == [True, False, True]
    assert assets.names is None


def test_assets_named_in_full_are_known_by_their_parts() -> None:
    assets = Assets(["plant/hall/press", "plant/yard/pump"])
    assert assets.names == (("plant", "hall", "press"), ("plant", "yard", "pump"))
    assert Assets(["plant"]).names is None
