"""A flow's own state that it cannot go on with."""

from __future__ import annotations

__all__ = ["REBUILD", "StateError"]

# Asks derive to make its state again; `pm500 run derive --rebuild` sets it.
REBUILD = "PM500_REBUILD"


class StateError(Exception):
    """A state of another version; the text says what to do. Trying again does not help."""
