"""The points of the strict InfluxDB: what it stores of a body, and what it says of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.line_protocol import Line, Value, parse, type_name

__all__ = ["TOO_OLD", "Outcome", "Points", "Stored", "partial_write"]

Key = tuple[str, tuple[tuple[str, str], ...], int]
Stored = dict[Key, dict[str, Value]]

TOO_OLD = "points beyond retention policy"
# The times that InfluxDB can keep.
_EARLIEST, _LATEST = -(1 << 63) + 2, (1 << 63) - 2


def partial_write(reason: str, dropped: int) -> str:
    """InfluxDB's words for a body of which some points were not stored."""
    return f"partial write: {reason} dropped={dropped}"


@dataclass(kw_only=True)
class Outcome:
    """What became of a body."""

    stored: int = 0
    malformed: list[str] = field(default_factory=list)
    """A text for every line that is none."""
    dropped: int = 0
    """Points that are well formed and were not stored."""
    reason: str = ""
    """Of the first of them. Where types conflict, those that are too old go unsaid."""


class Points:
    """Fields by series and time; the last one written stands, as in InfluxDB."""

    def __init__(self, clock_ns: Callable[[], int]) -> None:
        self._clock_ns = clock_ns
        self._stored: Stored = {}
        self._types: dict[tuple[str, str], str] = {}

    def copy(self) -> Stored:
        """All of them."""
        return {key: dict(fields) for key, fields in self._stored.items()}

    def write(
        self,
        text: str,
        *,
        scale: int,
        poison: frozenset[str],
        keeps_seconds: float | None,
        stores_good_lines: bool,
    ) -> Outcome:
        """Store the points of a body, whose times are in units of ``scale`` ns."""
        outcome = Outcome()
        now = self._clock_ns()
        points = []
        for line in parse(text):
            time_ns = now
            if line.point and line.point.time is not None:
                time_ns = line.point.time * scale
            if problem := _problem(line, time_ns, poison):
                outcome.malformed.append(f"unable to parse '{line.text}': {problem}")
            elif line.point:
                points.append((line.point, time_ns))
        if outcome.malformed and not stores_good_lines:
            return outcome
        oldest = _EARLIEST if keeps_seconds is None else now - int(keeps_seconds * 1e9)
        too_old = 0
        for point, time_ns in points:
            if time_ns < oldest:
                too_old += 1
            elif conflict := self._conflict(point.measurement, point.fields):
                outcome.dropped += 1
                outcome.reason = outcome.reason or conflict
            else:
                key = (point.measurement, point.tags, time_ns)
                self._stored.setdefault(key, {}).update(point.fields)
                outcome.stored += 1
        if too_old and not outcome.dropped:
            outcome.dropped, outcome.reason = too_old, TOO_OLD
        return outcome

    def _conflict(self, measurement: str, fields: dict[str, Value]) -> str:
        """What is wrong with the types; they are remembered where nothing is."""
        known = self._types
        types = {(measurement, name): type_name(it) for name, it in fields.items()}
        for (_, name), kind in types.items():
            if (old := known.get((measurement, name), kind)) != kind:
                return (
                    f'field type conflict: input field "{name}" on measurement'
                    f' "{measurement}" is type {kind}, already exists as type {old}'
                )
        known.update(types)
        return ""


def _problem(line: Line, time_ns: int, poison: frozenset[str]) -> str:
    if line.problem:
        return line.problem
    if any(text in line.text for text in poison):
        return "poison"
    if not _EARLIEST <= time_ns <= _LATEST:
        return f"time outside range {_EARLIEST} - {_LATEST}"
    return ""
