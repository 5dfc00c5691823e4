"""What a protocol promises to the poller: the smallest honest contract."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from transforms.model.profile import AssemblyBlock, RegisterBlock
from transforms.model.quality import Status

__all__ = ["Block", "Identity", "Link", "LinkError"]

Block = AssemblyBlock | RegisterBlock


class Identity(NamedTuple):
    """Who answered: what events and the commissioning record keep of a meter."""

    product: str
    code: int
    revision: str
    serial: str


class LinkError(Exception):
    """A request that gave no value: trouble of the plant, to become a status.

    ``lost`` tells that the link cannot be used any more and must be closed.
    """

    def __init__(self, status: Status, detail: str, lost: bool) -> None:
        super().__init__(f"{status.label}: {detail}")
        self.status = status
        self.detail = detail
        self.lost = lost


class Link(Protocol):
    """One connection to one meter; used by one task, and never shared.

    ``connect`` opens it, checks who answers, and raises LinkError (then the link is
    closed again). ``read`` gives a block's bytes in plain order or raises LinkError.
    ``close`` may be called at any time, also twice. A link never retries or sleeps.
    """

    async def connect(self) -> Identity:
        """Open the link and check the identity."""

    async def read(self, block: Block) -> bytes:
        """One block."""

    def close(self) -> None:
        """Drop the connection at once."""
