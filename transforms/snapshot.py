"""Snapshots are plain tuples, their version first."""

from __future__ import annotations

from typing import Any

__all__ = ["fields_of"]


def fields_of(snapshot: tuple[Any, ...], version: int, what: str) -> tuple[Any, ...]:
    """What follows the version; ValueError, which names ``what``, for another one.

    >>> fields_of((1, "press", 7), 1, "a snapshot")
    ('press', 7)
    """
    found, *fields = snapshot
    if found != version:
        raise ValueError(f"{what} of version {found} is not known")
    return tuple(fields)
