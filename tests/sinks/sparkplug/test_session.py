from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from sinks.sparkplug import session as sparkplug
from sinks.sparkplug.session import Message, Session

Step = Callable[[Session], tuple[Session, list[Message]]]


def of(function: Callable[[Session, str], tuple[Session, list[Message]]]) -> list[Step]:
    return [lambda state, d=d: function(state, d) for d in ("a", "b", "c")]  # type: ignore[misc]


STEPS: list[Step] = [
    sparkplug.subscribed, sparkplug.rebirth, sparkplug.closed, sparkplug.node_data,
    sparkplug.stop, *of(sparkplug.back), *of(sparkplug.lost), *of(sparkplug.data),
    *of(sparkplug.data), *of(sparkplug.data),
]  # fmt: skip


def run(state: Session, *steps: Step) -> tuple[Session, list[Message]]:
    messages: list[Message] = []
    for step in steps:
        state, drawn = step(state)
        messages += drawn
    return state, messages


def back(device: str) -> Step:
    return lambda state: sparkplug.back(state, device)


def data(device: str) -> Step:
    return lambda state: sparkplug.data(state, device)


def test_tck_id_payloads_nbirth_seq_and_dbirth_order() -> None:
    _, messages = run(Session(), back("b"), back("a"), sparkplug.subscribed, data("a"))
    assert messages == [
        ("NBIRTH", None, 0), ("DBIRTH", "a", 1), ("DBIRTH", "b", 2), ("DDATA", "a", 3),
    ]  # fmt: skip


def test_tck_id_payloads_sequence_num_incrementing_over_its_end() -> None:
    state, _ = run(Session(), back("a"), sparkplug.subscribed)
    _, messages = run(state, *[data("a")] * 256)
    assert [m.seq for m in messages] == [*range(2, 256), 0, 1]


def test_tck_id_payloads_ndeath_seq() -> None:
    _, messages = run(Session(), back("a"), sparkplug.subscribed, sparkplug.stop)
    assert messages[-2:] == [("DDEATH", "a", 2), ("NDEATH", None, None)]


def test_tck_id_operational_behavior_data_commands_rebirth_action_2() -> None:
    state, _ = run(Session(), back("a"), sparkplug.subscribed, data("a"))
    _, messages = run(state, sparkplug.rebirth, data("a"))
    assert messages == [("NBIRTH", None, 0), ("DBIRTH", "a", 1), ("DDATA", "a", 2)]


def test_nothing_is_drawn_while_offline() -> None:
    _, messages = run(
        Session(), back("a"), data("a"), sparkplug.node_data, sparkplug.rebirth,
        sparkplug.stop,
    )  # fmt: skip
    assert messages == []


def test_more_devices_than_numbers_are_all_born() -> None:
    state, _ = run(Session(), *[back(f"m{n:03}") for n in range(300)])
    state, messages = sparkplug.subscribed(state)
    assert [m.seq for m in messages] == [n % 256 for n in range(301)]
    assert state.seq == 301 % 256


@given(st.lists(st.sampled_from(STEPS), max_size=80))
def test_every_message_keeps_the_order_of_the_specification(steps: list[Step]) -> None:
    state = Session()
    online, born, expected = False, set[str](), 0
    for step in steps:
        state, messages = step(state)
        for kind, device, seq in messages:
            if kind == "NBIRTH":
                online, born, expected = True, set(), 0
            assert online
            assert seq == (None if kind == "NDEATH" else expected)
            expected = (expected + 1) % 256
            if kind == "DBIRTH":
                born.add(device or "")
            if kind in ("DDATA", "DDEATH"):
                assert device in born
            if kind == "DDEATH":
                born.remove(device or "")
            if kind == "NDEATH":
                online = False
        if step is sparkplug.closed:
            online = False
        assert state.online == online
        assert state.born == (born if online else frozenset())
        assert state.born <= state.alive
