"""Is the host's clock synchronized? The kernel says so, and anyone may ask it.

Linux only: adjtimex(2) with no modes set reads and changes nothing. In a container the
answer is that of the host's kernel, which knows of a time service only where that
service tells it: it may say no on a host whose clock is right.
"""

from __future__ import annotations

import ctypes
import sys
from dataclasses import replace
from typing import NamedTuple

from transforms.codec.records import Event

__all__ = ["ClockWatch", "KernelClock", "kernel_clock", "synchronized"]

# linux/timex.h
_STA_UNSYNC = 0x0040
_TIME_ERROR = 5

_SEEN = "the system says that its clock is not synchronized"
_WELL = "the system says that its clock is synchronized"
_OVER = "the system says that its clock is synchronized again"


class KernelClock(NamedTuple):
    """The kernel's answer: clock state, status bits, largest error in microseconds."""

    state: int
    status: int
    maximum_error_us: int

    @property
    def synchronized(self) -> bool:
        """Whether a time service keeps the clock, by what it told the kernel."""
        return self.state != _TIME_ERROR and not self.status & _STA_UNSYNC


class _Timex(ctypes.Structure):
    """The head of ``struct timex``; the rest is room for what the kernel writes."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_long * 64),
    )


def kernel_clock() -> KernelClock | None:
    """What the kernel says of its clock; None where it does not say.

    There may be no such call, or a sandbox that does not permit it.
    """
    if sys.platform != "linux":
        return None
    try:
        adjtimex = ctypes.CDLL(None).adjtimex
    except (OSError, AttributeError):
        return None
    timex = _Timex()
    state: int = adjtimex(ctypes.byref(timex))
    if state < 0:
        return None
    return KernelClock(state, timex.status, timex.maxerror)


def synchronized() -> bool | None:
    """Whether the host's clock is synchronized; None where the system does not say."""
    clock = kernel_clock()
    return None if clock is None else clock.synchronized


class ClockWatch:
    """Tells once when the clock is seen unsynchronized, and once when it is back.

    Its events have no asset: they are the host's. A new watch begins a new event; what
    one before left open is over by the first word of this one.
    """

    def __init__(self) -> None:
        self._open: Event | None = None
        self._said = False

    def look(self, now_us: int, synchronized: bool | None) -> Event | None:
        """Take what the system said at ``now_us``, by its clock; None says nothing."""
        if synchronized is None:
            return None
        first, self._said = not self._said, True
        if first and synchronized:
            return Event(asset="", kind="clock_synchronized", time=now_us, text=_WELL)
        if synchronized == (self._open is None):
            return None
        if self._open is None:
            self._open = Event(
                asset="",
                kind="clock_unsynchronized",
                time=now_us,
                severity="warning",
                text=_SEEN,
            )
            return self._open
        event, self._open = self._open, None
        # The clock may have been set back by what synchronized it.
        until_us = max(now_us, event.time)
        return replace(event, revision=1, until=until_us, text=_OVER)
