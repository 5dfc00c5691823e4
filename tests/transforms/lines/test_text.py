from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transforms.lines.reading import the_point
from transforms.lines.text import LineError, fields, line, problem_with_tag, tags

# What InfluxDB can hold in a name; the values of tags have a property of their own.
words = st.text(
    st.characters(codec="utf-8", exclude_categories=["C", "Z"], exclude_characters="\\")
    | st.sampled_from(", ="),
    min_size=1,
    max_size=12,
)
keys = words.filter(lambda text: not text.startswith("_") and text != "time")
texts = st.text(st.characters(codec="utf-8") | st.sampled_from('\\, ="'))
tag_values = st.text(
    st.characters(codec="utf-8", exclude_categories=["C", "Z"])
    | st.sampled_from('\\, ="'),
    min_size=1,
).filter(lambda text: not text.endswith("\\"))
times = st.integers(-(2**62), 2**62)


@given(
    st.dictionaries(keys, words, max_size=5),
    st.dictionaries(keys, st.floats(allow_nan=False, allow_infinity=False) | texts),
    times,
)
def test_what_was_written_is_read_back(
    labels: dict[str, str], values: dict[str, float | str], time: int
) -> None:
    values = {**values, "n": 1.0}
    point = the_point(line(b"m", tags(labels), fields(values), time))
    assert dict(point.tags) == labels
    assert point.time == time
    expected = {
        key: " ".join(value.replace("\r", "\n").split("\n"))
        if isinstance(value, str)
        else value
        for key, value in values.items()
    }
    assert point.fields == expected


def test_tags_stand_in_the_order_of_their_keys() -> None:
    assert tags({"site": "p", "area": "h", "kind": "x"}) == b",area=h,kind=x,site=p"


@pytest.mark.parametrize("text", ["", "a\nb", "a\tb", "a\x00", "ends\\"])
def test_a_text_that_cannot_be_a_tag_is_told(text: str) -> None:
    assert problem_with_tag(text) is not None
    with pytest.raises(LineError, match="tag breaker: "):
        tags({"breaker": text})


@given(tag_values)
def test_every_other_text_comes_back_from_a_tag(text: str) -> None:
    assert problem_with_tag(text) is None
    labels = {"t": text, "u": "behind it"}
    assert dict(the_point(line(b"m", tags(labels), b"f=1", 0)).tags) == labels


@pytest.mark.parametrize("text", [r"a\b", r"a\ b", r"a\,b", r"a\=b", r"\\ b", r"\,"])
def test_a_backslash_within_a_tag_stays(text: str) -> None:
    point = the_point(line(b"m", tags({"t": text}), b"f=1", 0))
    assert dict(point.tags) == {"t": text}


def test_what_is_no_number_has_no_field() -> None:
    values = {"a": float("nan"), "b": float("inf"), "c": None, "d": 0.5}
    assert fields(values) == b"d=0.5"


@given(st.dictionaries(texts, texts))
def test_a_mapping_is_a_string_of_json(data: dict[str, str]) -> None:
    point = the_point(line(b"m", b"", fields({"data": data}), 0))
    text = point.fields["data"]
    assert isinstance(text, str)
    assert json.loads(text) == data


@pytest.mark.parametrize("time", [2**63, -(2**63), 2**63 - 1])
def test_a_time_that_influxdb_cannot_hold_is_told(time: int) -> None:
    with pytest.raises(LineError, match="beyond"):
        line(b"m", b"", b"f=1", time)
