"""What processes have used of the processor."""

from __future__ import annotations

from collections.abc import Iterable

import psutil

__all__ = ["cpu_seconds"]


def cpu_seconds(processes: Iterable[psutil.Process]) -> float:
    """CPU seconds of all of them together, user and system."""
    times = [process.cpu_times() for process in processes]
    return sum(each.user + each.system for each in times)
