"""What a meter says of itself, decoded from the profile's description blocks."""

from __future__ import annotations

from collections.abc import Mapping

from transforms.model import wire
from transforms.model.profile import (
    AssemblyLocation,
    Profile,
    Protocol,
    RegisterLocation,
)
from transforms.rules import SYSTEMS

__all__ = ["describe", "system_of"]


def describe(
    profile: Profile, protocol: Protocol, blocks: Mapping[int, bytes]
) -> dict[str, str]:
    """The description as text by name; ``blocks`` by instance or first register.

    A point whose block is absent is left out. Numbers are written so that equal
    settings give equal text.
    """
    out: dict[str, str] = {}
    description = profile.description
    for point in description.point:
        at = point.ethernet_ip if protocol == "ethernet_ip" else point.modbus
        if isinstance(at, AssemblyLocation) and at.instance in blocks:
            block, offset, order = blocks[at.instance], at.offset, "<"
        elif isinstance(at, RegisterLocation) and profile.modbus is not None:
            start = next(
                (
                    b.address
                    for b in description.modbus
                    if b.address <= at.address < b.address + b.count
                ),
                None,
            )
            if start is None or start not in blocks:
                continue
            block, offset = blocks[start], 2 * (at.address - start)
            order = "<" if profile.modbus.word_order == "little" else ">"
        else:
            continue
        value = wire.unpack(at.type, block, offset, order, length=at.length)
        out[point.name] = value if isinstance(value, str) else f"{value:g}"
    return out


def system_of(description: Mapping[str, str]) -> str | None:
    """The electrical system that the meter is set to; None where it did not say."""
    code = description.get("electricalSystem", "")
    return SYSTEMS[int(code)] if code.isdigit() and int(code) < len(SYSTEMS) else None
