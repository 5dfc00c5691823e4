"""One occurrence of one alert, from its beginning to its end: raised once, cleared once.

An occurrence has one id. Its event is raised as revision 0 without an end and cleared
as revision 1 with one; in between, nothing is told again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from transforms.alerts.rule import AlertRule
from transforms.codec.records import Event, content_id

__all__ = ["INACTIVE", "Change", "Occurrence", "Words", "due", "put", "tell", "turn"]


class Occurrence(NamedTuple):
    """Where an alert stands; a plain tuple, fit for a snapshot.

    ``since_us`` is when the condition began, None while it does not hold; ``over_us``
    when a raised one seemed over, None while it holds; ``told_us`` the last instant
    that something was said for, before which nothing counts any more. ``revision`` is
    not 0 only where an occurrence begins again at the instant at which it began.
    """

    since_us: int | None = None
    raised: bool = False
    over_us: int | None = None
    told_us: int | None = None
    revision: int = 0


INACTIVE = Occurrence()


class Change(NamedTuple):
    """An occurrence is raised, where it has no end yet, or cleared."""

    since_us: int
    until_us: int | None
    revision: int


class Words(NamedTuple):
    """What events say of a condition. ``subject`` is what the rule does not name."""

    raised: str
    cleared: str
    data: Mapping[str, str]
    subject: str = ""


def turn(
    rule: AlertRule,
    asset: str,
    state: Occurrence,
    at_us: int,
    on: bool | None,
    words: Words,
) -> tuple[Occurrence, list[Event]]:
    """Take what is known of a condition from ``at_us`` on; say what follows from it.

    A condition holds until it is told otherwise, so delays run on while nothing comes.
    None says only that time has come so far. What is older than the last word is
    ignored.
    """
    if on is not None and state.told_us is not None and at_us < state.told_us:
        return state, []
    state, before = due(rule, state, at_us)
    after = None
    if on is not None:
        state, after = due(rule, put(state, at_us, on=on), at_us)
    events = []
    for change in (before, after):
        if change is not None:
            text = words.raised if change.until_us is None else words.cleared
            events.append(tell(rule, asset, change, text, words.data, words.subject))
    return state, events


def put(state: Occurrence, at_us: int, *, on: bool) -> Occurrence:
    """The state once the condition is known to hold, or not to, at ``at_us``."""
    if state.since_us is None:
        revision = state.revision if at_us == state.told_us else 0
        return Occurrence(at_us if on else None, False, None, at_us, revision)
    if on:
        return state._replace(over_us=None, told_us=at_us)
    if not state.raised:
        return Occurrence(told_us=at_us)
    over_us = at_us if state.over_us is None else state.over_us
    return state._replace(over_us=over_us, told_us=at_us)


def due(
    rule: AlertRule, state: Occurrence, at_us: int
) -> tuple[Occurrence, Change | None]:
    """Raise what has held for its delay; clear what has been over for its own."""
    since_us, over_us, revision = state.since_us, state.over_us, state.revision
    if since_us is None:
        return state, None
    if not state.raised:
        if at_us - since_us < rule.delay_us:
            return state, None
        return state._replace(raised=True), Change(since_us, None, revision)
    if over_us is None or at_us - over_us < rule.clear_delay_us:
        return state, None
    again = revision + 2 if over_us == since_us else 0
    cleared = Change(since_us, over_us, revision + 1)
    return Occurrence(told_us=state.told_us, revision=again), cleared


def tell(
    rule: AlertRule,
    asset: str,
    change: Change,
    text: str,
    data: Mapping[str, str],
    subject: str = "",
    group: str | None = None,
) -> Event:
    """The event of a change; a subject makes occurrences of one instant differ."""
    own = (subject,) if subject else ()
    state = "raised" if change.until_us is None else "cleared"
    return Event(
        id=content_id(asset, "alert", rule.name, change.since_us, *own),
        revision=change.revision,
        asset=asset,
        kind="alert",
        time=change.since_us,
        until=change.until_us,
        group=group,
        severity=rule.severity,
        text=text,
        data={"alert": rule.name, "state": state, "kind": rule.kind, **data},
    )
