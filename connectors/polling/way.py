"""How one protocol of a meter fares."""

from __future__ import annotations

from connectors.link import Identity
from connectors.polling.backoff import Backoff
from connectors.polling.plan import PollSettings
from transforms.model.profile import Protocol
from transforms.model.quality import Status

__all__ = ["Way"]


class Way:
    """How one protocol of a meter fares: its trouble takes no slot from the other."""

    def __init__(self, asset: str, protocol: Protocol, settings: PollSettings) -> None:
        self.backoff = Backoff(
            f"{asset} {protocol}",
            round(settings.backoff_seconds * 1e6),
            round(settings.backoff_maximum_seconds * 1e6),
        )
        self.timeouts = 0
        self.missed = 0
        self.last = Status.OK
        self.identity: Identity | None = None
