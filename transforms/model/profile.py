"""A meter model as data: what a profile TOML may say, as frozen models.

Every offset, address, word order and scale is profile data with its marking, never
code. ``transforms.model.profile_check`` holds what one value alone cannot show.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from transforms.model.wire import WireType, WordOrder, size_of

__all__ = [
    "AssemblyBlock",
    "AssemblyLocation",
    "Description",
    "DescriptionPoint",
    "EthernetIp",
    "Expectation",
    "Group",
    "Limits",
    "Location",
    "Modbus",
    "Point",
    "Profile",
    "Protocol",
    "RegisterBlock",
    "RegisterLocation",
]

Protocol = Literal["ethernet_ip", "modbus"]
Word = Annotated[int, Field(ge=0, le=0xFFFF)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is no regular expression: {error}") from None
    return text


class Limits(_Model):
    """The polling budget of one device."""

    minimum_period_seconds: Annotated[float, Field(gt=0)]
    requests_per_second: Annotated[float, Field(gt=0)]
    connections: Annotated[int, Field(ge=1)] = 1


class EthernetIp(_Model):
    """Identity over CIP: a device is accepted only if all four match."""

    port: Word = 44818
    vendor: Word
    device_type: Word
    product_name: str
    product_codes: tuple[Word, ...]


class Location(_Model):
    """Where a value stands, and how sure that is (documented or inferred)."""

    type: WireType
    bit: Annotated[int, Field(ge=0, le=15)] = 0
    length: Annotated[int, Field(ge=1, le=64)] = 1
    scale: Annotated[float, Field(gt=0)] | None = None
    status: Literal[
        "documented", "documented (2nd hand)", "inferred", "tested", "unknown"
    ]
    level: Literal["high", "medium-high", "medium", "low"] | None = None
    source: Annotated[str, Field(min_length=1)]

    @property
    def size(self) -> int:
        """Bytes that the value takes."""
        return size_of(self.type, self.length)

    @property
    def commissioned_by_paper(self) -> bool:
        """Whether the marking alone is enough, without a commissioning check."""
        return self.status in ("documented", "documented (2nd hand)", "tested")


class AssemblyLocation(Location):
    """A value in attribute 3 of an Assembly instance, at a byte offset."""

    instance: Word
    offset: Annotated[int, Field(ge=0)]


class RegisterLocation(Location):
    """A value in Modbus registers, at a wire address."""

    address: Word


class AssemblyBlock(_Model):
    """One Get_Attribute_Single of an Assembly's data: ``size`` bytes, checked."""

    instance: Word
    size: Annotated[int, Field(ge=1, le=500)]


class RegisterBlock(_Model):
    """One Modbus read: ``count`` registers from the wire address."""

    address: Word
    count: Annotated[int, Field(ge=1, le=125)]


class Expectation(_Model):
    """What a Modbus meter of this profile must answer, or it is a foreign device."""

    address: Word
    type: WireType
    length: Annotated[int, Field(ge=1, le=64)] = 1
    pattern: Annotated[str, AfterValidator(_pattern)] | None = None
    low: float | None = None
    high: float | None = None
    source: Annotated[str, Field(min_length=1)]

    @property
    def count(self) -> int:
        """Registers to read."""
        return size_of(self.type, self.length) // 2


class Modbus(_Model):
    """How the meter speaks Modbus TCP."""

    port: Word = 502
    unit: Annotated[int, Field(ge=0, le=255)] = 1
    function: Literal[3, 4] = 4
    word_order: WordOrder
    max_registers: Annotated[int, Field(ge=1, le=125)] = 125
    forbidden: tuple[Word, ...] = ()
    suspends_ethernet_ip: bool = False
    identity: tuple[Expectation, ...]


class Point(_Model):
    """One reading: its quantity, where it stands, and raw units per unit (``V x 10``).

    A location's own ``scale`` wins over the point's: Modbus counters are Wh, CIP's kWh.
    """

    quantity: str
    scale: Annotated[float, Field(gt=0)] = 1.0
    enabled: bool = True
    ethernet_ip: AssemblyLocation | None = None
    modbus: RegisterLocation | None = None

    def at(self, protocol: Protocol) -> AssemblyLocation | RegisterLocation | None:
        """Its place by this protocol."""
        return self.ethernet_ip if protocol == "ethernet_ip" else self.modbus

    def scale_by(self, protocol: Protocol) -> float:
        """Raw units per unit, by this protocol."""
        at = self.at(protocol)
        return at.scale if at is not None and at.scale is not None else self.scale


class Group(_Model):
    """Readings polled together: the unit of a slot and of a frame."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z_]*$")]
    period_seconds: Annotated[float, Field(gt=0)]
    ethernet_ip: tuple[AssemblyBlock, ...] = ()
    modbus: tuple[RegisterBlock, ...] = ()
    point: tuple[Point, ...]

    @property
    def points(self) -> tuple[Point, ...]:
        """The enabled points, in the order of the frame."""
        return tuple(point for point in self.point if point.enabled)

    def requests(self, protocol: Protocol) -> int:
        """Requests of one poll by this protocol; 0 where it cannot carry the group."""
        return len(self.ethernet_ip if protocol == "ethernet_ip" else self.modbus)


class DescriptionPoint(_Model):
    """One thing that a meter says of itself."""

    name: Annotated[str, Field(pattern=r"^[a-z][A-Za-z]*$")]
    ethernet_ip: AssemblyLocation | None = None
    modbus: RegisterLocation | None = None


class Description(_Model):
    """What a meter says of itself: read at connect and hourly."""

    ethernet_ip: tuple[AssemblyBlock, ...] = ()
    modbus: tuple[RegisterBlock, ...] = ()
    point: tuple[DescriptionPoint, ...] = ()


class Profile(_Model):
    """One meter model."""

    # Single underscores inside: the schema's name parts profile and group by two.
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$")]
    version: Annotated[int, Field(ge=1)]
    title: str
    limits: Limits
    ethernet_ip: EthernetIp | None = None
    modbus: Modbus | None = None
    energy_high_multiplier: Annotated[float, Field(gt=0)] = 1e6
    group: tuple[Group, ...]
    description: Description = Description()

    def group_named(self, name: str) -> Group:
        """The group; KeyError where the profile has none of that name."""
        for group in self.group:
            if group.name == name:
                return group
        raise KeyError(name)
