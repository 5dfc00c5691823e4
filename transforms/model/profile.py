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

    minimum_period_seconds: Annotated[float, Field(gt=0)] = Field(
        description="No group may be polled more often."
    )
    requests_per_second: Annotated[float, Field(gt=0)] = Field(
        description="Most requests that the device is asked to answer."
    )
    connections: Annotated[int, Field(ge=1)] = Field(
        default=1, description="Connections that the device allows; pm500 takes one."
    )


class EthernetIp(_Model):
    """Identity over CIP: a device is accepted only if all four match."""

    port: Word = Field(default=44818, description="TCP port.")
    vendor: Word = Field(description="Vendor id of the Identity object.")
    device_type: Word = Field(description="Device type of the Identity object.")
    product_name: str = Field(description="Product name, exactly.")
    product_codes: tuple[Word, ...] = Field(description="Product codes, any of them.")


class Location(_Model):
    """Where a value stands, and how sure that is (documented or inferred)."""

    type: WireType = Field(description="How the value stands on the wire.")
    bit: Annotated[int, Field(ge=0, le=15)] = Field(
        default=0, description="Which bit of the word; for `bit` only."
    )
    length: Annotated[int, Field(ge=1, le=64)] = Field(
        default=1, description="Words of the text; for `text` only."
    )
    scale: Annotated[float, Field(gt=0)] | None = Field(
        default=None,
        description="Raw units per unit here; the point's own where absent.",
    )
    status: Literal[
        "documented", "documented (2nd hand)", "inferred", "tested", "unknown"
    ] = Field(description="How the place is known.")
    level: Literal["high", "medium-high", "medium", "low"] | None = Field(
        default=None,
        description="How sure that is; with `inferred`, and only with it.",
    )
    source: Annotated[str, Field(min_length=1)] = Field(
        description="Where it is said: a manual's page or a project."
    )

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

    instance: Word = Field(description="Assembly instance.")
    offset: Annotated[int, Field(ge=0)] = Field(
        description="Byte offset in the assembly's data."
    )


class RegisterLocation(Location):
    """A value in Modbus registers, at a wire address."""

    address: Word = Field(description="First register, counted from 0.")


class AssemblyBlock(_Model):
    """One Get_Attribute_Single of an Assembly's data: ``size`` bytes, checked."""

    instance: Word = Field(description="Assembly instance.")
    size: Annotated[int, Field(ge=1, le=500)] = Field(
        description="Bytes of its data, exactly."
    )


class RegisterBlock(_Model):
    """One Modbus read: ``count`` registers from the wire address."""

    address: Word = Field(description="First register, counted from 0.")
    count: Annotated[int, Field(ge=1, le=125)] = Field(description="Registers.")


class Expectation(_Model):
    """What a Modbus meter of this profile must answer, or it is a foreign device."""

    address: Word = Field(description="First register, counted from 0.")
    type: WireType = Field(description="How the value stands on the wire.")
    length: Annotated[int, Field(ge=1, le=64)] = Field(
        default=1, description="Words of the text; for `text` only."
    )
    pattern: Annotated[str, AfterValidator(_pattern)] | None = Field(
        default=None, description="Regular expression that a text must match whole."
    )
    low: float | None = Field(default=None, description="Smallest number, raw.")
    high: float | None = Field(default=None, description="Largest number, raw.")
    source: Annotated[str, Field(min_length=1)] = Field(
        description="Where it is said: a manual's page or a project."
    )

    @property
    def count(self) -> int:
        """Registers to read."""
        return size_of(self.type, self.length) // 2


class Modbus(_Model):
    """How the meter speaks Modbus TCP."""

    port: Word = Field(default=502, description="TCP port.")
    unit: Annotated[int, Field(ge=0, le=255)] = Field(default=1, description="Unit id.")
    function: Literal[3, 4] = Field(
        default=4, description="3 reads holding registers, 4 input registers."
    )
    word_order: WordOrder = Field(
        description="`little`: the least significant word stands first."
    )
    max_registers: Annotated[int, Field(ge=1, le=125)] = Field(
        default=125, description="Most registers of one read."
    )
    forbidden: tuple[Word, ...] = Field(
        default=(), description="Registers that are never read, such as a password."
    )
    suspends_ethernet_ip: bool = Field(
        default=False,
        description="Whether an open Modbus session silences EtherNet/IP.",
    )
    identity: tuple[Expectation, ...] = Field(
        description="What the meter must answer, or it is a foreign device."
    )


class Point(_Model):
    """One reading: its quantity, where it stands, and raw units per unit (``V x 10``).

    A location's own ``scale`` wins over the point's: Modbus counters are Wh, CIP's kWh.
    """

    quantity: str = Field(description="A name of the table of quantities.")
    scale: Annotated[float, Field(gt=0)] = Field(
        default=1.0, description="Raw units per unit: 1000 where W become kW."
    )
    enabled: bool = Field(default=True, description="Whether it stands in the frame.")
    modulus: Annotated[float, Field(gt=0)] | None = Field(
        default=None,
        description="Where a counter begins again from zero, in its unit; absent where "
        "that is not known.",
    )
    ethernet_ip: AssemblyLocation | None = Field(
        default=None, description="Its place by EtherNet/IP."
    )
    modbus: RegisterLocation | None = Field(
        default=None, description="Its place by Modbus."
    )

    def at(self, protocol: Protocol) -> AssemblyLocation | RegisterLocation | None:
        """Its place by this protocol."""
        return self.ethernet_ip if protocol == "ethernet_ip" else self.modbus

    def scale_by(self, protocol: Protocol) -> float:
        """Raw units per unit, by this protocol."""
        at = self.at(protocol)
        return at.scale if at is not None and at.scale is not None else self.scale


class Group(_Model):
    """Readings polled together: the unit of a slot and of a frame."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z_]*$")] = Field(
        description="Name of the group, of its slots and of its archive table."
    )
    period_seconds: Annotated[float, Field(gt=0)] = Field(
        description="Period, unless the site says another."
    )
    ethernet_ip: tuple[AssemblyBlock, ...] = Field(
        default=(), description="Assemblies to read, one request each."
    )
    modbus: tuple[RegisterBlock, ...] = Field(
        default=(), description="Registers to read, one request a block."
    )
    point: tuple[Point, ...] = Field(
        description="The readings, in the order of the frame."
    )

    @property
    def points(self) -> tuple[Point, ...]:
        """The enabled points, in the order of the frame."""
        return tuple(point for point in self.point if point.enabled)

    def requests(self, protocol: Protocol) -> int:
        """Requests of one poll by this protocol; 0 where it cannot carry the group."""
        return len(self.ethernet_ip if protocol == "ethernet_ip" else self.modbus)


class DescriptionPoint(_Model):
    """One thing that a meter says of itself."""

    name: Annotated[str, Field(pattern=r"^[a-z][A-Za-z]*$")] = Field(
        description="Its name in events and in the commissioning record."
    )
    ethernet_ip: AssemblyLocation | None = Field(
        default=None, description="Its place by EtherNet/IP."
    )
    modbus: RegisterLocation | None = Field(
        default=None, description="Its place by Modbus."
    )


class Description(_Model):
    """What a meter says of itself: read at connect and hourly."""

    ethernet_ip: tuple[AssemblyBlock, ...] = Field(
        default=(), description="Assemblies to read, one request each."
    )
    modbus: tuple[RegisterBlock, ...] = Field(
        default=(), description="Registers to read, one request a block."
    )
    point: tuple[DescriptionPoint, ...] = Field(
        default=(), description="What stands in them."
    )


class Profile(_Model):
    """One meter model."""

    # Single underscores inside: the schema's name parts profile and group by two.
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$")] = Field(
        description="Name of the profile: the file's own, without `.toml`."
    )
    version: Annotated[int, Field(ge=1)] = Field(
        description="Grows with every change of meaning; checks have to be made again."
    )
    title: str = Field(description="Maker and model.")
    limits: Limits = Field(description="The polling budget of one device.")
    ethernet_ip: EthernetIp | None = Field(
        default=None, description="Present where the meter speaks EtherNet/IP."
    )
    modbus: Modbus | None = Field(
        default=None, description="Present where the meter speaks Modbus TCP."
    )
    energy_high_multiplier: Annotated[float, Field(gt=0)] = Field(
        default=1e6,
        description="Weight of the high part of a `real_pair`, until it is checked.",
    )
    group: tuple[Group, ...] = Field(description="What is polled together.")
    description: Description = Field(
        default=Description(), description="What a meter says of itself."
    )

    def group_named(self, name: str) -> Group:
        """The group; KeyError where the profile has none of that name."""
        for group in self.group:
            if group.name == name:
                return group
        raise KeyError(name)
