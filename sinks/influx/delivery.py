"""A roll of lines on its way: what the server's answers make of it. Knows no socket.

What was taken is not sent again, whatever comes of the rest; nothing is taken back. The
same line sent twice is the same point, so a roll that is made again after a crash does
no harm.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple, NoReturn

from sinks.contract import Rejected
from sinks.influx.answer import Answer, Step
from sinks.influx.gate import Gate
from sinks.rolls.contract import Refused
from transforms.model.metrics import NO_METRICS, Metrics

__all__ = ["Backoff", "Delivery", "Sent"]

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
MEND_PAUSE_SECONDS = 5.0
# So many others are tried before a server is said to refuse every line.
SAMPLES = 20


class Sent(NamedTuple):
    """A record and its lines, joined."""

    offset: int
    key: str
    value: bytes
    lines: bytes


class Backoff:
    """Pauses that double, of one partition; a yes forgets them.

    ``spread`` gives a number from 0 to 1: pauses are up to a fifth longer or shorter, so
    that many clients do not come back at once.
    """

    def __init__(self, spread: Callable[[], float] = random.random) -> None:
        self._spread = spread
        self._next = FIRST_PAUSE_SECONDS

    def pause(self) -> float:
        """Seconds to wait now."""
        pause = self._next
        self._next = min(2 * pause, LONGEST_PAUSE_SECONDS)
        return pause * (0.8 + 0.4 * self._spread())

    def reset(self) -> None:
        """The server said yes."""
        self._next = FIRST_PAUSE_SECONDS


class Delivery:
    """Records of a partition up to ``last``, as far as they have lines.

    ``rejected`` are those that are set aside once it is delivered; the server's own
    verdicts come to those that were given.
    """

    def __init__(
        self,
        records: Sequence[Sent],
        *,
        rejected: Sequence[Rejected],
        last: int,
        gate: Gate,
        backoff: Backoff,
        metrics: Metrics = NO_METRICS,
    ) -> None:
        self._todo = deque([records] if records else [])
        self._gate = gate
        self._backoff = backoff
        self._metrics = metrics
        self._takes = False
        self._bad: list[tuple[Sent, str]] = []
        self._given = list(rejected)
        self.last = last

    @property
    def rejected(self) -> list[Rejected]:
        """What has no place in InfluxDB, in the order of the log."""
        bad = [Rejected(*record[:3], f"InfluxDB: {why}") for record, why in self._bad]
        return sorted([*self._given, *bad])

    def commit(self) -> None:
        """Have it all taken; Refused where the server cannot or may not, now.

        A call that failed is made again, and goes on where that one stopped.
        """
        self._takes = False  # what it took before it was held says nothing of now
        while self._todo:
            records = self._todo[0]
            try:
                self._gate.post(b"\n".join([record.lines for record in records]))
            except Answer as answer:
                self._count(answer)
                self._after(records, answer)
            else:
                self._count(None)
                self._yes(records)

    def _yes(self, records: Sequence[Sent], expired: int = 0) -> None:
        self._todo.popleft()
        self._takes = True
        self._backoff.reset()
        self._metrics.count("pm500_influx_points_total", _lines(records) - expired)
        if expired:
            self._metrics.count("pm500_influx_expired_total", expired)
        else:
            self._gate.good = records[-1].lines

    def _after(self, records: Sequence[Sent], answer: Answer) -> None:
        match answer.step:
            case Step.AGAIN:
                self._again(answer)
            case Step.MEND:
                raise Refused(str(answer), MEND_PAUSE_SECONDS)
            case Step.PASS if len(records) == 1 or answer.expired >= _lines(records):
                self._yes(records, min(answer.expired, _lines(records)))
            case Step.PASS:
                # It says so of some, and then says nothing of lines that are bad.
                self._halve(records)
            case Step.SPLIT | Step.ISOLATE:
                self._divide(records, answer)

    def _divide(self, records: Sequence[Sent], answer: Answer) -> None:
        """Halves instead of the whole; the one that cannot be halved is set aside."""
        if len(records) > 1:
            self._halve(records)
            return
        self._todo.popleft()
        self._bad.append((records[0], str(answer)))
        # Before a yes: is it the record, or the server?
        if not self._takes and not self._takes_another():
            self._hold(answer)

    def _halve(self, records: Sequence[Sent]) -> None:
        self._todo.popleft()
        half = len(records) // 2
        self._todo.extendleft([records[half:], records[:half]])

    def _hold(self, answer: Answer) -> NoReturn:
        """Nothing is set aside: all of it is tried again."""
        self._todo.appendleft([record for record, _ in self._bad])
        self._bad.clear()
        if answer.step is Step.AGAIN:
            self._again(answer)
        every = "" if answer.step is Step.MEND else "every line is refused: "
        raise Refused(f"{every}{answer}", MEND_PAUSE_SECONDS)

    def _again(self, answer: Answer) -> NoReturn:
        pause = self._backoff.pause()
        raise Refused(str(answer), max(pause, answer.retry_after or 0.0))

    def _takes_another(self) -> bool:
        """Whether it takes what it took before, or some that wait; they are sent again."""
        waiting = [record.lines for records in self._todo for record in records]
        tried = waiting[:: max(1, len(waiting) // SAMPLES)]
        if self._gate.good is not None:
            tried.insert(0, self._gate.good)
        for lines in tried:
            try:
                self._gate.post(lines)
            except Answer as answer:
                self._count(answer)
                if answer.step in (Step.ISOLATE, Step.SPLIT):
                    continue
                if answer.step is not Step.PASS:
                    self._hold(answer)
            else:
                self._count(None)
            self._takes = True
            return True
        return False

    def _count(self, answer: Answer | None) -> None:
        code = "204" if answer is None else str(answer.status or "none")
        self._metrics.count("pm500_influx_requests_total", answer=code)


def _lines(records: Sequence[Sent]) -> int:
    return sum(record.lines.count(b"\n") + 1 for record in records)
