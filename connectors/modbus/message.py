"""Read requests and their answers as bytes, by pymodbus's framer; no socket here."""

from __future__ import annotations

import logging
import struct
from typing import NamedTuple

from pymodbus.exceptions import ModbusException
from pymodbus.framer import FramerSocket
from pymodbus.pdu import DecodePDU, ExceptionResponse, ModbusPDU
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadInputRegistersRequest,
)

from connectors.link import LinkError
from connectors.readonly import permit_modbus
from transforms.model.profile import Modbus
from transforms.model.quality import Status

__all__ = ["MBAP", "Head", "length_of", "read_request", "registers_of"]

# Modbus Messaging on TCP/IP 1.0b, 3.1.3: transaction, protocol, length, unit.
MBAP = struct.Struct(">HHHB")
_FRAMER = FramerSocket(DecodePDU(False))
# The framer would log every byte and every answer that it passes over.
logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)


class Head(NamedTuple):
    """The head of an answer; ``length`` counts the unit byte and what follows."""

    transaction: int
    protocol: int
    length: int
    unit: int


def read_request(
    modbus: Modbus, unit: int, transaction: int, address: int, count: int
) -> bytes:
    """A read of ``count`` registers, as bytes."""
    permit_modbus(modbus.function, address, count, modbus.forbidden)
    kind = (
        ReadInputRegistersRequest
        if modbus.function == 4
        else ReadHoldingRegistersRequest
    )
    request = kind(
        address=address, count=count, dev_id=unit, transaction_id=transaction
    )
    return _FRAMER.buildFrame(request)


def length_of(data: bytes) -> int | None:
    """How long the message is that begins here; LinkError where none does."""
    if len(data) < MBAP.size:
        return None
    head = Head(*MBAP.unpack_from(data))
    if head.protocol or not 3 <= head.length <= 254:
        text = f"answer starts with {data[:8].hex()}"
        raise LinkError(Status.MALFORMED, text, True)
    return MBAP.size - 1 + head.length


def registers_of(
    answer: bytes, function: int, unit: int, transaction: int, count: int, what: str
) -> bytes:
    """The registers as received (two bytes each); LinkError where it has none."""
    head = Head(*MBAP.unpack_from(answer))
    if head.unit != unit:
        raise LinkError(Status.MALFORMED, f"{what}: of unit {head.unit}", True)
    try:
        used, pdu = _FRAMER.handleFrame(answer, unit, transaction)
    except (ModbusException, struct.error, IndexError, ValueError) as error:
        raise LinkError(Status.MALFORMED, f"{what}: {error}", True) from error
    if pdu is None or used != len(answer):
        raise LinkError(Status.MALFORMED, f"{what}: no whole answer", True)
    # The highest bit marks an exception of the function that was asked.
    if pdu.function_code & 0x7F == function and pdu.isError():
        raise _exception(pdu, what)
    if pdu.function_code != function:
        text = f"{what}: function {pdu.function_code}"
        raise LinkError(Status.MALFORMED, text, True)
    data = answer[MBAP.size + 2 :]
    if answer[MBAP.size + 1] != 2 * count or len(data) != 2 * count:
        text = f"{what}: {len(data)} bytes, not {2 * count}"
        raise LinkError(Status.MALFORMED, text, False)
    return data


def _exception(pdu: ModbusPDU, what: str) -> LinkError:
    code = pdu.exception_code if isinstance(pdu, ExceptionResponse) else 0
    return LinkError(Status.MODBUS_EXCEPTION, f"{what}: exception {code}", False)
