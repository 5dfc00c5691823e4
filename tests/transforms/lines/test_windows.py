from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transforms.codec.frames import SCHEMAS, as_float32, schemas
from tests.transforms.lines.reading import labels, points_of
from transforms.codec.frame import FrameSchema
from transforms.codec.window import STATISTICS, WindowRecord, WindowSchema
from transforms.lines.names import place_of
from transforms.lines.windows import window_lines
from transforms.model.quality import Quality

KEY = "plant/hall1/press"
START, LENGTH = 1_713_897_600_000_000, 900_000_000
(REALTIME,) = (s for s in SCHEMAS if (s.profile, s.group) == ("pm500", "realtime"))


def window(schema: WindowSchema, seed: int) -> WindowRecord:
    chance = np.random.default_rng(seed)
    tails = np.zeros(1, schema.tail)
    wide = tails["quality"].shape
    tails["quality"] = chance.choice([int(code) for code in Quality], wide)
    for name in (*STATISTICS, "Good"):
        tails["reading"][name] = chance.choice([np.nan, 0.0, -1.5, 1e6, 0.1], wide)
    start, end, due, good = (
        np.array([each]) for each in (START, START + LENGTH, 900, 890)
    )
    (value,) = schema.encode([KEY], LENGTH, start, end, due, good, [2], tails)
    return schema.decode(value)


@given(schemas, st.integers(0, 99))
@settings(max_examples=60)
def test_every_statistic_that_is_a_number_is_a_field(
    frame: FrameSchema, seed: int
) -> None:
    schema = WindowSchema(frame)
    record = window(schema, seed)
    expected: dict[tuple[str, str], Any] = {}
    for name, code, own in zip(
        frame.names, record.quality, record.statistics, strict=True
    ):
        phase, field = place_of(name)
        words = ("mean", "min", "max", "last", "good")
        for word, value in zip(words, own, strict=True):
            if code != Quality.BAD_NOT_IN_SYSTEM and math.isfinite(value):
                expected[phase, f"{field}_{word}"] = as_float32(value)
    found: dict[tuple[str, str], Any] = {}
    for point in points_of(window_lines(schema, record, labels)):
        tags = dict(point.tags)
        phase = tags.pop("phase")
        assert tags == labels(KEY) | {"group": frame.group, "window": "900"}
        assert point.measurement == "pm500_window"
        assert point.time == START * 1000
        fields = dict(point.fields)
        assert fields.pop("quality") in (0.0, 64.0, 192.0)
        if phase == "total":
            counts = [fields.pop(name) for name in ("due", "good", "revision")]
            assert counts == [900.0, 890.0, 2.0]
        found |= {
            (phase, name): as_float32(float(value)) for name, value in fields.items()
        }
    assert found == expected


def test_a_window_of_ten_seconds_says_so() -> None:
    schema = WindowSchema(REALTIME)
    record = window(schema, 1)._replace(length_us=10_000_000)
    for point in points_of(window_lines(schema, record, labels)):
        assert dict(point.tags)["window"] == "10"
