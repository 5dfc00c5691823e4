"""Several sources as one, because the engine keeps separate ones in step badly.

Every source begins its epochs by its own wakes. Of two that are woken at different
times the quicker one gets ahead a little in each epoch, must wait for the other at the
end of it, and after some minutes waits nearly all the time, spinning. The partitions of
one source share their epochs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition

__all__ = ["Together"]

T = TypeVar("T")


class Together(FixedPartitionedSource[T, None]):
    """The partitions of all ``sources``, named ``<source>/<partition>``."""

    def __init__(
        self, sources: Mapping[str, FixedPartitionedSource[Any, None]]
    ) -> None:
        self._sources = sources

    def list_parts(self) -> list[str]:
        """Those of all sources."""
        return [
            f"{name}/{part}"
            for name, source in self._sources.items()
            for part in source.list_parts()
        ]

    def build_part(
        self, step_id: str, for_part: str, resume_state: None
    ) -> StatefulSourcePartition[T, None]:
        """Let its source build it."""
        name, _, part = for_part.partition("/")
        return self._sources[name].build_part(step_id, part, resume_state)
