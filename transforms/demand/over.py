"""A demand that is over, beside how much of its time was measured."""

from __future__ import annotations

from typing import NamedTuple

from transforms.codec.derived import Demand
from transforms.demand.mean import SECOND_US, SLACK_SECONDS

__all__ = ["Over"]


class Over(NamedTuple):
    """``seconds`` of ``whole_us`` were measured, the whole interval of the calendar.

    ``is_news`` says that the record is to be told: what was measured of it may change
    while its content stays.
    """

    demand: Demand
    seconds: float
    whole_us: int
    is_news: bool = True

    @property
    def covered_percent(self) -> float:
        """To a tenth, as it is told."""
        return round(min(100 * self.seconds * SECOND_US / self.whole_us, 100.0), 1)

    def covers(self, percent: int) -> bool:
        """Whether so much was measured at least, not rounded."""
        seconds = self.whole_us / SECOND_US * percent / 100
        return self.seconds + SLACK_SECONDS >= seconds
