"""The one stateful operator of derive: a shard's machine under the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, overload

import bytewax.operators as op
import numpy as np
import numpy.typing as npt
from bytewax.dataflow import operator
from bytewax.operators import KeyedStream, StatefulBatchLogic

from connectors.log.contract import EVENTS, Batch
from dataflows.state import StateError
from transforms.codec.framing import CodecError
from transforms.codec.keys import Keys
from transforms.codec.records import Event, decode_record
from transforms.derivation.rules import DeriveRules
from transforms.derivation.shard import (
    SHARDS,
    Derived,
    SchemaOf,
    Shard,
    shard_of,
)

__all__ = [
    "DERIVE_STEP",
    "ROUTE_STEP",
    "Rejected",
    "Told",
    "Work",
    "derive",
    "route",
]

# The names of steps are the state's schema: never changed.
ROUTE_STEP = "shards"
DERIVE_STEP = "derive"


class Work(NamedTuple):
    """Frames for a shard in the order of the log, or one event of settings.

    An event has no offset.
    """

    shard: str
    offsets: Sequence[int]
    keys: Sequence[str]
    values: Sequence[bytes]


class _Picked(Sequence[int]):
    """Some of the offsets of a batch; hardly ever is one of them asked for."""

    def __init__(self, offsets: Sequence[int], places: npt.NDArray[np.intp]) -> None:
        self._offsets = offsets
        self._places = places

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, place: int, /) -> int: ...
    @overload
    def __getitem__(self, place: slice, /) -> _Picked: ...
    def __getitem__(self, place: int | slice, /) -> int | _Picked:
        if isinstance(place, slice):
            return _Picked(self._offsets, self._places[place])
        return self._offsets[int(self._places[place])]


class Rejected(NamedTuple):
    """A record of the log that is no frame: where it stands, and why it is none."""

    offset: int
    key: str
    value: bytes
    reason: str


Told = tuple[Derived, list[Rejected]]
_SETTINGS = frozenset(
    {
        "meter_described",
        "configuration_changed",
        "clock_unsynchronized",
        "clock_synchronized",
    }
)


def route(batch: Batch) -> list[tuple[str, Work]]:
    """A batch to its shards: frames by asset, settings to whom they concern."""
    if batch.topic == EVENTS:
        return _settings(batch)
    keys = Keys.of(batch.keys).compact()
    shards = np.array([shard_of(text) for text in keys.texts], np.int8)[keys.codes]
    out: list[tuple[str, Work]] = []
    for shard in np.unique(shards).tolist():
        places = np.flatnonzero(shards == shard)
        own = places.tolist()
        work_ = Work(
            _name(shard),
            _Picked(batch.offsets, places),
            Keys(keys.texts, keys.codes[places]),
            [batch.values[place] for place in own],
        )
        out.append((work_.shard, work_))
    return out


def _settings(batch: Batch) -> list[tuple[str, Work]]:
    """What meters said of themselves; what the host said goes to every shard."""
    out: list[tuple[str, Work]] = []
    for key, value in zip(batch.keys, batch.values, strict=True):
        try:
            event = decode_record(value)
        except CodecError:
            continue
        if not isinstance(event, Event) or event.kind not in _SETTINGS:
            continue
        shards = [shard_of(event.asset)] if event.asset else range(SHARDS)
        out += [(name, Work(name, [], [key], [value])) for name in map(_name, shards)]
    return out


def _name(shard: int) -> str:
    return f"{shard:02d}"


def work(shard: Shard, item: Work) -> Told:
    """What one shard makes of frames or settings."""
    _, offsets, keys, values = item
    if not offsets:
        event = decode_record(values[0])
        assert isinstance(event, Event)
        return shard.settings(event), []
    derived = shard.take(keys, values)
    dead = [
        Rejected(offsets[place], keys[place], values[place], why)
        for place, why in derived.rejected
    ]
    return derived, dead


class _Logic(StatefulBatchLogic[Work, Told, tuple[Any, ...]]):
    """A shard; its state is kept whole, as a plain tuple.

    The engine does not tell which shard it is: the first work does.
    """

    def __init__(
        self,
        make: Callable[[str], Shard],
        resume: tuple[Any, ...] | None,
        *,
        ends: Callable[[], bool],
    ) -> None:
        self._make = make
        self._resume = resume
        self._shard: Shard | None = None
        self._ends = ends

    def on_batch(self, values: list[Work]) -> tuple[Iterable[Told], bool]:
        if self._shard is None:
            self._shard = self._make(values[0].shard)
        out = [work(self._shard, item) for item in values]
        return out, StatefulBatchLogic.RETAIN

    def on_eof(self) -> tuple[Iterable[Told], bool]:
        """The end of a replay closes all; a stop closes nothing."""
        if not self._ends() or self._shard is None:
            return (), StatefulBatchLogic.RETAIN
        return [(self._shard.finish(), [])], StatefulBatchLogic.RETAIN

    def snapshot(self) -> tuple[Any, ...]:
        return (
            (self._resume or ()) if self._shard is None else self._shard.to_snapshot()
        )


@operator
def derive(
    step_id: str,  # noqa: ARG001 - the engine asks for it
    up: KeyedStream[Any],
    rules: DeriveRules,
    schema_of: Callable[[], SchemaOf],
    ends: Callable[[], bool],
    seed: Mapping[str, tuple[Any, ...]],
) -> KeyedStream[Any]:
    """Frames and settings by shard to what follows from them.

    ``schema_of`` is asked in the worker. ``ends`` says at the end of the input whether
    that is the end of a replay. ``seed`` are states to begin with where the engine has
    none. StateError for a state of another version.
    """

    def build(resume: tuple[Any, ...] | None) -> _Logic:
        def make(name: str) -> Shard:
            state = resume or seed.get(name)
            if state is None:
                return Shard(rules, schema_of())
            try:
                return Shard.from_snapshot(rules, schema_of(), state)
            except ValueError as error:
                raise StateError(
                    f"{error}; `pm500 run derive --rebuild` makes the state again"
                ) from error

        return _Logic(make, resume, ends=ends)

    return op.stateful_batch("stateful_batch", up, build)
