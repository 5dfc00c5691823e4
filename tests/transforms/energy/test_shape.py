from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.energy.load import PowerMinute, mean_kw, measured
from transforms.energy.shape import Piece, shares, split

HOUR_US = 3_600_000_000


def unknown(*hours: int) -> list[Piece]:
    return [Piece(h * HOUR_US, (h + 1) * HOUR_US, 0.0, 0) for h in hours]


def known(hour: int, kw: float) -> Piece:
    return Piece(hour * HOUR_US, (hour + 1) * HOUR_US, kw * 1000, HOUR_US)


@pytest.mark.parametrize(
    ("pieces", "before", "after", "parts"),
    [
        pytest.param(unknown(0, 1), None, None, [50, 50], id="flat"),
        pytest.param(unknown(0, 1), 7.0, None, [50, 50], id="flat from one side"),
        pytest.param(unknown(0, 1), 0.0, 4.0, [25, 75], id="straight between"),
        pytest.param(unknown(0, 1), 0.0, 0.0, [50, 50], id="no load around"),
        pytest.param([known(0, 1.0), known(1, 3.0)], 9.0, 0.0, [25, 75], id="measured"),
        pytest.param(
            [known(0, 1.0), *unknown(1), known(2, 3.0)], None, None, [17, 33, 50],
            id="a hole between measured pieces",
        ),
    ],
)  # fmt: skip
def test_energy_lies_where_the_load_was(
    pieces: list[Piece], before: float | None, after: float | None, parts: list[int]
) -> None:
    assert split(100, pieces, before, after) == parts


@given(
    st.integers(0, 10**13),
    st.lists(st.floats(0, 1e9), min_size=1, max_size=50).filter(any),
)
def test_shares_make_the_whole_and_are_never_negative(
    total: int, weights: list[float]
) -> None:
    parts = shares(total, weights)
    assert sum(parts) == total
    assert min(parts) >= 0


def test_a_minute_counts_in_proportion() -> None:
    minute = PowerMinute(0, 60_000_000, 600.0, 30_000_000, 50.0)
    assert measured([minute], 15_000_000, 30_000_000) == (150.0, 7_500_000)


def test_no_measured_time_has_no_mean_power() -> None:
    assert mean_kw([], 0, 60_000_000) is None


def test_power_that_is_no_number_is_not_measured() -> None:
    minute = PowerMinute(0, 60_000_000, float("nan"), 60_000_000, 50.0)
    assert measured([minute], 0, 60_000_000) == (0.0, 0)
