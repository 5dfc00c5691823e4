"""Odd tags and strings in a real InfluxDB and back, each with a line behind it."""

from __future__ import annotations

import pytest

from tests.influxdb import InfluxDb
from transforms.lines.text import fields, line, tags

pytestmark = pytest.mark.integration

TAGS = (
    "a\\b", "a\\\\b", "\\a", "a\\ b", "a\\,b", "a\\=b", "a\\\\ b", "\\,",
    'a"b', '"', "'x'", 'k="v"', 'a b="c"', 'x\\ "y', 'x\\ y "z', 'q "x, y=z" e',
    "= =", ",,", "#x", "é ü", "日本", "😀",
)  # fmt: skip
STRINGS = {
    "": "",
    "\\": "\\",
    "a\\": "a\\",
    "a\\\\": "a\\\\",
    'a"': 'a"',
    '\\"': '\\"',
    '"\\': '"\\',
    '\\\\"': '\\\\"',
    "\\n": "\\n",
    "a\nb": "a b",
    "a\rb": "a b",
    "a\r\nb": "a  b",
    "a=b,c d": "a=b,c d",
    "# c": "# c",
    "x\x00y": "x\x00y",
    "é": "é",
    "\u2028": "\u2028",
    "x" * 70_000: "x" * 70_000,
}


@pytest.mark.parametrize(
    ("number", "text"), list(enumerate(TAGS)), ids=range(len(TAGS))
)
def test_an_odd_tag_comes_back(influxdb: InfluxDb, number: int, text: str) -> None:
    tag_set = tags({"breaker": text, "phase": "A", "site": "p"})
    written = line(
        b"tag%d" % number, tag_set, fields({"kW": 1.0, "text": 'say "x"'}), 7
    )
    influxdb.write(f"{written.decode()}\nbehind_tag{number} f=1 5")
    assert influxdb.query(f"SELECT * FROM tag{number}") == [
        {
            "time": 7,
            "breaker": text,
            "kW": 1,
            "phase": "A",
            "site": "p",
            "text": 'say "x"',
        }
    ]
    assert influxdb.query(f"SELECT * FROM behind_tag{number}") == [{"time": 5, "f": 1}]


@pytest.mark.parametrize(
    ("number", "text"), list(enumerate(STRINGS)), ids=range(len(STRINGS))
)
def test_an_odd_string_comes_back_but_for_its_line_breaks(
    influxdb: InfluxDb, number: int, text: str
) -> None:
    field_set = fields({"a": text, "kW": 1.0, "z": text})
    written = line(b"string%d" % number, tags({"site": "p"}), field_set, 7)
    influxdb.write(f"{written.decode()}\nbehind_string{number} f=1 5")
    kept = STRINGS[text]
    assert influxdb.query(f"SELECT * FROM string{number}") == [
        {"time": 7, "a": kept, "kW": 1, "site": "p", "z": kept}
    ]
    behind = influxdb.query(f"SELECT * FROM behind_string{number}")
    assert behind == [{"time": 5, "f": 1}]
