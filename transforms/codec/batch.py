"""Many frames of one schema to contiguous typed columns, without a loop over readings.

Records whose leading numbers have the same widths are joined and seen as one array of
rows; in practice that is all of a batch. The rest are decoded one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt

from transforms.codec.frame import FrameSchema
from transforms.codec.framing import HEADER_BYTES, CodecError

__all__ = ["FrameColumns", "decode_batch"]

_NUMBERS = 6
_PIECE = 2048
# Numbers are read as words of eight bytes; the last row's may reach over its end.
_WORD = 8
_NUMPY = {"float": np.float32, "double": np.float64, "boolean": np.bool_}

Longs = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameColumns:
    """``n`` frames as columns: every array is contiguous and of its own type.

    ``quality`` has the shape (n, readings); the others (n,). Times are microseconds
    since the epoch, UTC.
    """

    schema: FrameSchema
    seq: Longs
    period_us: Longs
    slot_us: Longs
    sent_us: Longs
    received_us: Longs
    status: npt.NDArray[np.uint8]
    quality: npt.NDArray[np.uint8]
    readings: dict[str, npt.NDArray[np.generic]]

    def __len__(self) -> int:
        return len(self.seq)


def decode_batch(
    schema: FrameSchema, values: Sequence[bytes], *, alike: bool = False
) -> FrameColumns:
    """Decode frames of one schema; CodecError names the place of a bad one.

    Where only frames that are ``alike`` are wanted, CodecError comes soon for others.
    """
    count = len(values)
    numbers = np.empty((_NUMBERS, count), np.int64)
    quality = np.empty((count, len(schema.columns)), np.uint8)
    blocks: list[tuple[list[str], npt.NDArray[np.generic]]] = [
        (names, np.empty((len(names), count), _NUMPY[kind]))
        for kind, names in _runs(schema)
    ]
    readings = {
        name: row
        for names, block in blocks
        for name, row in zip(names, block, strict=True)
    }
    arrays = [block for _, block in blocks]
    # In pieces that stay in the processor's cache between one pass and the next.
    for start in range(0, count, _PIECE):
        piece = values[start : start + _PIECE]
        here = slice(start, start + len(piece))
        parts = numbers[:, here], quality[here], [block[:, here] for block in arrays]
        for index in _alike_into(schema, piece, *parts):
            place = start + index
            if alike:
                raise CodecError(f"frame {place} of the batch is laid out by itself")
            try:
                record = schema.decode(piece[index])
            except CodecError as error:
                raise CodecError(f"frame {place} of the batch: {error}") from error
            numbers[:, place] = record[:_NUMBERS]
            quality[place] = np.frombuffer(record.quality, np.uint8)
            for name, reading in zip(schema.names, record.values, strict=True):
                readings[name][place] = reading
    return FrameColumns(
        schema=schema,
        seq=numbers[0],
        period_us=numbers[1],
        slot_us=numbers[2],
        sent_us=numbers[3],
        received_us=numbers[4],
        status=numbers[5].astype(np.uint8),
        quality=quality,
        readings=readings,
    )


def _alike_into(
    schema: FrameSchema,
    values: Sequence[bytes],
    numbers: Longs,
    quality: npt.NDArray[np.uint8],
    blocks: Sequence[npt.NDArray[np.generic]],
) -> Sequence[int]:
    """Decode the rows that are laid out like the first; the places of the others."""
    everyone: Sequence[int] = range(len(values))
    if len(lengths := set(map(len, values))) != 1:
        return everyone
    data = b"".join((*values, bytes(_WORD)))
    rows = _Rows(schema, data, len(values), lengths.pop())
    if rows.layout is None:
        return everyone
    rows.numbers_into(numbers)
    rows.tails_into(quality, blocks)
    fits = numbers[-1].view(np.uint64) <= np.uint64(0xFF)
    others: list[int] = np.flatnonzero(~(rows.alike() & fits)).tolist()
    return others


class _Rows:
    """Joined records of one length, read as if all were laid out like the first.

    ``data`` ends with the padding of one word.
    """

    def __init__(
        self, schema: FrameSchema, data: bytes, count: int, length: int
    ) -> None:
        self._schema = schema
        self._data = data
        self._count = count
        self._length = length
        self._head_bytes = length - schema.tail_bytes
        self.layout = self._layout_of_first()

    def _words(self, offsets: Iterable[int]) -> Words:
        """The words at these places of each row, (places, rows); a fresh array."""
        places = list(offsets)
        words = np.empty((len(places), self._count), np.uint64)
        for row, offset in zip(words, places, strict=True):
            strides = (self._length,)
            row[:] = np.ndarray(self._count, np.uint64, self._data, offset, strides)
        return words

    def _layout_of_first(self) -> tuple[tuple[int, int], ...] | None:
        """Start and width of each leading number; None where it is no such record."""
        places, start = [], HEADER_BYTES
        for at in range(HEADER_BYTES, self._head_bytes):
            if self._data[at] < 0x80:
                places.append((start, at + 1 - start))
                start = at + 1
        whole = len(places) == _NUMBERS and start == self._head_bytes
        return tuple(places) if whole and all(w <= _WORD for _, w in places) else None

    def alike(self) -> npt.NDArray[np.bool_]:
        """Which rows have this header and the same continuation bits as the first."""
        size = self._head_bytes
        mask = (b"\xff" * HEADER_BYTES).ljust(size, b"\x80")
        wanted = self._schema.header + self._data[HEADER_BYTES:size]
        words = self._words(range(0, size, _WORD))
        words &= _numbers_of(mask)
        first = _numbers_of(
            bytes(byte & own for byte, own in zip(wanted, mask, strict=True))
        )
        good: npt.NDArray[np.bool_] = np.logical_and.reduce(words == first, axis=0)
        return good

    def numbers_into(self, numbers: Longs) -> None:
        assert self.layout is not None
        words = self._words([start for start, _ in self.layout])
        words &= _numbers_of(
            b"".join((b"\x7f" * width).ljust(_WORD, b"\0") for _, width in self.layout)
        )
        raw = _compact(words)
        sign = raw & np.uint64(1)
        raw >>= np.uint64(1)
        np.bitwise_xor(raw.view(np.int64), -sign.view(np.int64), out=numbers)

    def tails_into(
        self,
        quality: npt.NDArray[np.uint8],
        blocks: Sequence[npt.NDArray[np.generic]],
    ) -> None:
        at = self._head_bytes
        shape, strides = quality.shape, (self._length, 1)
        quality[:] = np.ndarray(shape, np.uint8, self._data, at, strides)
        at += shape[1]
        for block in blocks:
            # A boolean is read as a byte: what is not 0 is true, as in a single frame.
            stored = np.dtype(np.uint8 if block.dtype == np.bool_ else block.dtype)
            strides = (stored.itemsize, self._length)
            block[:] = np.ndarray(block.shape, stored, self._data, at, strides)
            at += stored.itemsize * len(block)


def _runs(schema: FrameSchema) -> Iterator[tuple[str, list[str]]]:
    """Neighboring columns of one type, which can be transposed at once."""
    for kind, run in groupby(schema.columns, key=lambda column: column.type):
        yield kind, [column.name for column in run]


def _numbers_of(data: bytes) -> Words:
    """Bytes as a column of words, the last one filled up with zeros."""
    whole = data.ljust(-(-len(data) // _WORD) * _WORD, b"\0")
    return np.frombuffer(whole, np.uint64)[:, np.newaxis]


def _compact(words: Words) -> Words:
    """Eight 7-bit groups, one per byte, to one number: 8x7, 4x14, 2x28, 1x56 bits.

    The words are used up.
    """
    high = np.empty_like(words)
    for bits, mask in (
        (1, 0x7F007F007F007F00),
        (2, 0x3FFF00003FFF0000),
        (4, 0x0FFFFFFF00000000),
    ):
        np.bitwise_and(words, np.uint64(mask), out=high)
        words ^= high
        high >>= np.uint64(bits)
        words |= high
    return words
