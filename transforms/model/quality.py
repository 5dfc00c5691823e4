"""Quality of a reading and status of a frame: two closed, append-only tables."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

__all__ = ["Quality", "Status", "worst"]


class Status(IntEnum):
    """The outcome of one slot of one group; one byte, append-only."""

    OK = 0
    PARTIAL = 1
    TIMEOUT = 2
    REFUSED = 3
    UNREACHABLE = 4
    CLOSED = 5
    CIP_ERROR = 6
    MODBUS_EXCEPTION = 7
    MALFORMED = 8
    FOREIGN_DEVICE = 9
    SUSPENDED = 10
    OVERRUN = 11
    BACKING_OFF = 12

    @property
    def label(self) -> str:
        """The word used in metrics, ledger and logs, such as ``backing_off``."""
        return self.name.lower()


class Quality(IntEnum):
    """Quality of one reading; 0-99 has a value, 100 and above has none."""

    GOOD = 0
    UNCERTAIN_NOT_COMMISSIONED = 1
    UNCERTAIN_INCONSISTENT = 2
    UNCERTAIN_FROZEN = 3
    UNCERTAIN_SUBSTITUTED = 4
    UNCERTAIN_CLOCK = 5
    UNCERTAIN_WIRING = 6
    UNCERTAIN_INCOMPLETE = 7
    BAD_NO_VALUE = 100
    BAD_NOT_A_NUMBER = 101
    BAD_OVERLOAD = 102
    BAD_OUT_OF_RANGE = 103
    BAD_NOT_IN_SYSTEM = 104
    BAD_COUNTER = 105

    @property
    def label(self) -> str:
        """The word used in logs and JSON, such as ``bad_overload``."""
        return self.name.lower()

    @property
    def has_value(self) -> bool:
        """Whether a reading of this quality carries a number."""
        return self < Quality.BAD_NO_VALUE

    @property
    def sparkplug(self) -> int:
        """The Sparkplug ``Quality`` property: 192 good, 500 stale, 0 bad."""
        if self.has_value:
            return 192
        return 500 if self is Quality.BAD_NO_VALUE else 0

    @property
    def archive(self) -> int:
        """The archive's and InfluxDB's number: 192 good, 64 uncertain, 0 bad."""
        if self is Quality.GOOD:
            return 192
        return 64 if self.has_value else 0


def worst(codes: Iterable[int]) -> int:
    """The worst archive number among quality codes; 192 for none.

    A reading without meaning in the meter's electrical system does not count: a
    three-wire meter is not bad for having no line-to-neutral voltage.
    """
    ranked = 192
    for code in codes:
        if code and code != Quality.BAD_NOT_IN_SYSTEM:
            ranked = min(ranked, 64 if code < Quality.BAD_NO_VALUE else 0)
    return ranked
