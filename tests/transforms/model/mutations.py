"""A TOML document with a few of its values replaced by anything TOML can say."""

from __future__ import annotations

import copy
import datetime
from typing import Any

from hypothesis import strategies as st

_leaves = (
    st.booleans()
    | st.integers(-5, 70_000)
    | st.floats()
    | st.sampled_from(["", "realtime", "modbus", "voltageAN", "a/b", "1", "\0"])
    | st.just(datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC))
)
anything: st.SearchStrategy[Any] = st.recursive(
    _leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "address", "type", "x"]), inner)
    ),
    max_leaves=4,
)


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) below a value."""
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    else:
        return []
    own = [(value, key) for key, _ in items]
    return own + [place for _, inner in items for place in _places(inner)]


@st.composite
def mutated(draw: st.DrawFn, document: dict[str, Any]) -> dict[str, Any]:
    """The document with one to three values replaced or, in a table, removed."""
    changed = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        if places := _places(changed):
            container, key = draw(st.sampled_from(places))
            if isinstance(container, dict) and draw(st.booleans()):
                del container[key]
            else:
                container[key] = draw(anything)
    return changed
