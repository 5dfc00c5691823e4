"""Where the time of derive goes: a profile by what the work is for.

Self time by function, taken with cProfile. What is in C counts for the function that
called it; a function that serves several rooms counts for its callers, each in
proportion. The profiler makes calls dear, so that rooms with many small ones look larger
than they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from cProfile import Profile
from pstats import Stats
from typing import Any

__all__ = ["REST", "shares"]

REST = "engine and the rest"
# The first that a function's place begins with, below the project.
_ROOMS = (
    ("transforms/codec/batch", "decode"),
    ("transforms/codec/sift", "decode"),
    ("transforms/codec/frame", "decode"),
    ("transforms/codec/keys", "decode"),
    ("transforms/codec/window", "encode windows"),
    ("transforms/windows/tails", "encode windows"),
    ("transforms/windows/", "cells and windows"),
    ("transforms/calendar", "cells and windows"),
    ("transforms/demand/", "demand"),
    ("transforms/derivation/shard.py:_minutes", "demand"),
    ("transforms/derivation/asset.py:demand_minutes", "demand"),
    ("transforms/derivation/asset.py:minute", "demand"),
    ("transforms/sequence", "ledger and gaps"),
    ("transforms/ledger", "ledger and gaps"),
    ("transforms/over_time", "quality over time"),
    ("transforms/alerts/", "life and alerts"),
    ("transforms/liveness", "life and alerts"),
    ("transforms/derivation/shard.py:_cells", "life and alerts"),
    ("transforms/derivation/shard.py:_attends", "life and alerts"),
    ("transforms/derivation/asset.py:cell", "life and alerts"),
    ("transforms/derivation/asset.py:statuses", "life and alerts"),
    ("transforms/derivation/asset.py:steady", "life and alerts"),
    ("transforms/derivation/asset.py:looks_at", "life and alerts"),
    ("transforms/energy/", "energy"),
    ("transforms/derivation/merge", "energy"),
    ("transforms/codec/record", "records"),
    ("transforms/codec/derived", "records"),
    ("transforms/derivation/shard.py:add", "records"),
    ("dataflows/deriving/", "by shard"),
    ("transforms/", REST),
    ("tests/", REST),
)
# These serve several rooms: ids are of windows too.
_SHARED = (
    "transforms/codec/record.py:after",
    "transforms/codec/frame.py:varint",
    "transforms/codec/frame.py:time_varint",
)
# What is done before the flow runs.
_BEFORE = "dataflows/runtime.py:_calm_collector"

Function = tuple[str, int, str]


def shares(work: Callable[[], object], root: str) -> dict[str, float]:
    """Part of each room in the time of ``work``, the largest first; together 1."""
    profile = Profile(builtins=False)
    profile.enable()
    try:
        work()
    finally:
        profile.disable()
    found: Any = Stats(profile)
    rooms = _Rooms(found.stats, root)
    total: Counter[str] = Counter()
    for function, (_, _, own, _, _) in found.stats.items():
        if rooms.place(function) == _BEFORE:
            continue
        for room, part in rooms.of(function).items():
            total[room] += own * part
    whole = sum(total.values())
    return {room: seconds / whole for room, seconds in total.most_common()}


class _Rooms:
    """The rooms of each function, as parts of 1."""

    def __init__(self, stats: dict[Function, Any], root: str) -> None:
        self._stats = stats
        self._root = root
        self._known: dict[Function, dict[str, float]] = {}

    def of(self, function: Function) -> dict[str, float]:
        if function not in self._known:
            # Who is reached from itself meanwhile says nothing of its room.
            self._known[function] = {}
            self._known[function] = self._found(function)
        return self._known[function]

    def place(self, function: Function) -> str:
        """The file below the project, and the name."""
        file, _, name = function
        return f"{file.removeprefix(self._root).lstrip('/')}:{name}"

    def _found(self, function: Function) -> dict[str, float]:
        place = self.place(function)
        # A comprehension belongs to whoever it stands in.
        if place not in _SHARED and not function[2].startswith("<"):
            for start, room in _ROOMS:
                if place.startswith(start):
                    return {room: 1.0}
        parts: Counter[str] = Counter()
        for caller, (_, _, own, _) in self._stats[function][4].items():
            for room, part in self.of(caller).items():
                parts[room] += own * part
        whole = sum(parts.values())
        return {r: part / whole for r, part in parts.items()} if whole else {REST: 1.0}
