"""What a CIP request asks of the meter, strictly: bytes to a plan; pure.

Object model as 1420-UM001D p. 74 and 1420-UM001E p. 75, 80, 81: Identity and Assembly
can be read, the Connection Manager unwraps Unconnected_Send, nothing else exists.
Order of refusal: path, object (0x05), service (0x08), attribute (0x14), trailing bytes
(0x15).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import NamedTuple

__all__ = [
    "Identity",
    "Plan",
    "Status",
    "identity_attribute",
    "identity_attributes",
    "plan_of",
    "reply",
]


class Status:
    """General status codes (CIP volume 1, appendix B)."""

    OK = 0x00
    PATH_SEGMENT = 0x04
    PATH_UNKNOWN = 0x05
    SERVICE = 0x08
    NOT_ENOUGH_DATA = 0x13
    ATTRIBUTE = 0x14
    TOO_MUCH_DATA = 0x15


_GET_ALL, _GET_ONE, _UNCONNECTED_SEND = 0x01, 0x0E, 0x52
_IDENTITY, _ASSEMBLY, _CONNECTION_MANAGER = 0x01, 0x04, 0x06


class Identity(NamedTuple):
    """Attributes 1 to 7 of the Identity object."""

    vendor: int
    device_type: int
    product_code: int
    major: int
    minor: int
    status: int
    serial: int
    product_name: str


class Plan(NamedTuple):
    """What to answer: attribute ``attribute`` of ``class_code``/``instance``, or an error.

    ``fixed`` holds the data of an answer that never changes.
    """

    service: int
    status: int = Status.OK
    class_code: int | None = None
    instance: int | None = None
    attribute: int | None = None
    fixed: bytes | None = None


def plan_of(request: bytes, assemblies: Mapping[int, int]) -> Plan:
    """The plan for a request; ``assemblies`` gives the size of each instance."""
    return _plan(request, assemblies, wrapped=False)


def _plan(request: bytes, assemblies: Mapping[int, int], *, wrapped: bool) -> Plan:
    if len(request) < 2 or len(request) < 2 + 2 * request[1]:
        return Plan(request[0] if request else 0, Status.PATH_SEGMENT)
    service, end = request[0], 2 + 2 * request[1]
    path = _path(request[2:end])
    if path is None:
        return Plan(service, Status.PATH_SEGMENT)
    class_code, instance, attribute = path
    rest = request[end:]
    plan = Plan(service, Status.OK, class_code, instance, attribute)
    if class_code == _CONNECTION_MANAGER and instance == 1:
        if service != _UNCONNECTED_SEND or wrapped:
            return plan._replace(status=Status.SERVICE)
        return _unwrapped(plan, rest, assemblies)
    if class_code == _IDENTITY and instance in (0, 1):
        return _identity(plan, rest)
    if class_code == _ASSEMBLY and (instance == 0 or instance in assemblies):
        return _assembly(plan, rest, assemblies)
    return plan._replace(status=Status.PATH_UNKNOWN)


def _path(path: bytes) -> tuple[int | None, int | None, int | None] | None:
    """Class, instance and attribute of a padded EPATH; None where it is no such path."""
    found: list[int | None] = [None, None, None]
    at = 0
    while at < len(path):
        kind, sixteen = path[at] & 0xFC, path[at] & 0x03
        place = {0x20: 0, 0x24: 1, 0x30: 2}.get(kind)
        if place is None or sixteen > 1 or found[place] is not None:
            return None
        if sixteen:
            if len(path) < at + 4 or path[at + 1]:
                return None
            found[place] = int.from_bytes(path[at + 2 : at + 4], "little")
            at += 4
        else:
            found[place] = path[at + 1]
            at += 2
    return (found[0], found[1], found[2])


def _identity(plan: Plan, rest: bytes) -> Plan:
    if plan.service == _GET_ALL and plan.instance == 1 and plan.attribute is None:
        return _without(rest, plan)
    if plan.service != _GET_ONE:
        return plan._replace(status=Status.SERVICE)
    if plan.instance == 0:  # 1420-UM001D p. 74
        return _fixed(plan, rest, {1: 1, 2: 1, 3: 1, 6: 7, 7: 7})
    if plan.attribute not in range(1, 8):
        return plan._replace(status=Status.ATTRIBUTE)
    return _without(rest, plan)


def _assembly(plan: Plan, rest: bytes, assemblies: Mapping[int, int]) -> Plan:
    if plan.service != _GET_ONE:
        return plan._replace(status=Status.SERVICE)
    if plan.instance == 0:  # 1420-UM001E p. 80
        if plan.attribute == 4:
            return _without(rest, plan._replace(fixed=struct.pack("<HH", 1, 4)))
        known = {1: 2, 2: max(assemblies, default=0), 3: len(assemblies), 6: 7, 7: 4}
        return _fixed(plan, rest, known)
    assert plan.instance is not None
    if plan.attribute == 4:
        return _fixed(plan, rest, {4: assemblies[plan.instance]})
    if plan.attribute != 3:
        return plan._replace(status=Status.ATTRIBUTE)
    return _without(rest, plan)


def _fixed(plan: Plan, rest: bytes, words: Mapping[int, int]) -> Plan:
    if plan.attribute not in words:
        return plan._replace(status=Status.ATTRIBUTE)
    assert plan.attribute is not None
    word = words[plan.attribute].to_bytes(2, "little")
    return _without(rest, plan._replace(fixed=word))


def _without(rest: bytes, plan: Plan) -> Plan:
    return plan._replace(status=Status.TOO_MUCH_DATA) if rest else plan


def _unwrapped(plan: Plan, rest: bytes, assemblies: Mapping[int, int]) -> Plan:
    """Unconnected_Send: tick, ticks, length, request, pad, route path or none of it."""
    if len(rest) < 4:
        return plan._replace(status=Status.NOT_ENOUGH_DATA)
    length = int.from_bytes(rest[2:4], "little")
    route = 4 + length + length % 2
    if len(rest) < route:
        return plan._replace(status=Status.NOT_ENOUGH_DATA)
    if len(rest) > route:
        end = route + 2 + 2 * rest[route]
        if len(rest) < end:
            return plan._replace(status=Status.NOT_ENOUGH_DATA)
        if len(rest) > end:
            return plan._replace(status=Status.TOO_MUCH_DATA)
    return _plan(rest[4 : 4 + length], assemblies, wrapped=True)


def reply(service: int, status: int, body: bytes = b"") -> bytes:
    """The reply to a request of this service."""
    return bytes((service | 0x80, 0, status, 0)) + body


def identity_attribute(identity: Identity, number: int) -> bytes:
    """One attribute of the Identity object, 1 to 7."""
    match number:
        case 1 | 2 | 3:
            return identity[number - 1].to_bytes(2, "little")  # type: ignore[union-attr]
        case 4:
            return bytes((identity.major, identity.minor))
        case 5:
            return identity.status.to_bytes(2, "little")
        case 6:
            return identity.serial.to_bytes(4, "little")
        case _:
            name = identity.product_name.encode("ascii")
            return bytes((len(name),)) + name


def identity_attributes(identity: Identity) -> bytes:
    """Attributes 1 to 7 as Get_Attributes_All has them."""
    return b"".join(identity_attribute(identity, number) for number in range(1, 8))
