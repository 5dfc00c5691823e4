"""Records of the log as lines, and those that cannot be lines. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import NamedTuple

from transforms.codec.frame import FrameSchema
from transforms.codec.framing import HEADER_BYTES, CodecError
from transforms.codec.records import decode_record, is_record
from transforms.codec.sift import Sifter
from transforms.codec.window import WindowSchema
from transforms.lines.frames import FrameLines
from transforms.lines.records import Labels, record_line
from transforms.lines.text import LineError
from transforms.lines.windows import window_lines

__all__ = ["LinesOfFrames", "LinesOfRecords", "Piece", "Rejected"]

_HEADER = itemgetter(slice(HEADER_BYTES))
WindowSchemaOf = Callable[[bytes], WindowSchema | None]


class Piece(NamedTuple):
    """The lines of the record at ``place`` of the batch."""

    place: int
    lines: bytes


class Rejected(NamedTuple):
    """The record at ``place`` of the batch has no lines, and why."""

    place: int
    reason: str


class LinesOfFrames:
    """Frames of any number of schemas, of which each is decoded at once."""

    def __init__(
        self, schema_of: Callable[[bytes], FrameSchema], labels: Labels
    ) -> None:
        self._schema_of = schema_of
        self._labels = labels
        self._known: dict[bytes, FrameLines] = {}
        self._sifter = Sifter()

    def of(
        self, keys: Sequence[str], values: Sequence[bytes]
    ) -> tuple[list[Piece], list[Rejected]]:
        """The lines in the order of the batch; nothing that a record holds raises."""
        pieces: list[Piece] = []
        rejected: list[Rejected] = []
        places: dict[bytes, list[int]] = {}
        for place, header in enumerate(map(_HEADER, values)):
            places.setdefault(header, []).append(place)
        for header, own in places.items():
            try:
                known = self._lines_of(header, values[own[0]])
            except CodecError as error:
                rejected += [Rejected(place, str(error)) for place in own]
                continue
            texts = [keys[place] for place in own]
            mine = [values[place] for place in own]
            sifted = self._sifter.sift(known.schema, texts, mine)
            rejected += [Rejected(own[n], why) for n, why in sifted.rejected]
            kept = [texts[n] for n in sifted.kept]
            lines = known.of(kept, sifted.columns)
            for n, text in zip(sifted.kept, lines, strict=True):
                if isinstance(text, LineError):
                    rejected.append(Rejected(own[n], str(text)))
                else:
                    pieces.append(Piece(own[n], text))
        return sorted(pieces), sorted(rejected)

    def _lines_of(self, header: bytes, value: bytes) -> FrameLines:
        if header not in self._known:
            self._known[header] = FrameLines(self._schema_of(value), self._labels)
        return self._known[header]


class LinesOfRecords:
    """Derived records and events, one by one."""

    def __init__(self, window_schema_of: WindowSchemaOf, labels: Labels) -> None:
        self._window_schema_of = window_schema_of
        self._labels = labels

    def of(
        self, keys: Sequence[str], values: Sequence[bytes]
    ) -> tuple[list[Piece], list[Rejected]]:
        """The lines in the order of the batch; nothing that a record holds raises."""
        pieces: list[Piece] = []
        rejected: list[Rejected] = []
        for place, value in enumerate(values):
            try:
                pieces.append(Piece(place, self._one(value)))
            except (CodecError, LineError, OverflowError) as error:
                rejected.append(Rejected(place, str(error)))
        return pieces, rejected

    def _one(self, value: bytes) -> bytes:
        if not is_record(value):
            schema = self._window_schema_of(value)
            if schema is not None:
                return window_lines(schema, schema.decode(value), self._labels)
        return record_line(decode_record(value), self._labels)
