"""The allow-list: reads pass, everything else is a mistake of the program."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.readonly import ReadOnlyError, permit_cip, permit_modbus

BYTES = st.integers(0, 255)


@given(BYTES, BYTES)
def test_only_the_two_reads_of_cip_pass(service: int, class_code: int) -> None:
    allowed = service == 0x0E or (service, class_code) == (0x01, 0x01)
    if allowed:
        permit_cip(service, class_code)
    else:
        with pytest.raises(ReadOnlyError):
            permit_cip(service, class_code)


@given(BYTES, st.integers(0, 0xFFFF), st.integers(1, 125))
def test_only_reads_of_modbus_outside_the_password_pass(
    function: int, address: int, count: int
) -> None:
    inside = address + count <= 0x10000
    password = address <= 0x1000 < address + count
    if function in (3, 4) and inside and not password:
        permit_modbus(function, address, count, (0x1000,))
    else:
        with pytest.raises(ReadOnlyError):
            permit_modbus(function, address, count, (0x1000,))


@pytest.mark.parametrize("count", [0, -1, 126])
def test_a_read_of_no_or_too_many_registers_is_refused(count: int) -> None:
    with pytest.raises(ReadOnlyError):
        permit_modbus(4, 0, count, ())
