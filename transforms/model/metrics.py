"""What the rooms count, as a seam: the Prometheus side lives in ``dataflows``."""

from __future__ import annotations

from typing import Protocol

__all__ = ["NO_METRICS", "Metrics"]


class Metrics(Protocol):
    """A place for numbers. Names end in their unit; labels are few and closed."""

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        """Add to a counter."""

    def gauge(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge."""

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Add a value to a histogram."""


class _NoMetrics:
    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        pass

    def gauge(self, name: str, value: float, **labels: str) -> None:
        pass

    def observe(self, name: str, value: float, **labels: str) -> None:
        pass


NO_METRICS: Metrics = _NoMetrics()
