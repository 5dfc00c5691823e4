from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from sinks.influx.answer import Answer, Step


@pytest.mark.parametrize(
    ("status", "step"),
    [
        (None, Step.AGAIN), (408, Step.AGAIN), (429, Step.AGAIN), (500, Step.AGAIN),
        (502, Step.AGAIN), (503, Step.AGAIN), (504, Step.AGAIN), (413, Step.SPLIT),
        (400, Step.ISOLATE), (422, Step.ISOLATE), (401, Step.MEND), (403, Step.MEND),
        (404, Step.MEND), (301, Step.MEND), (405, Step.MEND), (415, Step.MEND),
    ],
)  # fmt: skip
def test_every_status_asks_for_one_thing(status: int | None, step: Step) -> None:
    assert Answer(status, "because").step is step


@pytest.mark.parametrize("status", [400, 422])
def test_points_that_are_too_old_to_keep_are_no_mistake(status: int) -> None:
    text = "partial write: points beyond retention policy dropped=12"
    answer = Answer(status, text)
    assert answer.step is Step.PASS
    assert answer.expired == 12


def test_a_long_text_tells_of_old_points_too() -> None:
    text = f"dropped 3 points outside retention policy of 1h - {'x' * 500} dropped=3"
    answer = Answer(422, text)
    assert (answer.step, answer.expired) == (Step.PASS, 3)
    assert len(str(answer)) < 320


def test_a_bad_line_that_speaks_of_retention_is_a_bad_line() -> None:
    text = (
        "unable to parse 'm t=\"beyond retention policy\" x': bad timestamp dropped=1"
    )
    answer = Answer(400, text)
    assert (answer.step, answer.expired) == (Step.ISOLATE, 0)


def test_a_number_of_points_that_nobody_can_have_sent_is_one() -> None:
    assert Answer(400, f"beyond retention policy dropped={'9' * 5000}").expired == 1


@pytest.mark.parametrize(
    ("reason", "step"),
    [
        ("partial write: field type conflict: float, string dropped=1", Step.ISOLATE),
        ("partial write: points beyond retention policy dropped=2", Step.PASS),
        ("partial write", Step.AGAIN),
        ("engine: no space left on device", Step.AGAIN),
    ],
)
def test_the_first_versions_2_say_500_of_points_that_they_dropped(
    reason: str, step: Step
) -> None:
    text = f"unexpected error writing points to database: {reason}"
    assert Answer(500, text).step is step


@pytest.mark.parametrize("body", ["[" * 100_000, "1" * 5000, '{"error":' * 10_000])
def test_no_body_is_a_mistake_of_the_program(body: str) -> None:
    assert Answer.of(400, body, {}).step is Step.ISOLATE


@pytest.mark.parametrize(
    ("body", "headers", "text"),
    [
        ('{"error":"database not found: \\"x\\""}', {}, 'database not found: "x"'),
        ('{"code":"not found","message":"bucket \\"x\\""}', {}, 'bucket "x"'),
        ("<html>\n  no\n</html>", {}, "<html> no </html>"),
        ("", {"X-Influxdb-Error": "engine closed"}, "engine closed"),
        ("[1]", {}, "[1]"),
        ('{"code":"x"}', {}, '{"code":"x"}'),
    ],
)
def test_the_server_s_own_words_are_told_in_one_line(
    body: str, headers: dict[str, str], text: str
) -> None:
    assert str(Answer.of(404, body, headers)) == f"404 {text}"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("3", 3.0),
        ("0.5", 0.5),
        ("-1", 0.0),
        ("soon", None),
        ("999999", 3600.0),
        ("", None),
        ("nan", 0.0),
        ("1e999", 3600.0),
        ("Fri, 31 Dec 9999 23:59:59 -2359", None),
    ],
)
def test_retry_after_is_a_number_of_seconds(text: str, seconds: float | None) -> None:
    assert Answer.of(429, "", {"Retry-After": text}).retry_after == seconds


def test_retry_after_may_be_a_date() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    after = Answer.of(503, "", {"Retry-After": date}).retry_after
    assert after is not None
    assert 50 < after <= 60
