"""What a meter said of itself before any frame of it came, without repetitions. Pure."""

from __future__ import annotations

from transforms import settings
from transforms.codec.records import Event

__all__ = ["park"]


def park(waiting: list[Event], event: Event) -> None:
    """Add an event to those that wait, in the order in which they were said.

    All that changed a setting stay, and the last one: what comes before it is no news.
    """
    if waiting and (event.time < waiting[-1].time or event.id == waiting[-1].id):
        return
    if waiting and _repeats(waiting[:-1], waiting[-1]):
        waiting.pop()
    waiting.append(event)


def _repeats(before: list[Event], event: Event) -> bool:
    known = settings.UNSAID
    for each in before:
        known = settings.merged(known, settings.settings_of(each.data))
    return settings.merged(known, settings.settings_of(event.data)) == known
