"""The Sparkplug session of one edge node: (state, input) -> (state, messages).

Births come before data, every message but NDEATH draws its ``seq`` from one counter,
and nothing is drawn while the node is offline (Sparkplug 3.0, chapters 5 and 6). The
caller hands the messages over in order, under the lock that guards the state.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from sinks.sparkplug.topic import MessageType

__all__ = [
    "Message",
    "Session",
    "back",
    "closed",
    "data",
    "lost",
    "node_data",
    "rebirth",
    "stop",
    "subscribed",
]


class Message(NamedTuple):
    """What to send: ``device`` is None for the node's own, ``seq`` None for NDEATH."""

    type: MessageType
    device: str | None
    seq: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """``alive``: devices that answer; ``born``: those the host has been told of.

    ``seq`` is the next number of this MQTT session, 0..255. ``born`` is empty while
    ``online`` is false, and a part of ``alive`` always.
    """

    online: bool = False
    seq: int = 0
    alive: frozenset[str] = frozenset()
    born: frozenset[str] = frozenset()


def subscribed(state: Session) -> tuple[Session, list[Message]]:
    """The commands' SUBACK is here: NBIRTH with seq 0, then every device's DBIRTH."""
    devices = sorted(state.alive)
    messages = [Message("NBIRTH", None, 0)]
    messages += [Message("DBIRTH", d, n % 256) for n, d in enumerate(devices, 1)]
    seq = len(messages) % 256
    return replace(state, online=True, seq=seq, born=state.alive), messages


def rebirth(state: Session) -> tuple[Session, list[Message]]:
    """A host asked for the births again; nothing while there is no session."""
    return subscribed(state) if state.online else (state, [])


def closed(state: Session) -> tuple[Session, list[Message]]:
    """The connection is gone: the broker's will speaks for us."""
    return replace(state, online=False, seq=0, born=frozenset()), []


def back(state: Session, device: str) -> tuple[Session, list[Message]]:
    """A device answers: DBIRTH now, or with the next births while offline."""
    state = replace(state, alive=state.alive | {device})
    if not state.online or device in state.born:
        return state, []
    state = replace(state, born=state.born | {device})
    return _draw(state, "DBIRTH", device)


def lost(state: Session, device: str) -> tuple[Session, list[Message]]:
    """A device does not answer any more: DDEATH where the host believes it alive."""
    was_born = device in state.born
    gone = {device}
    state = replace(state, alive=state.alive - gone, born=state.born - gone)
    return _draw(state, "DDEATH", device) if was_born else (state, [])


def data(state: Session, device: str) -> tuple[Session, list[Message]]:
    """Readings of a device: DDATA where it is born, else nothing."""
    return _draw(state, "DDATA", device) if device in state.born else (state, [])


def node_data(state: Session) -> tuple[Session, list[Message]]:
    """Readings of the node itself: NDATA while online, else nothing."""
    return _draw(state, "NDATA", None) if state.online else (state, [])


def stop(state: Session) -> tuple[Session, list[Message]]:
    """A wanted end: DDEATH of every device, then NDEATH, which DISCONNECT may follow."""
    if not state.online:
        return state, []
    messages: list[Message] = []
    for device in sorted(state.born):
        state, drawn = lost(state, device)
        messages += drawn
    return closed(state)[0], [*messages, Message("NDEATH", None, None)]


def _draw(
    state: Session, kind: MessageType, device: str | None
) -> tuple[Session, list[Message]]:
    message = Message(kind, device, state.seq)
    return replace(state, seq=(state.seq + 1) % 256), [message]
