"""Which part of a flow's work this process takes: ``PM500_REPLICA=2/8`` is the second."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

__all__ = ["ALONE", "VARIABLE", "Replica", "ReplicaError", "replica"]

T = TypeVar("T")

VARIABLE = "PM500_REPLICA"


class ReplicaError(ValueError):
    """``PM500_REPLICA`` says nothing that can be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """Number ``number`` of ``count``, from 1 on."""

    number: int = 1
    count: int = 1

    def own(self, things: Sequence[T]) -> list[T]:
        """The part of this one; the parts of all replicas are the whole, once each.

        >>> [Replica(number=n, count=2).own("abcde") for n in (1, 2)]
        [['a', 'c', 'e'], ['b', 'd']]
        """
        return list(things[self.number - 1 :: self.count])

    def name(self, flow: str) -> str:
        """What a flow's process is called, among the replicas of any count.

        >>> Replica().name("acquire"), Replica(number=2, count=8).name("acquire")
        ('acquire', 'acquire-2')
        """
        return flow if self.number == 1 else f"{flow}-{self.number}"

    @property
    def alone(self) -> bool:
        """Whether there are no others."""
        return self.count == 1

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


ALONE = Replica()


def replica() -> Replica:
    """What the environment says; ALONE where it says nothing. ReplicaError."""
    text = os.environ.get(VARIABLE, "").strip()
    if not text:
        return ALONE
    found = re.fullmatch(r"([0-9]{1,5})/([0-9]{1,5})", text)
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        raise ReplicaError(
            f"{VARIABLE}: {text!r} is not of the form 2/8, the second of eight"
        )
    return Replica(number=int(found[1]), count=int(found[2]))
