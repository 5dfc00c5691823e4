"""What acquire tells of generated meters beside their frames: their description."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable
from typing import TypeVar

from connectors.link import Block, Identity
from connectors.polling.describe import Describer
from tests.generated.work import MeterAtWork
from transforms.assemble import PolledMeter
from transforms.codec.records import Event
from transforms.model.profile import Protocol

__all__ = ["descriptions"]

T = TypeVar("T")


def descriptions(
    work: MeterAtWork, polled: PolledMeter, reads_us: Iterable[int]
) -> list[Event]:
    """The events of a description that is read at these instants.

    The second protocol of a meter that speaks two is asked a millisecond later.
    """
    describer = Describer(polled)
    protocols = list(dict.fromkeys(group.protocol for group in polled.groups))
    events = []
    for read_us in sorted(reads_us):
        for place, protocol in enumerate(protocols):
            at_us = read_us + place * 1000
            describer.forget(protocol)
            link = _Asked(work, protocol, at_us)
            events.append(_done(describer.read(link, protocol, at_us)))
    return [event for event in events if event is not None]


class _Asked:
    """A link that answers at once, at one instant."""

    def __init__(self, work: MeterAtWork, protocol: Protocol, at_us: int) -> None:
        self._work = work
        self._protocol = protocol
        self._at_us = at_us

    async def connect(self) -> Identity:
        raise NotImplementedError

    async def read(self, block: Block) -> bytes:
        held, _ = self._work.block(self._protocol, block, self._at_us)
        return self._work.in_plain_order(self._protocol, held)

    def close(self) -> None:
        """Nothing is open."""


def _done(coroutine: Coroutine[object, None, T]) -> T:
    """What a coroutine returns that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        value: T = end.value
        return value
    raise AssertionError("it waits")
