"""Many frames of one schema to contiguous typed columns, without a loop over readings.

Records whose leading numbers have the same widths are joined and seen as one array of
rows; in practice that is all of a batch. The rest are decoded one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt

from transforms.codec.frame import FrameSchema
from transforms.codec.framing import HEADER_BYTES, CodecError

__all__ = ["FrameColumns", "decode_batch"]

_NUMBERS = 6
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


def decode_batch(schema: FrameSchema, values: Sequence[bytes]) -> FrameColumns:
    """Decode frames of one schema; CodecError names the place of a bad one."""
    count = len(values)
    numbers = np.empty((_NUMBERS, count), np.int64)
    quality = np.empty((count, len(schema.columns)), np.uint8)
    readings: dict[str, npt.NDArray[np.generic]] = {
        c.name: np.empty(count, _NUMPY[c.type]) for c in schema.columns
    }
    alone: Sequence[int] = range(count)
    if count and len(lengths := set(map(len, values))) == 1:
        data = b"".join((*values, bytes(_WORD)))
        rows = _Rows(schema, data, count, lengths.pop())
        if rows.layout is not None:
            rows.numbers_into(numbers)
            rows.tails_into(quality, readings)
            fits = numbers[-1].view(np.uint64) <= np.uint64(0xFF)
            alone = np.flatnonzero(~(rows.alike() & fits)).tolist()
    for index in alone:
        try:
            record = schema.decode(values[index])
        except CodecError as error:
            raise CodecError(f"frame {index} of the batch: {error}") from error
        numbers[:, index] = record[:_NUMBERS]
        quality[index] = np.frombuffer(record.quality, np.uint8)
        for name, reading in zip(schema.names, record.values, strict=True):
            readings[name][index] = reading
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

    def _words(self, offset: int) -> Words:
        """The word at this place of each row; what stands after it comes along."""
        strides = (self._length,)
        return np.ndarray(self._count, np.uint64, self._data, offset, strides)

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
        good = np.ones(self._count, np.bool_)
        wanted = self._schema.header + self._data[HEADER_BYTES : self._head_bytes]
        for at in range(0, self._head_bytes, _WORD):
            width = min(_WORD, self._head_bytes - at)
            mask = bytes(
                0xFF if byte < HEADER_BYTES else 0x80 for byte in range(at, at + width)
            )
            word = int.from_bytes(mask, "little")
            first = int.from_bytes(wanted[at : at + width], "little")
            good &= (self._words(at) & np.uint64(word)) == np.uint64(first & word)
        return good

    def numbers_into(self, numbers: Longs) -> None:
        assert self.layout is not None
        for place, (start, width) in enumerate(self.layout):
            word = self._words(start)
            if width == 1:
                raw = word & np.uint64(0x7F)
            else:
                raw = _compact(word & np.uint64((1 << 8 * width) - 1))
            half = (raw >> np.uint64(1)).view(np.int64)
            np.bitwise_xor(half, -(raw & np.uint64(1)).view(np.int64), numbers[place])

    def tails_into(
        self,
        quality: npt.NDArray[np.uint8],
        readings: dict[str, npt.NDArray[np.generic]],
    ) -> None:
        columns = self._schema.columns
        at = self._head_bytes
        shape, strides = (self._count, len(columns)), (self._length, 1)
        quality[:] = np.ndarray(shape, np.uint8, self._data, at, strides)
        at += len(columns)
        for kind, names in _runs(self._schema):
            # A boolean is read as a byte: what is not 0 is true, as in a single frame.
            stored = np.dtype(np.uint8 if kind == "boolean" else _NUMPY[kind])
            shape, strides = (len(names), self._count), (stored.itemsize, self._length)
            block: npt.NDArray[np.generic] = np.ndarray(
                shape, stored, self._data, at, strides
            )
            copy: npt.NDArray[np.generic] = np.array(block, order="C")
            rows: npt.NDArray[np.generic] = copy.astype(_NUMPY[kind], copy=False)
            readings.update(zip(names, rows, strict=True))
            at += stored.itemsize * len(names)


def _runs(schema: FrameSchema) -> Iterator[tuple[str, list[str]]]:
    """Neighboring columns of one type, which can be transposed at once."""
    for kind, run in groupby(schema.columns, key=lambda column: column.type):
        yield kind, [column.name for column in run]


def _compact(word: Words) -> Words:
    """Eight 7-bit groups, one per byte, to one number: 8x7, 4x14, 2x28, 1x56 bits."""
    low, high = np.uint64(0x007F007F007F007F), np.uint64(0x7F007F007F007F00)
    word = (word & low) | ((word & high) >> np.uint64(1))
    low, high = np.uint64(0x00003FFF00003FFF), np.uint64(0x3FFF00003FFF0000)
    word = (word & low) | ((word & high) >> np.uint64(2))
    low, high = np.uint64(0x000000000FFFFFFF), np.uint64(0x0FFFFFFF00000000)
    return (word & low) | ((word & high) >> np.uint64(4))
