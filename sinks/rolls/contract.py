"""What a sink of rolls asks of the writer that makes and delivers them."""

from __future__ import annotations

from typing import Protocol, TypeVar

from sinks.contract import LogBatch

__all__ = ["Refused", "Roll", "RollWriter", "roll_now"]


class Refused(OSError):  # noqa: N818 - it says what happened
    """A server refuses for now; ``retry_seconds`` says when it may be asked again."""

    def __init__(self, reason: str, retry_seconds: float) -> None:
        super().__init__(reason)
        self.retry_seconds = retry_seconds


class Roll(Protocol):
    """Records on their way, all of them together."""

    def commit(self) -> None:
        """Deliver it, in any thread; OSError where that is refused now.

        A call that failed is made again.
        """


R = TypeVar("R", bound=Roll)


class RollWriter(Protocol[R]):
    """Collects the records of one partition and cuts them into rolls.

    It is called by the worker that owns the partition; only ``commit`` of its rolls may
    run elsewhere. ``count`` and ``bytes`` say how much was added since the last cut.
    """

    @property
    def count(self) -> int:
        """Records, or what else the limit of a roll counts."""

    @property
    def bytes(self) -> int:
        """Their size."""

    def add(self, batch: LogBatch) -> None:
        """Take records in the order of their offsets."""

    def cut(self) -> R | None:
        """What was added since the last cut, None for nothing; OSError."""

    def committed(self, roll: R) -> None:
        """A roll was delivered: reading would go on behind it."""

    def close(self) -> None:
        """Give back what it holds."""


def roll_now(writer: RollWriter[R]) -> None:
    """Cut and commit at once; OSError after which what was added is not kept."""
    if (roll := writer.cut()) is not None:
        roll.commit()
        writer.committed(roll)
