from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.model.wire import (
    WireType,
    WordOrder,
    format_of,
    pack,
    plain,
    size_of,
    unpack,
)

orders = st.sampled_from("<>")
offsets = st.integers(0, 6)
reals = st.floats(width=32, allow_nan=False)


def through(
    kind: WireType, value: float | bool | str, order: str, offset: int, length: int = 1
) -> float | bool | str:
    """The value packed into a block of ones and unpacked again."""
    block = bytearray(b"\xff" * (size_of(kind, length) + 8))
    pack(kind, block, offset, order, value, length=length)
    return unpack(kind, bytes(block), offset, order, length=length)


@given(reals, orders, offsets)
def test_a_real_comes_back(value: float, order: str, offset: int) -> None:
    assert through("real", value, order, offset) == value


@given(st.integers(0, 0xFFFF), orders, offsets)
def test_a_uint_comes_back(value: int, order: str, offset: int) -> None:
    assert through("uint", value, order, offset) == value


@given(st.integers(-(2**15), 2**15 - 1), orders, offsets)
def test_an_int16_comes_back(value: int, order: str, offset: int) -> None:
    assert through("int16", value, order, offset) == value


@given(st.integers(-(2**31), 2**31 - 1), orders, offsets)
def test_an_int32_comes_back(value: int, order: str, offset: int) -> None:
    assert through("int32", value, order, offset) == value


@given(st.integers(0, 2**53), orders, offsets)
def test_a_ulint_comes_back_as_far_as_a_double_counts(
    value: int, order: str, offset: int
) -> None:
    assert through("ulint", value, order, offset) == value


@given(st.floats(-999_999_999, 9_999_999_999), orders, offsets)
def test_a_real_pair_comes_back_to_a_sixteenth(
    value: float, order: str, offset: int
) -> None:
    # The low part is a float32 below one million: its step is 0.0625.
    assert through("real_pair", value, order, offset) == pytest.approx(value, abs=0.04)


@given(st.integers(0, 99_999_999), st.integers(0, 59), orders)
def test_exact_hours_and_minutes_come_back(
    hours: int, minutes: int, order: str
) -> None:
    value = hours + minutes / 60
    assert through("ulint_hours_minutes", value, order, 0) == pytest.approx(value)


@given(st.integers(0, 2**24), st.integers(0, 59), orders)
def test_hours_and_minutes_as_reals_come_back(
    hours: int, minutes: int, order: str
) -> None:
    value = hours + minutes / 60
    assert through("hours_minutes_pair", value, order, 0) == pytest.approx(value)


@given(st.integers(0, 15), st.booleans(), orders, st.integers(0, 0xFFFF))
def test_a_bit_comes_back_and_leaves_its_neighbors_alone(
    bit: int, value: bool, order: str, word: int
) -> None:
    block = bytearray(struct.pack(order + "H", word))
    pack("bit", block, 0, order, value, bit=bit)
    assert unpack("bit", bytes(block), 0, order, bit=bit) is value
    (after,) = struct.unpack(order + "H", block)
    assert (after ^ word) & ~(1 << bit) == 0


@given(st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", max_size=14), orders)
def test_a_text_comes_back(value: str, order: str) -> None:
    assert through("text", value, order, 2, length=7) == value


@pytest.mark.parametrize(
    ("kind", "size"),
    [
        ("real", 4),
        ("uint", 2),
        ("bit", 2),
        ("int16", 2),
        ("int32", 4),
        ("ulint", 8),
        ("ulint_hours_minutes", 8),
        ("real_pair", 8),
        ("hours_minutes_pair", 8),
    ],
)
def test_a_type_has_its_size(kind: WireType, size: int) -> None:
    assert size_of(kind) == size
    assert struct.calcsize("<" + format_of(kind)) == size


def test_a_text_of_seven_words_has_fourteen_bytes() -> None:
    assert size_of("text", 7) == 14


def by_modbus(
    kind: WireType, registers: str, word_order: WordOrder = "little"
) -> float | bool | str:
    """What registers say, written as their hex words in the order received."""
    words = bytes.fromhex(registers)
    block, order = plain(words, word_order)
    return unpack(kind, block, 0, order, length=len(words) // 2)


@pytest.mark.parametrize(
    ("registers", "cip", "value"),
    [
        ("0000 4366", "00 00 66 43", 230.0),
        ("4000 43F0", "00 40 F0 43", 480.5),
        ("EB85 426F", "85 EB 6F 42", 59.98),
    ],
)
def test_reals_stand_so_on_both_wires(registers: str, cip: str, value: float) -> None:
    (nearest,) = struct.unpack("<f", struct.pack("<f", value))
    assert by_modbus("real", registers) == nearest
    assert unpack("real", bytes.fromhex(cip), 0, "<") == nearest
    block = bytearray(4)
    pack("real", block, 0, "<", value)
    assert bytes(block) == bytes.fromhex(cip)
    assert plain(bytes(block), "little")[0] == bytes.fromhex(registers)


@pytest.mark.parametrize(
    ("registers", "value"),
    [
        ("1A14 BE99 001C 0000", 123_456_789_012),
        ("9F9C 4E72 0918 0000", 9_999_999_999_900),
    ],
)
def test_counters_stand_so_on_modbus(registers: str, value: int) -> None:
    assert by_modbus("ulint", registers) == value
    block = bytearray(8)
    pack("ulint", block, 0, "<", value)
    assert plain(bytes(block), "little")[0] == bytes.fromhex(registers)


def test_the_high_word_stands_first_where_the_profile_says_so() -> None:
    assert by_modbus("real", "4366 0000", "big") == 230.0


def test_a_firmware_word_is_a_letter_and_a_number() -> None:
    # 1420-UM001E p. 49: 0x4203 is B, 3; by CIP its bytes are 03 42.
    cip = bytes.fromhex("0342")
    assert unpack("uint", cip, 0, "<") == 0x4203
    assert unpack("text", cip, 0, "<") == "B\x03"
    assert by_modbus("uint", "4203") == 0x4203
    assert by_modbus("text", "4203") == "B\x03"


def test_a_serial_text_has_two_letters_a_word_the_first_in_the_high_byte() -> None:
    # 1420-UM001E p. 49: letter 13 stands in the high byte of the last word.
    words = "4142 4344 4546 4748 494A 4B4C 4D00"
    assert by_modbus("text", words) == "ABCDEFGHIJKLM"
    cip = bytes.fromhex("4241 4443 4645 4847 4A49 4C4B 004D")
    assert unpack("text", cip, 0, "<", length=7) == "ABCDEFGHIJKLM"


def test_bytes_that_are_no_ascii_are_no_error() -> None:
    assert unpack("text", b"\xff\x41", 0, "<") == "A\ufffd"


def test_run_hours_are_hours_times_100_plus_minutes() -> None:
    # 1420-UM001E p. 57: 123456 is 1234 h 56 min.
    assert by_modbus("ulint_hours_minutes", "E240 0001 0000 0000") == 1234 + 56 / 60


def test_run_hours_as_two_reals_are_hours_and_minutes() -> None:
    block = struct.pack("<2f", 1234.0, 56.0)
    assert unpack("hours_minutes_pair", block, 0, "<") == 1234 + 56 / 60


def test_a_real_pair_is_high_times_multiplier_plus_low() -> None:
    block = struct.pack("<2f", 3.0, 250_000.5)
    assert unpack("real_pair", block, 0, "<") == 3_250_000.5
    assert unpack("real_pair", block, 0, "<", multiplier=1e3) == 253_000.5


@pytest.mark.parametrize(
    "kind", ["real", "uint", "int16", "int32", "ulint", "bit", "real_pair", "text"]
)
def test_a_block_that_is_too_short_is_a_struct_error(kind: WireType) -> None:
    with pytest.raises(struct.error):
        unpack(kind, b"\0", 0, "<")
