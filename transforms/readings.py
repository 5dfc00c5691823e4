"""Blocks of a meter to readings with units and quality, compiled from the profile."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

from transforms.model import wire
from transforms.model.outcome import Meaning
from transforms.model.profile import (
    AssemblyLocation,
    Group,
    Location,
    Profile,
    Protocol,
    RegisterLocation,
)
from transforms.model.quality import Quality
from transforms.model.quantity import QUANTITIES
from transforms.rules import PowerTriangles, classify, not_in_system

__all__ = ["GroupReader"]

_NAN = float("nan")


class _Place(NamedTuple):
    """Where a reading stands in the joined blocks."""

    block: int
    offset: int
    at: Location


class GroupReader:
    """Reads one group by one protocol: bytes in, values and quality out."""

    def __init__(
        self, profile: Profile, group: Group, protocol: Protocol, meaning: Meaning
    ) -> None:
        self.names = tuple(point.quantity for point in group.points)
        sizes, self._order = _blocks(profile, group, protocol)
        self._sizes = sizes
        starts = [sum(sizes[:index]) for index in range(len(sizes))]
        self._multiplier = meaning.energy_high_multiplier or (
            profile.energy_high_multiplier
        )
        self._places = [_place(group, point.at(protocol)) for point in group.points]
        self._scales = [point.scale_by(protocol) for point in group.points]
        base = bytearray()
        for point, place in zip(group.points, self._places, strict=True):
            base.append(_quality_by_paper(point.quantity, place, meaning))
        self._base = bytes(base)
        self._absent = [i for i, q in enumerate(base) if q >= Quality.BAD_NO_VALUE]
        quantities = [QUANTITIES[name] for name in self.names]
        self._ranges = [(q.low, q.high) for q in quantities]
        self._states = [q.kind == "state" for q in quantities]
        self._triangles = PowerTriangles(self.names)
        self._fast = self._compile_reals(starts)

    def read(
        self, blocks: Sequence[bytes | None]
    ) -> tuple[bytes, Sequence[float | bool]]:
        """Quality and values in the order of the frame, in the table's units.

        A block that is None leaves its readings without a value.
        """
        if self._fast is not None and None not in blocks:
            raw = self._fast.unpack(b"".join(blocks))  # type: ignore[arg-type]
            values = [r / s for r, s in zip(raw, self._scales, strict=True)]
            if not self._absent and all(
                low <= v <= high
                for v, (low, high) in zip(values, self._ranges, strict=True)
            ):
                return self._by_physics(values, self._base), values
            return self._checked(raw, values)
        raws = [self._one(blocks, place) for place in self._places]
        values = [
            r if state else r / s
            for r, s, state in zip(raws, self._scales, self._states, strict=True)
        ]
        return self._checked(raws, values, blocks)

    def _checked(
        self,
        raw: Sequence[float],
        values: list[float],
        blocks: Sequence[bytes | None] = (),
    ) -> tuple[bytes, list[float]]:
        quality = bytearray(self._base)
        for i, name in enumerate(self.names):
            if quality[i] >= Quality.BAD_NO_VALUE:
                pass
            elif (place := self._places[i]) and blocks and blocks[place.block] is None:
                quality[i] = Quality.BAD_NO_VALUE
            elif found := classify(name, raw[i], values[i]):
                quality[i] = found
            if quality[i] >= Quality.BAD_NO_VALUE:
                values[i] = False if self._states[i] else _NAN
        return self._by_physics(values, bytes(quality)), values

    def _by_physics(self, values: Sequence[float], quality: bytes) -> bytes:
        broken = self._triangles.broken(values)
        if not broken:
            return quality
        downgraded = bytearray(quality)
        for i in broken:
            downgraded[i] = Quality.UNCERTAIN_INCONSISTENT
        return bytes(downgraded)

    def _one(self, blocks: Sequence[bytes | None], place: _Place) -> float:
        block = blocks[place.block]
        if block is None:
            return _NAN
        at = place.at
        value = wire.unpack(
            at.type,
            block,
            place.offset,
            self._order,
            bit=at.bit,
            multiplier=self._multiplier,
        )
        assert not isinstance(value, str)
        return value

    def _compile_reals(self, starts: Sequence[int]) -> struct.Struct | None:
        """One format for all blocks where every reading is a REAL, in wire order."""
        layout, end = self._order, 0
        for place in self._places:
            start = starts[place.block] + place.offset
            if place.at.type != "real" or start < end:
                return None
            layout += f"{start - end}xf"
            end = start + 4
        return struct.Struct(layout + f"{sum(self._sizes) - end}x")


def _quality_by_paper(name: str, place: _Place, meaning: Meaning) -> Quality:
    if not_in_system(name, meaning.system):
        return Quality.BAD_NOT_IN_SYSTEM
    if place.at.commissioned_by_paper:
        return Quality.GOOD
    # A split counter is known only once its radix is.
    known = not place.at.type.endswith("_pair") or meaning.energy_high_multiplier
    if meaning.commissioned and known:
        return Quality.GOOD
    return Quality.UNCERTAIN_NOT_COMMISSIONED


def _blocks(
    profile: Profile, group: Group, protocol: Protocol
) -> tuple[list[int], str]:
    if protocol == "ethernet_ip":
        return [block.size for block in group.ethernet_ip], "<"
    assert profile.modbus is not None
    order = "<" if profile.modbus.word_order == "little" else ">"
    return [2 * block.count for block in group.modbus], order


def _place(group: Group, at: AssemblyLocation | RegisterLocation | None) -> _Place:
    if isinstance(at, AssemblyLocation):
        for index, block in enumerate(group.ethernet_ip):
            if block.instance == at.instance:
                return _Place(index, at.offset, at)
    if isinstance(at, RegisterLocation):
        for index, registers in enumerate(group.modbus):
            if registers.address <= at.address < registers.address + registers.count:
                return _Place(index, 2 * (at.address - registers.address), at)
    raise ValueError(f"{group.name}: a point lies in no block")
