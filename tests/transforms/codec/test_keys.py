from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from transforms.codec.keys import Keys

some_keys = st.lists(st.sampled_from(["s/a/m1", "s/a/m2", "s/b/m1", ""]))


@given(some_keys)
def test_coded_keys_are_the_same_sequence(keys: list[str]) -> None:
    coded = Keys.of(keys)
    assert list(coded) == keys
    assert [coded[place] for place in range(len(coded))] == keys
    assert sorted(set(keys)) == sorted(coded.texts)
    assert Keys.of(coded) is coded


@given(some_keys, st.integers(0, 9), st.integers(0, 9))
def test_a_slice_of_coded_keys_is_that_slice_of_the_texts(
    keys: list[str], start: int, end: int
) -> None:
    part = Keys.of(keys)[start:end]
    assert list(part) == keys[start:end]


@given(some_keys)
def test_compact_keys_have_only_the_texts_that_are_used(keys: list[str]) -> None:
    coded = Keys(["none", *Keys.of(keys).texts, "none"], Keys.of(keys).codes + 1)
    compact = coded.compact()
    assert list(compact) == keys
    assert compact.texts == Keys.of(keys).texts
    assert compact.codes.dtype == np.int32


def test_texts_that_come_later_change_nothing() -> None:
    texts = ["s/a/m1"]
    keys = Keys(texts, np.zeros(2, np.int32))
    texts.append("s/a/m2")
    assert list(keys.compact()) == ["s/a/m1", "s/a/m1"]
    assert keys.compact().texts == ["s/a/m1"]
