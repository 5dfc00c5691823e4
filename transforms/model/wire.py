"""How one value stands on the wire: each type packs what it unpacks, pure.

A block is an assembly's data or a run of registers, brought to *plain* byte order
first: CIP data is little-endian; registers with the least significant word first
become little-endian by swapping the bytes of each word, others stay big-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Literal

__all__ = ["WireType", "WordOrder", "format_of", "pack", "plain", "size_of", "unpack"]

WordOrder = Literal["little", "big"]
WireType = Literal[
    "real",
    "uint",
    "int16",
    "int32",
    "ulint",
    "bit",
    "real_pair",
    "hours_minutes_pair",
    "ulint_hours_minutes",
    "text",
]

_FORMATS: Mapping[str, str] = {
    "real": "f",
    "uint": "H",
    "bit": "H",
    "int16": "h",
    "int32": "i",
    "ulint": "Q",
    "ulint_hours_minutes": "Q",
    "real_pair": "2f",
    "hours_minutes_pair": "2f",
}


def size_of(kind: WireType, length: int = 1) -> int:
    """Bytes of a value; ``length`` counts the words of a text."""
    return 2 * length if kind == "text" else struct.calcsize("<" + _FORMATS[kind])


def format_of(kind: WireType) -> str:
    """The struct format of a type, without byte order."""
    return _FORMATS[kind]


def plain(words: bytes, word_order: WordOrder) -> tuple[bytes, str]:
    r"""Registers as received to a block and its struct byte order.

    >>> plain(bytes.fromhex("00004366"), "little")   # 1420-UM001E p. 45: 230.0 V
    (b'\x00\x00fC', '<')
    """
    if word_order == "big":
        return words, ">"
    swapped = bytearray(len(words))
    swapped[0::2] = words[1::2]
    swapped[1::2] = words[0::2]
    return bytes(swapped), "<"


def unpack(
    kind: WireType,
    block: bytes,
    offset: int,
    order: str,
    *,
    bit: int = 0,
    length: int = 1,
    multiplier: float = 1e6,
) -> float | bool | str:
    """The raw value at ``offset``; struct.error where the block is too short."""
    if kind == "text":
        words = struct.unpack_from(f"{order}{length}H", block, offset)
        letters = b"".join(word.to_bytes(2, "big") for word in words)
        return letters.decode("ascii", "replace").rstrip("\0 ")
    raw = struct.unpack_from(order + _FORMATS[kind], block, offset)
    match kind:
        case "bit":
            return bool(raw[0] >> bit & 1)
        case "real_pair":
            return float(raw[0]) * multiplier + float(raw[1])
        case "hours_minutes_pair":
            return float(raw[0]) + float(raw[1]) / 60
        case "ulint_hours_minutes":
            # 1420-UM001E p. 57: hours * 100 + minutes
            hours, minutes = divmod(int(raw[0]), 100)
            return hours + minutes / 60
        case _:
            value: float = raw[0]
            return value


def pack(
    kind: WireType,
    block: bytearray,
    offset: int,
    order: str,
    value: float | bool | str,
    *,
    bit: int = 0,
    length: int = 1,
    multiplier: float = 1e6,
) -> None:
    """Write a raw value so that ``unpack`` gives it back, to the type's resolution."""
    if kind == "text":
        letters = str(value).encode("ascii").ljust(2 * length, b"\0")[: 2 * length]
        words = [
            int.from_bytes(letters[i : i + 2], "big") for i in range(0, len(letters), 2)
        ]
        struct.pack_into(f"{order}{length}H", block, offset, *words)
        return
    number = float(value)
    match kind:
        case "bit":
            (word,) = struct.unpack_from(order + "H", block, offset)
            word = word | 1 << bit if value else word & ~(1 << bit)
            struct.pack_into(order + "H", block, offset, word)
        case "real_pair":
            high, low = divmod(number, multiplier)
            struct.pack_into(order + "2f", block, offset, high, low)
        case "hours_minutes_pair":
            minutes = round(number * 60)
            struct.pack_into(order + "2f", block, offset, *divmod(minutes, 60))
        case "ulint_hours_minutes":
            hours, rest = divmod(round(number * 60), 60)
            struct.pack_into(order + "Q", block, offset, hours * 100 + rest)
        case "real":
            struct.pack_into(order + "f", block, offset, number)
        case _:
            struct.pack_into(order + _FORMATS[kind], block, offset, round(number))
