"""The account of deliveries of one edge node: what is sent, owed, and proved.

QoS 0 has no acknowledgment, so "sent" is only a hope: a probe that the server answers
proves everything handed over before it. When the connection breaks, whatever was not
proved is owed again. A duplicate may come of that, a hole never.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from sinks.sparkplug.owed import NOTHING, Owed

__all__ = ["Account", "Mark"]


class Mark(NamedTuple):
    """A state of the account: owed below ``live``, nothing looked at from there on."""

    owed: Owed
    live: int

    @property
    def lowest(self) -> int:
        """The first offset of the log that is still needed."""
        owed = self.owed.lowest()
        return self.live if owed is None else min(owed, self.live)


class Account:
    """Starts with what ``start`` owes; ``devices`` are all of the edge node."""

    def __init__(self, start: Mark, devices: Iterable[str]) -> None:
        self._devices = tuple(devices)
        self._owed, self._live = start
        self._held = NOTHING  # looked at, and waiting for its device to be born
        self._clear = dict.fromkeys(self._devices, start.live)
        self._proved = start
        self._probes: deque[tuple[int, int, Mark]] = deque()

    @property
    def live(self) -> int:
        """The offset behind the last record looked at."""
        return self._live

    @property
    def next_owed(self) -> int | None:
        """Where the backlog goes on; None where there is none that can be sent."""
        return self._owed.lowest()

    @property
    def records(self) -> int:
        """How many log records the backlog spans, at most."""
        return self._owed.union(self._held).records

    def looked(self, stop: int) -> None:
        """Everything before ``stop`` has been looked at, and sent or owed."""
        self._live = max(self._live, stop)

    def sent(self, device: str, offset: int) -> None:
        """A live frame was handed over."""
        self._clear[device] = offset + 1

    def owe(self, device: str, offset: int) -> None:
        """A live frame could not be sent.

        One range grows from the last frame sent: what lies between is not this
        device's, or has no readings.
        """
        self._owed = self._owed.add((device,), self._clear[device], offset + 1)

    def holds(self, device: str, offset: int) -> bool:
        """Whether this record of the backlog is still to be sent."""
        return self._owed.holds(device, offset)

    def settle(self, stop: int, waiting: Iterable[tuple[str, int]]) -> None:
        """The backlog was sent up to ``stop``, but for frames of unborn devices."""
        for device, offset in waiting:
            ranges = self._held.ranges.get(device)
            start = ranges[-1][1] if ranges else offset
            self._held = self._held.add((device,), min(start, offset), offset + 1)
        self._owed = self._owed.settle(self._devices, stop)
        for device, clear in self._clear.items():
            self._clear[device] = max(clear, stop)

    def born(self, device: str) -> None:
        """A device can take its backlog now."""
        ranges = self._held.ranges.get(device, ())
        for start, stop in ranges:
            self._owed = self._owed.add((device,), start, stop)
        if ranges:
            self._held = self._held.settle((device,), ranges[-1][1])

    def now(self) -> Mark:
        """The account if everything handed over has arrived."""
        return Mark(self._owed.union(self._held), self._live)

    @property
    def proved_mark(self) -> Mark:
        """The account as the server has proved it."""
        return self._proved

    def connected(self) -> None:
        """A session begins: nothing is under way."""
        self._proved = self.now()
        self._probes.clear()

    def broke(self) -> None:
        """The connection is gone, with whatever was not proved."""
        owed, live = self._proved
        self._owed = self._owed.union(owed).add(self._devices, live, self._live)
        self._proved = self.now()
        self._probes.clear()

    def probed(self, number: int, now_us: int) -> None:
        """A probe was sent behind everything handed over."""
        self._probes.append((number, now_us, self.now()))

    def proved(self, number: int) -> None:
        """The server answered a probe; answers come in the order of the probes."""
        if all(number != sent for sent, _, _ in self._probes):
            return
        while self._probes:
            sent, _, mark = self._probes.popleft()
            if sent == number:
                self._proved = mark
                return

    def unproved_since_us(self) -> int | None:
        """When the oldest unanswered probe was sent."""
        return self._probes[0][1] if self._probes else None
