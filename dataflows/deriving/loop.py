"""Derive as a plain loop: for tests, backfill and the making of a state again.

The engine's flow gives the same, which a test proves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.log.contract import Batch
from dataflows.deriving.operator import Told, route, work
from transforms.derivation.rules import DeriveRules
from transforms.derivation.shard import SchemaOf, Shard

__all__ = ["Loop"]


class Loop:
    """All shards, one batch after the other."""

    def __init__(
        self,
        rules: DeriveRules,
        schema_of: SchemaOf,
        states: Mapping[str, tuple[Any, ...]] | None = None,
    ) -> None:
        self._rules = rules
        self._schema_of = schema_of
        self._shards = {
            name: Shard.from_snapshot(rules, schema_of, state)
            for name, state in (states or {}).items()
        }

    def take(self, batch: Batch) -> list[Told]:
        """What a batch of frames or events comes to."""
        return [work(self._shard(name), item) for name, item in route(batch)]

    def finish(self) -> list[Told]:
        """The end of a replay: tell all that is open."""
        return [(shard.finish(), []) for _, shard in sorted(self._shards.items())]

    def states(self) -> dict[str, tuple[Any, ...]]:
        """The state of each shard, to go on with."""
        return {name: shard.to_snapshot() for name, shard in self._shards.items()}

    def _shard(self, name: str) -> Shard:
        if name not in self._shards:
            self._shards[name] = Shard(self._rules, self._schema_of)
        return self._shards[name]
