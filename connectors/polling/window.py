"""Our own Modbus window, and how long EtherNet/IP may be silent after it."""

from __future__ import annotations

__all__ = ["ModbusWindow"]


class ModbusWindow:
    """Tells a meter that its Modbus keeps quiet from one that is gone.

    An active Modbus session suspends EtherNet/IP, which recovers by itself after an
    unknown time. The grace begins when a window closes in which Modbus really was
    open, and it is not renewed before EtherNet/IP has answered: a dead meter is seen
    as dead.
    """

    def __init__(self, grace_us: int) -> None:
        self._grace_us = grace_us
        self._until_us = 0
        self._was_open = False
        self._answered = True

    def opened(self) -> None:
        """Modbus has been opened."""
        self._was_open = True

    def closed(self, now_us: int) -> None:
        """The window is over, whether or not the meter answered in it."""
        if self._was_open and self._answered:
            self._until_us = now_us + self._grace_us
            self._answered = False
        self._was_open = False

    def ethernet_ip_answered(self) -> None:
        """EtherNet/IP is back: the next window has a grace of its own."""
        self._answered = True
        self._until_us = 0

    def silences(self, now_us: int) -> bool:
        """Whether silence of EtherNet/IP is what the last window explains."""
        return now_us < self._until_us
