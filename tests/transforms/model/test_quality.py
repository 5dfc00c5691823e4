from __future__ import annotations

import pytest

from transforms.model.quality import Quality, Status, worst

# contracts.md 8, written out: code, word, Sparkplug's number, the archive's number.
QUALITY = [
    (0, "good", 192, 192),
    (1, "uncertain_not_commissioned", 192, 64),
    (2, "uncertain_inconsistent", 192, 64),
    (3, "uncertain_frozen", 192, 64),
    (4, "uncertain_substituted", 192, 64),
    (5, "uncertain_clock", 192, 64),
    (6, "uncertain_wiring", 192, 64),
    (7, "uncertain_incomplete", 192, 64),
    (100, "bad_no_value", 500, 0),
    (101, "bad_not_a_number", 0, 0),
    (102, "bad_overload", 0, 0),
    (103, "bad_out_of_range", 0, 0),
    (104, "bad_not_in_system", 0, 0),
    (105, "bad_counter", 0, 0),
]
STATUS = [
    (0, "ok"),
    (1, "partial"),
    (2, "timeout"),
    (3, "refused"),
    (4, "unreachable"),
    (5, "closed"),
    (6, "cip_error"),
    (7, "modbus_exception"),
    (8, "malformed"),
    (9, "foreign_device"),
    (10, "suspended"),
    (11, "overrun"),
    (12, "backing_off"),
]


def test_the_table_of_quality_is_the_contracts() -> None:
    own = [(q.value, q.label, q.sparkplug, q.archive) for q in Quality]
    assert own == QUALITY


def test_the_table_of_status_is_the_contracts() -> None:
    assert [(status.value, status.label) for status in Status] == STATUS


@pytest.mark.parametrize("quality", Quality)
def test_a_code_under_100_has_a_value(quality: Quality) -> None:
    assert quality.has_value == (quality < 100)


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ([], 192),
        ([0, 0], 192),
        ([0, 1, 0], 64),
        ([7, 1], 64),
        ([0, 1, 101], 0),
        ([100], 0),
        ([0, 104], 192),
        ([5, 104], 64),
        ([104, 104], 192),
    ],
)
def test_the_worst_of_a_row(codes: list[int], expected: int) -> None:
    assert worst(codes) == expected
    assert worst(bytes(codes)) == expected
