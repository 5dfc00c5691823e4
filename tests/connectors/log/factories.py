"""Ways to a log that can be handed to another process (they are pickled)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from connectors.log.contract import Log
from connectors.log.embedded import EmbeddedLog


class LogFactory(Protocol):
    """One log, empty at first: what an implementation brings to the contract suite."""

    def open(self) -> Log:
        """A fresh handle; every process and thread opens its own."""

    def truncate(self, topic: str, partition: int, before_offset: int) -> None:
        """Remove the records below an offset, as retention does."""

    def another(self) -> LogFactory:
        """Another log of the same kind."""


@dataclass(frozen=True)
class EmbeddedFactory:
    path: Path

    def open(self) -> EmbeddedLog:
        return EmbeddedLog(self.path)

    def truncate(self, topic: str, partition: int, before_offset: int) -> None:
        assert partition == 0
        with self.open() as log:
            log.take(topic, before_offset)

    def another(self) -> EmbeddedFactory:
        return EmbeddedFactory(self.path.with_name("another.sqlite"))
