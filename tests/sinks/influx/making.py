"""A writer to a strict server, and what comes of its records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from sinks.contract import Rejected
from sinks.influx.delivery import Backoff
from sinks.influx.gate import Gate
from sinks.influx.server import InfluxServer, Target
from sinks.influx.writer import InfluxWriter
from tests.strict_influx import StrictInflux
from transforms.lines.batch import Piece
from transforms.lines.batch import Rejected as NoLines

__all__ = ["Records", "TextLines", "Writer", "target"]


class Records(NamedTuple):
    """Records whose values are their lines."""

    offsets: Sequence[int]
    keys: Sequence[str]
    values: Sequence[bytes]

    @classmethod
    def of(cls, *lines: str, first: int = 0) -> Records:
        count = len(lines)
        values = [line.encode() for line in lines]
        return cls(range(first, first + count), ["s/a/m"] * count, values)


class TextLines:
    """The lines of a record are its value; ``?`` is none."""

    def of(
        self, keys: Sequence[str], values: Sequence[bytes]
    ) -> tuple[list[Piece], list[NoLines]]:
        pieces = [Piece(n, text) for n, text in enumerate(values) if text != b"?"]
        rejected = [NoLines(n, "no line") for n, v in enumerate(values) if v == b"?"]
        return pieces, rejected


def target(influx: StrictInflux, version: int = 2, **changes: object) -> Target:
    own: dict[str, object] = {"bucket": "meters", "org": "plant", "secret": "the token"}
    if version == 1:
        own = {"bucket": "pm500"}
    settings: dict[str, object] = {"url": influx.url, "version": version, **own}
    return Target(**settings | changes)  # type: ignore[arg-type] # a test's own mix


class Writer:
    """The writer, and what it was asked to keep."""

    def __init__(
        self,
        to: Target,
        *,
        gate: Gate | None = None,
        secret: Callable[[], str] | None = None,
    ) -> None:
        self.buried: list[Rejected] = []
        self.stored: list[int] = []
        self.server = InfluxServer(to, secret=secret)
        self.gate = gate or Gate(self.server.post)
        self.writer = InfluxWriter(
            TextLines(),
            self.gate,
            bury=self.buried.append,
            stored=self.stored.append,
            close=self.server.close,
            backoff=Backoff(lambda: 0.5),
        )

    @property
    def buried_lines(self) -> list[str]:
        return [each.value.decode() for each in self.buried]
