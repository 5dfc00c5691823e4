"""Booking energy into the intervals it flowed in. Pure."""

from __future__ import annotations

from transforms.energy.counting import MINUTES, Counting, IntervalRules, Span
from transforms.energy.diagnosis import VOID_US
from transforms.energy.interval import Interval, with_power
from transforms.energy.load import PowerMinute, mean_kw, measured
from transforms.energy.row import MOST, Row
from transforms.energy.shape import Piece, split
from transforms.energy.surgeon import Step

__all__ = ["Book"]

_CUTS = 8
_LOST = 8


class Book:
    """The intervals of a state while they are worked on; ``closed`` is the state after.

    It lives for one call of the machine and shares nothing.
    """

    def __init__(self, rules: IntervalRules, state: Counting) -> None:
        self._rules = rules
        self._state = state
        self.row = Row(rules.interval_of, state.intervals, state.floor_us, state.cuts)
        self.spans = [*state.spans]
        self.minutes = [*state.minutes]
        self.power_us = state.power_us

    def closed(self) -> Counting:
        """The state, with what nobody needs any more left out."""
        self._forget_intervals()
        self._forget_minutes()
        cuts = tuple(cut for cut in self.row.cuts if cut >= self.row.floor_us)
        return self._state._replace(
            floor_us=self.row.floor_us,
            intervals=tuple(self.row.intervals),
            spans=tuple(self.spans),
            minutes=tuple(self.minutes),
            power_us=self.power_us,
            cuts=cuts[-_CUTS:],
        )

    def begin(self, slot_us: int) -> None:
        """The first reading of all was accepted here."""
        self.row.floor_us = slot_us
        for minute in self.minutes:
            self._measure(minute)

    def measure(self, minute: PowerMinute) -> None:
        """Take a minute of power that is newer than those before."""
        self.minutes.append(minute)
        self.power_us = minute.end_us
        if self._state.counter.accepted is not None:
            self._measure(minute)

    def take(self, step: Step, booked_us: int, *, hole: bool) -> None:
        """Book what the surgeon accepted; ``booked_us`` is how far he was before."""
        delta_wh, resumed = step.delta_wh, step.start_us < booked_us
        start_us = max(step.start_us, self.row.floor_us)
        if resumed:
            delta_wh -= self._void(step)
        places = self.row.stretch(start_us, step.end_us)
        for place in places:
            self._touch(place, step, start_us, resumed=resumed)
        if len(places) == 1:
            self._add(places[0], delta_wh)
        elif delta_wh:
            self.spans.append(Span(start_us, step.end_us, delta_wh, hole))

    def distribute(self, span: Span) -> None:
        """Cut a span at the bounds of intervals and book its parts."""
        places = self.row.stretch(span.start_us, span.end_us)
        reach_us = self._rules.shape_us
        since_us = max(
            [
                span.start_us - reach_us,
                *(c for c in self.row.cuts if c <= span.start_us),
            ]
        )
        until_us = min(
            [span.end_us + reach_us, *(c for c in self.row.cuts if c >= span.end_us)]
        )
        parts = split(
            span.delta_wh,
            [self._piece(self.row.intervals[place], span) for place in places],
            mean_kw(self.minutes, since_us, span.start_us),
            mean_kw(self.minutes, span.end_us, until_us),
        )
        # Of more than two parts each is as sure as the load shape is.
        shaped = len(places) > 2
        for place, part in zip(places, parts, strict=True):
            cut_wh = 0 if shaped else max(0, min(part, span.delta_wh - part))
            self._add(place, part, substituted=span.hole or shaped, cut_wh=cut_wh)

    def cut(self, at_us: int) -> None:
        """Cut the interval in two that holds a time which no booking has passed."""
        self.row.cuts = (*self.row.cuts, at_us)
        place = self.row.find(at_us)
        if place is None or self.row.intervals[place].start_us == at_us:
            return
        whole = self.row.intervals[place]
        tail = Interval(at_us, whole.end_us, reasons=("ct_change",))
        for minute in self.minutes:
            tail = with_power(tail, minute)
        head = whole._replace(
            end_us=at_us,
            reasons=_with(whole.reasons, "ct_change"),
            power_wh=whole.power_wh - tail.power_wh,
            covered_us=whole.covered_us - tail.covered_us,
            power_cut_wh=whole.power_cut_wh + tail.power_cut_wh,
            due=whole.told,
        )
        self.row.intervals[place : place + 1] = [head, tail]

    def _measure(self, minute: PowerMinute) -> None:
        at_us = max(minute.start_us, self.row.floor_us)
        while at_us < minute.end_us:
            if self.row.find(at_us) is None and len(self.row.intervals) > MOST:
                return
            place = self.row.at(at_us)
            interval = with_power(self.row.intervals[place], minute)
            self.row.intervals[place] = interval
            at_us = interval.end_us

    def _void(self, step: Step) -> int:
        """Take back what was booked after the step's start; what is out of reach."""
        undo_wh = step.undo_wh
        for span in self.spans[:]:
            if span.start_us >= step.start_us:
                self.spans.remove(span)
                undo_wh -= span.delta_wh
        for place in range(len(self.row.intervals) - 1, -1, -1):
            interval = self.row.intervals[place]
            if interval.end_us <= step.start_us:
                break
            # The newest energy goes first, so what stays was booked before.
            taken = max(0, min(undo_wh, interval.energy_wh))
            undo_wh -= taken
            left = interval.energy_wh - taken
            self.row.intervals[place] = interval._replace(
                energy_wh=left,
                substituted_wh=min(interval.substituted_wh, left),
                cut_wh=min(interval.cut_wh, left),
                lost=tuple(span for span in interval.lost if span[0] < step.start_us),
                due=interval.told,
            )
        return undo_wh

    def _touch(self, place: int, step: Step, start_us: int, *, resumed: bool) -> None:
        """Note in an interval between which readings it lies, and what was found."""
        interval = self.row.intervals[place]
        before_wh, lost, reasons = interval.before_wh, interval.lost, interval.reasons
        if before_wh is None or (resumed and interval.start_us >= start_us):
            before_wh = step.before_wh
        if step.lost:
            first_us = max(start_us, interval.start_us)
            lost = (*lost, (first_us, min(step.end_us, interval.end_us)))
        if len(lost) > _LOST:
            lost = ((lost[0][0], lost[-1][1]),)
        for found in step.found:
            reasons = _with(reasons, found)
        self.row.intervals[place] = interval._replace(
            before_wh=before_wh,
            after_wh=step.after_wh,
            lost=lost,
            reasons=reasons,
            due=interval.told,
        )

    def _add(
        self, place: int, wh: int, *, substituted: bool = False, cut_wh: int = 0
    ) -> None:
        interval = self.row.intervals[place]
        self.row.intervals[place] = interval._replace(
            energy_wh=interval.energy_wh + wh,
            substituted_wh=interval.substituted_wh + (wh if substituted else 0),
            cut_wh=interval.cut_wh + cut_wh,
            due=interval.told,
        )

    def _piece(self, interval: Interval, span: Span) -> Piece:
        """What power says of an interval's part in a span."""
        start_us = max(interval.start_us, span.start_us)
        end_us = min(interval.end_us, span.end_us)
        length_us = end_us - start_us
        if length_us == interval.end_us - interval.start_us:
            known_wh, known_us = interval.power_wh, interval.covered_us
        else:
            known_wh, known_us = measured(self.minutes, start_us, end_us)
            if 2 * known_us < length_us and interval.covered_us:
                known_wh = interval.power_wh / interval.covered_us * length_us
                known_us = length_us
        return Piece(start_us, end_us, known_wh, min(known_us, length_us))

    def _forget_intervals(self) -> None:
        """Drop told intervals that can change no more."""
        keep_us = self._state.slot_us - VOID_US
        counter = self._state.counter
        if counter.risen_from is not None:
            # The last step may turn out to lead from one meter to another.
            keep_us = min(keep_us, counter.risen_from.slot_us)
        lines = counter.lines
        line_us = lines[-1].slot_us if lines else self._state.slot_us
        told = sum(interval.told for interval in self.row.intervals)
        busy_us = min((span.start_us for span in self.spans), default=keep_us)
        while self.row.intervals:
            oldest = self.row.intervals[0]
            if not oldest.told or oldest.due or oldest.end_us > min(keep_us, busy_us):
                return
            if line_us < oldest.end_us and told <= self._rules.kept:
                return
            self.row.floor_us = oldest.end_us
            del self.row.intervals[0]
            told -= 1

    def _forget_minutes(self) -> None:
        """Drop minutes of power that can shape nothing any more."""
        accepted, reach_us = self._state.counter.accepted, self._rules.shape_us
        booked_us = accepted.slot_us if accepted else self.power_us or 0
        oldest_us = min([booked_us, *(span.start_us for span in self.spans)]) - reach_us
        if self.minutes and self.minutes[0].end_us <= oldest_us:
            self.minutes = [m for m in self.minutes if m.end_us > oldest_us]
        place = self.row.find(booked_us)
        if len(self.minutes) <= MINUTES or place is None:
            return
        # Of intervals wholly in a hole their own sums of power are enough.
        first_us = self.row.intervals[place].end_us
        last_us = self.row.intervals[-1].start_us - reach_us
        self.minutes = [
            m for m in self.minutes if m.start_us < first_us or m.end_us > last_us
        ]


def _with(reasons: tuple[str, ...], found: str) -> tuple[str, ...]:
    return reasons if found in reasons else (*reasons, found)
