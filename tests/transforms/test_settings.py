from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.settings import (
    UNSAID,
    Change,
    MeterSettings,
    changes,
    from_snapshot,
    merged,
    settings_of,
    step,
    to_snapshot,
)

MINUTE = 60_000_000
DESCRIBED = {
    "firmwareBase": "16899",
    "serialText": "PM50942000017",
    "electricalSystem": "5",
    "demandMode": "0",
    "demandInterval": "3",
    "demandSynchronization": "1",
    "ctRatio": "80",
    "vtRatio": "1",
}
SETTINGS = MeterSettings("block", 15 * MINUTE, 80.0, 1.0, "PM50942000017", "3P.n")

described = st.dictionaries(st.sampled_from(sorted(DESCRIBED)), st.text())
meter_settings = st.builds(
    MeterSettings,
    st.none() | st.sampled_from(["block", "sliding"]),
    st.none() | st.sampled_from([MINUTE, 15 * MINUTE]),
    st.none() | st.floats(1, 4),
    st.none() | st.floats(1, 4),
    st.none() | st.sampled_from(["A", "B"]),
    st.none() | st.sampled_from(["1P", "3P.n"]),
)


def test_a_description_holds_the_settings() -> None:
    assert settings_of(DESCRIBED) == SETTINGS


@pytest.mark.parametrize(
    ("code", "minutes"),
    [("0", 1), ("1", 5), ("2", 10), ("3", 15), ("4", 20), ("5", 30), ("6", 60)],
)
def test_an_interval_is_one_of_seven(code: str, minutes: int) -> None:
    found = settings_of({"demandInterval": code})
    assert found.demand_interval_us == minutes * MINUTE


@pytest.mark.parametrize(("code", "method"), [("0", "block"), ("1", "sliding")])
def test_a_method_is_fixed_or_slide(code: str, method: str) -> None:
    assert settings_of({"demandMode": code}).demand_method == method


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("demandMode", "2"),
        ("demandMode", ""),
        ("demandInterval", "7"),
        ("demandInterval", "-1"),
        ("demandInterval", "²"),
        ("ctRatio", "nan"),
        ("ctRatio", "1e999"),
        ("ctRatio", "0"),
        ("vtRatio", "-1"),
        ("vtRatio", "one"),
        ("serialText", "  "),
        ("electricalSystem", "6"),
        ("electricalSystem", "3P"),
    ],
)
def test_what_makes_no_sense_was_not_said(name: str, text: str) -> None:
    assert settings_of({name: text}) == UNSAID


def test_a_large_ratio_is_read_as_it_is_written() -> None:
    assert settings_of({"ctRatio": "1e+06"}).ct_ratio == 1e6


def test_what_is_not_said_again_stays() -> None:
    assert merged(SETTINGS, MeterSettings(ct_ratio=40.0)) == MeterSettings(
        "block", 15 * MINUTE, 40.0, 1.0, "PM50942000017", "3P.n"
    )


def test_names_of_what_changed_are_in_order() -> None:
    new = MeterSettings("sliding", 15 * MINUTE, 40.0)
    assert changes(SETTINGS, new) == ("demand_method", "ct_ratio")


def test_a_first_description_is_no_change() -> None:
    assert step(UNSAID, 7, DESCRIBED) == (SETTINGS, None)


def test_the_same_description_again_is_no_change() -> None:
    assert step(SETTINGS, 7, DESCRIBED) == (SETTINGS, None)


def test_a_setting_said_later_is_no_change() -> None:
    old = SETTINGS._replace(ct_ratio=None)
    assert step(old, 7, DESCRIBED) == (SETTINGS, None)


def test_another_ratio_is_a_change() -> None:
    after = SETTINGS._replace(ct_ratio=40.0)
    data = {"ctRatio": "40", "ctRatio.before": "80"}
    change = Change(7, SETTINGS, after, ("ct_ratio",))
    assert step(SETTINGS, 7, data) == (after, change)


def test_a_snapshot_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="a settings snapshot of version 9 is not"):
        from_snapshot((9, None))


@given(described)
def test_no_text_raises(data: dict[str, str]) -> None:
    settings_of(data)


@given(meter_settings)
def test_a_snapshot_gives_the_settings_back(found: MeterSettings) -> None:
    assert from_snapshot(to_snapshot(found)) == found


@given(meter_settings, meter_settings)
def test_what_did_not_change_is_equal_after(
    old: MeterSettings, new: MeterSettings
) -> None:
    assert changes(merged(old, new), new) == ()
