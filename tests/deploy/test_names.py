"""The names that the dashboards rely on are those that the historian writes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from tests.deploy.influx_lines import MEASUREMENTS
from tests.line_protocol import parse
from tests.transforms.codec.frames import SCHEMAS
from tests.transforms.lines.test_records import DEMAND, ENERGY, EVENT, HOUR
from transforms.codec.window import STATISTICS, WindowSchema
from transforms.lines.batch import LinesOfFrames, LinesOfRecords

KEY = "plant/hall1/press"
ABOUT = dict.fromkeys("quantity phase alert topic partition".split(), "one")


def tags(_: str) -> dict[str, str]:
    return {"site": "plant", "area": "hall1", "asset": "press", "breaker": "Q1"}


def written() -> Iterator[bytes]:
    """Every field of every measurement, from frames and records of all kinds."""
    known = {schema.header: schema for schema in SCHEMAS}
    windows = {WindowSchema(schema).header: WindowSchema(schema) for schema in SCHEMAS}
    frames = []
    for schema in SCHEMAS:
        count = len(schema.columns)
        good = schema.encode(1, 10**6, 10**6, 0, 0, 0, bytes(count), [True] * count)
        frames.append(good)
        frames.append(schema.encode_failed(2, 10**6, 2 * 10**6, 0, 0, 2))
    lines = LinesOfFrames(lambda value: known[value[:10]], tags)
    pieces, _ = lines.of([KEY] * len(frames), frames)
    event = replace(EVENT, data=ABOUT)
    records = [record.encode() for record in (DEMAND, ENERGY, HOUR, event)]
    for window in windows.values():
        tails = np.zeros(1, window.tail)
        for name in (*STATISTICS, "Good"):
            tails["reading"][name] = 1.5
        start, end, due, counted = (
            np.array([each]) for each in (0, 60_000_000, 60, 60)
        )
        records += window.encode(
            [KEY], 60_000_000, start, end, due, counted, [0], tails
        )
    more, _ = LinesOfRecords(lambda value: windows.get(value[:10]), tags).of(
        [KEY] * len(records), records
    )
    assert len(pieces) == len(frames)
    assert len(more) == len(records)
    yield from (text for _, text in (*pieces, *more))


def test_the_names_are_those_that_the_historian_writes() -> None:
    found: dict[str, tuple[set[str], set[str]]] = defaultdict(lambda: (set(), set()))
    for line in parse(b"\n".join(written()).decode()):
        assert line.point is not None, line.problem
        own_tags, fields = found[line.point.measurement]
        own_tags.update(key for key, _ in line.point.tags)
        fields.update(line.point.fields)
    assert found.keys() == MEASUREMENTS.keys()
    for measurement, (names, fields) in found.items():
        expected_tags, expected = MEASUREMENTS[measurement]
        assert names == expected_tags
        # No shipped profile reads the phase sequence.
        lacking = {field for field in expected if field.startswith("phase_sequence")}
        assert fields == expected - lacking
