"""How one asset's demand is counted."""

from __future__ import annotations

from typing import NamedTuple

from transforms.calendar import Calendar

__all__ = ["DemandRules"]


class DemandRules(NamedTuple):
    """The meter's own settings in the calendar of its site.

    ``method`` is ``block`` or ``sliding``, which is of power alone (1420-UM001E p. 57):
    currents are counted by blocks with either. ``interval_us`` is a whole number of
    minutes that divides the day. A billing period begins on ``billing_first_day`` of
    the month, 1 to 28.
    """

    asset: str
    calendar: Calendar
    method: str
    interval_us: int
    billing_first_day: int = 1
