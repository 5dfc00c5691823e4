"""Which part of history is meant: from and to a time or an offset, and which assets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase

__all__ = ["Assets", "Span", "parse_span"]

_WILD = frozenset("*?[")


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """From the start on and before the end; None where history itself begins and ends.

    Times are microseconds since the epoch, UTC; offsets are those of every partition.
    """

    start_us: int | None = None
    end_us: int | None = None
    start_offset: int | None = None
    end_offset: int | None = None

    @property
    def has_offsets(self) -> bool:
        """Whether only a log can answer it."""
        return self.start_offset is not None or self.end_offset is not None


def parse_span(start: str | None, end: str | None) -> Span:
    """Digits alone are an offset, all else is ISO 8601; ValueError says which is none.

    >>> parse_span("120", None).start_offset, parse_span(None, "2026-03-01").end_us
    (120, 1772323200000000)
    """
    start_us, start_offset = _place(start)
    end_us, end_offset = _place(end)
    return Span(
        start_us=start_us,
        end_us=end_us,
        start_offset=start_offset,
        end_offset=end_offset,
    )


class Assets:
    """Whose records are wanted: patterns such as ``plant/*/press-?``; none means all."""

    def __init__(self, patterns: Sequence[str] = ()) -> None:
        self._patterns = tuple(patterns)
        self._known: dict[str, bool] = {}

    @property
    def all(self) -> bool:
        """Whether nobody is left out."""
        return not self._patterns

    @property
    def names(self) -> tuple[tuple[str, str, str], ...] | None:
        """Site, area and asset of each that is named in full; None where one is not."""
        split = [tuple(pattern.split("/")) for pattern in self._patterns]
        if not split or any(_WILD & set(pattern) for pattern in self._patterns):
            return None
        found = [(n[0], n[1], n[2]) for n in split if len(n) == 3]
        return tuple(found) if len(found) == len(split) else None

    def want(self, key: str) -> bool:
        """Whether the records of this key are wanted."""
        if key not in self._known:
            self._known[key] = self.all or any(
                fnmatchcase(key, pattern) for pattern in self._patterns
            )
        return self._known[key]


def _place(text: str | None) -> tuple[int | None, int | None]:
    """A time or an offset."""
    if text is None:
        return None, None
    if text.isdecimal():
        return None, int(text)
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is neither a time such as 2026-03-01T12:00 nor an offset"
        ) from None
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)
    return round(instant.timestamp() * 1e6), None
