"""States made before the engine runs: what a rebuild found in the archive."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["read_seed", "write_seed"]

_NAME = "seed.pickle"

States = Mapping[str, tuple[Any, ...]]


def read_seed(folder: Path) -> States:
    """The state of each shard, none where nothing was made; OSError.

    A shard that the engine has kept since has its own.
    """
    try:
        data = (folder / _NAME).read_bytes()
    except FileNotFoundError:
        return {}
    states: States = pickle.loads(data)  # noqa: S301 - plain tuples of our own file
    return states


def write_seed(folder: Path, states: States) -> None:
    """Keep them, whole or not at all; OSError."""
    draft = folder / f"{_NAME}.draft"
    draft.write_bytes(pickle.dumps(dict(states)))
    draft.replace(folder / _NAME)
