"""Read-only by construction: the one allow-list that every request passes.

pm500 reads meters and never writes them. Both protocols ask here before a request is
built, so that no other service, function or register can leave this program.
"""

from __future__ import annotations

from collections.abc import Collection

__all__ = ["ReadOnlyError", "permit_cip", "permit_modbus"]

GET_ATTRIBUTES_ALL = 0x01
GET_ATTRIBUTE_SINGLE = 0x0E
IDENTITY = 0x01

_MODBUS_READS = frozenset({3, 4})


class ReadOnlyError(Exception):
    """A request that pm500 must never send: a mistake of the program."""


def permit_cip(service: int, class_code: int) -> None:
    """Allow Get_Attribute_Single, and Get_Attributes_All on Identity; nothing else."""
    if service == GET_ATTRIBUTE_SINGLE:
        return
    if service == GET_ATTRIBUTES_ALL and class_code == IDENTITY:
        return
    raise ReadOnlyError(f"CIP service {service:#04x} on class {class_code:#04x}")


def permit_modbus(
    function: int, address: int, count: int, forbidden: Collection[int]
) -> None:
    """Allow functions 3 and 4, outside the registers that are never read."""
    if function not in _MODBUS_READS:
        raise ReadOnlyError(f"Modbus function {function}")
    if not (1 <= count <= 125 and address >= 0 and address + count <= 0x10000):
        raise ReadOnlyError(f"Modbus read of {count} registers at {address:#06x}")
    for register in forbidden:
        if address <= register < address + count:
            raise ReadOnlyError(f"Modbus register {register:#06x}")
