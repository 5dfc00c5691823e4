"""One row of the table of benchmarks."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

__all__ = ["Result", "machine", "markdown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What was measured, against what, and the bar that it is held to.

    ``value`` is the figure that ``bar`` speaks of; ``at_most`` tells its direction,
    None where there is no bar. ``detail`` holds the absolute figures of the run.
    """

    what: str
    against: str
    value: float
    unit: str
    bar: float | None
    at_most: bool
    detail: str

    @property
    def holds(self) -> bool:
        """Whether the bar holds; true without one."""
        if self.bar is None:
            return True
        return self.value <= self.bar if self.at_most else self.value >= self.bar

    @property
    def cells(self) -> tuple[str, ...]:
        """The row as text."""
        sign = "≤" if self.at_most else "≥"
        bar = "" if self.bar is None else f"{sign} {self.bar:g} {self.unit}"
        verdict = "" if self.bar is None else ("yes" if self.holds else "**no**")
        value = f"{self.value:.2f} {self.unit}"
        return self.what, self.against, value, bar, verdict, self.detail


def machine() -> str:
    """What the figures were taken on."""
    model = "unknown processor"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text().splitlines()
        names = [
            line.partition(":")[2].strip() for line in lines if "model name" in line
        ]
        model = names[0] if names else platform.machine()
    return (
        f"{os.cpu_count()} x {model}, {platform.system()} {platform.release()}, "
        f"CPython {platform.python_version()}"
    )


def markdown(results: Sequence[Result], fast: bool) -> str:
    """The page ``docs/benchmarks.md``."""
    head = ("measured", "against", "figure", "bar", "holds", "in detail")
    rows = [head, tuple("---" for _ in head), *(r.cells for r in results)]
    table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    now = datetime.now(UTC)
    short = " Short windows: read these figures as a smoke test." if fast else ""
    return (
        "# Benchmarks\n\n"
        "Made by `make bench`; every bar is a ratio or a latency within one run, so that\n"
        "the machine's own speed matters little. What each one does stands in the\n"
        "docstring of its module in `tests/benchmarks/`.\n\n"
        f"Taken {now:%Y-%m-%d %H:%M} UTC on {machine()}.{short}\n\n{table}\n"
    )
