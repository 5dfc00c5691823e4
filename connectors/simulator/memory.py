"""A meter's memory: a profile and values to the bytes of an assembly or of registers.

Resolution of a reading: 0.1 V, 0.01 A, 1 W (VA, var), 0.001 of power factor, 0.01 Hz;
counters show whole Wh (varh) that have gone by. The display has less (1420-UM001D p. 66),
the registers are documented in Wh (1420-UM001E p. 57).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from math import floor, inf, nan

from connectors.simulator.cip import Plan
from connectors.simulator.faults import Fault
from connectors.simulator.load import part_of
from connectors.simulator.record import Value
from transforms.model.profile import (
    AssemblyLocation,
    Description,
    Group,
    Profile,
    RegisterLocation,
)
from transforms.model.quantity import QUANTITIES
from transforms.model.wire import WireType, WordOrder, pack, plain, size_of, unpack

__all__ = ["DESCRIPTION", "Memory", "Place", "Stretch", "memory_of"]

DESCRIPTION = "description"
_STEPS_PER_UNIT = {"V": 10, "A": 100, "Hz": 100}
_OVERLOAD = {"nan": nan, "inf": inf, "overload": 1e10}
_WORDS = {order: struct.Struct(order + "H") for order in "<>"}
_FULL_SCALE = {"int16": 0x7FFF, "int32": 0x7FFF_FFFF, "uint": 0xFFFF}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where one value stands in a block: ``offset`` in bytes."""

    name: str
    type: WireType
    offset: int
    bit: int = 0
    length: int = 1
    scale: float = 1.0

    @property
    def end(self) -> int:
        """The first byte after it."""
        return self.offset + size_of(self.type, self.length)

    @property
    def kind(self) -> str:
        """``gauge``, ``counter``, ``state`` or ``description``."""
        known = QUANTITIES.get(self.name)
        return known.kind if known else DESCRIPTION


# What the meter has beyond what a reader of ours asks for (1420-UM001E p. 49, 57; D-p61).
_BEYOND = {
    "pm500": (
        Place(name="firmwareBase", type="uint", offset=2 * 0x0000),
        Place(name="firmwareEthernet", type="uint", offset=2 * 0x0001),
        Place(name="firmwareAnalog", type="uint", offset=2 * 0x0002),
        Place(name="serialText", type="text", offset=2 * 0x0020, length=7),
        Place(name="password", type="uint", offset=2 * 0x1000),
        Place(name="modules", type="uint", offset=2 * 0x4002),
    )
}


class Stretch:
    """A run of bytes with its places; packs what it unpacks.

    ``word_order`` is None for CIP data, which is little-endian throughout.
    """

    __slots__ = (
        "_multiplier",
        "_order",
        "_others",
        "_reals",
        "_registers",
        "_struct",
        "_words",
        "parts",
        "places",
        "size",
    )

    def __init__(
        self,
        places: Iterable[Place],
        size: int,
        word_order: WordOrder | None,
        multiplier: float,
    ) -> None:
        self.places = tuple(sorted(places, key=lambda place: (place.offset, place.bit)))
        self.size = size
        self.parts = frozenset(
            DESCRIPTION if place.kind == DESCRIPTION else part_of(place.name)
            for place in self.places
        )
        self._registers: WordOrder = word_order or "big"  # big: nothing to swap
        self._order = plain(b"", word_order)[1] if word_order else "<"
        self._multiplier = multiplier
        fast = [p for p in self.places if p.type == "real" and p.kind == "gauge"]
        self._struct, self._reals = _compiled(fast, size, self._order)
        self._words = _bit_words(self.places)
        self._others = tuple(
            p for p in self.places if p not in fast and p.type != "bit"
        )

    def pack(self, values: Mapping[str, Value]) -> bytes:
        """The bytes on the wire for these values, in the units of the table."""
        block = self._struct.pack(
            *[
                round(values[name] * steps) / divisor  # type: ignore[operator] # gauges
                for name, steps, divisor in self._reals
            ]
        )
        if self._others or self._words:
            filled = bytearray(block)
            for offset, bits in self._words:
                word = sum(mask for name, mask in bits if values[name])
                _WORDS[self._order].pack_into(filled, offset, word)
            for place in self._others:
                self._put(filled, place, _raw(place, values[place.name]))
            block = bytes(filled)
        return plain(block, self._registers)[0]

    def unpack(self, block: bytes) -> dict[str, Value]:
        """What an ideal reader takes from the bytes."""
        held = plain(block, self._registers)[0]
        out: dict[str, Value] = {}
        for place in self.places:
            raw = unpack(
                place.type,
                held,
                place.offset,
                self._order,
                bit=place.bit,
                length=place.length,
                multiplier=self._multiplier,
            )
            whole = isinstance(raw, bool | str) or place.scale == 1
            out[place.name] = raw if whole else float(raw) / place.scale
        return out

    def spoilt(self, block: bytes, fault: Fault) -> bytes:
        """The bytes after a fault that spoils readings; as they were after others."""
        if fault.kind == "swapped_words":
            return b"".join(
                block[i + 2 : i + 4] + block[i : i + 2] for i in range(0, len(block), 4)
            )
        if fault.kind not in ("nan", "counter_zero"):
            return block
        wanted = "gauge" if fault.kind == "nan" else "counter"
        held = bytearray(plain(block, self._registers)[0])
        for place in self.places:
            if place.kind != wanted or fault.quantity not in (None, place.name):
                continue
            if fault.kind == "counter_zero":
                held[place.offset : place.end] = bytes(place.end - place.offset)
            elif place.type == "real":
                self._put(held, place, _OVERLOAD[fault.reading])
            else:
                self._put(held, place, _FULL_SCALE[place.type])
        return plain(bytes(held), self._registers)[0]

    def _put(self, block: bytearray, place: Place, raw: Value) -> None:
        pack(
            place.type,
            block,
            place.offset,
            self._order,
            raw,
            bit=place.bit,
            length=place.length,
            multiplier=self._multiplier,
        )


def _compiled(
    places: list[Place], size: int, order: str
) -> tuple[struct.Struct, tuple[tuple[str, float, float], ...]]:
    """One struct for all REAL gauges of a block; holes are zero."""
    layout, at = order, 0
    for place in places:
        layout += f"{place.offset - at}xf"
        at = place.end
    reals = tuple((p.name, steps := _steps(p), steps / p.scale) for p in places)
    return struct.Struct(f"{layout}{size - at}x"), reals


def _bit_words(
    places: tuple[Place, ...],
) -> tuple[tuple[int, tuple[tuple[str, int], ...]], ...]:
    """The words that hold bits, each with the masks of its names."""
    words: dict[int, list[tuple[str, int]]] = {}
    for place in places:
        if place.type == "bit":
            words.setdefault(place.offset, []).append((place.name, 1 << place.bit))
    return tuple((offset, tuple(bits)) for offset, bits in words.items())


def _steps(place: Place) -> float:
    """Steps of resolution in one unit."""
    return _STEPS_PER_UNIT.get(QUANTITIES[place.name].unit, 1000)


def _raw(place: Place, value: Value) -> Value:
    if isinstance(value, str) or place.kind in (DESCRIPTION, "state"):
        return value
    if place.kind == "gauge":
        return round(value * _steps(place)) / _steps(place) * place.scale
    if place.name == "operatingHours":
        return floor(value * 60) / 60
    whole_wh = floor(value * 1000)
    return whole_wh * place.scale / 1000


class Memory:
    """All assemblies and registers of a profile; shared by its meters."""

    def __init__(self, profile: Profile, multiplier: float) -> None:
        self.profile = profile
        self._multiplier = multiplier
        self.assemblies = self._assemblies() if profile.ethernet_ip else {}
        self._order: WordOrder = profile.modbus.word_order if profile.modbus else "big"
        self._registers = tuple(self._places_in_registers())
        self._existing = self._existing_registers()
        self._stretches: dict[tuple[int, int], tuple[Stretch, Stretch, int]] = {}
        self.plans: dict[bytes, Plan] = {}  # parsed CIP requests, by their bytes

    def _holders(self) -> tuple[Group | Description, ...]:
        return (*self.profile.group, self.profile.description)

    def _assemblies(self) -> dict[int, Stretch]:
        holders = self._holders()
        sizes = {b.instance: b.size for h in holders for b in h.ethernet_ip}
        places: dict[int, list[Place]] = {instance: [] for instance in sizes}
        for name, at, scale in _points(self.profile, "ethernet_ip"):
            assert isinstance(at, AssemblyLocation)
            places[at.instance].append(_place(name, at, at.offset, scale))
        return {
            instance: Stretch(places[instance], size, None, self._multiplier)
            for instance, size in sizes.items()
        }

    def _places_in_registers(self) -> Iterator[Place]:
        if self.profile.modbus is None:
            return
        for name, at, scale in _points(self.profile, "modbus"):
            assert isinstance(at, RegisterLocation)
            yield _place(name, at, 2 * at.address, scale)
        yield from _BEYOND.get(self.profile.name, ())

    def _existing_registers(self) -> frozenset[int]:
        holders = self._holders()
        blocks = [(b.address, b.count) for h in holders for b in h.modbus]
        if self.profile.modbus:
            blocks += [(e.address, e.count) for e in self.profile.modbus.identity]
        blocks += [(p.offset // 2, (p.end - p.offset) // 2) for p in self._registers]
        return frozenset(
            r for first, count in blocks for r in range(first, first + count)
        )

    def registers(
        self, address: int, count: int
    ) -> tuple[Stretch, Stretch, int] | None:
        """The run that a read of registers needs; None where one does not exist.

        The first stretch makes the bytes, of which the answer begins at the third
        value; the second one reads the answer, values cut by its edges left out.
        """
        key = address, count
        found = self._stretches.get(key)
        if found is None:
            if not self._existing.issuperset(range(address, address + count)):
                return None
            found = self._run(2 * address, 2 * (address + count))
            if len(self._stretches) < 1000:
                self._stretches[key] = found
        return found

    def _run(self, first: int, end: int) -> tuple[Stretch, Stretch, int]:
        touched = [p for p in self._registers if p.offset < end and p.end > first]
        start = min([first, *(p.offset for p in touched)])
        stop = max([end, *(p.end for p in touched)])
        inside = [p for p in touched if p.offset >= first and p.end <= end]
        whole = (_moved(p, -start) for p in touched)
        seen = (_moved(p, -first) for p in inside)
        return (
            Stretch(whole, stop - start, self._order, self._multiplier),
            Stretch(seen, end - first, self._order, self._multiplier),
            first - start,
        )


def _moved(place: Place, by: int) -> Place:
    return replace(place, offset=place.offset + by)


def _points(
    profile: Profile, protocol: str
) -> Iterator[tuple[str, AssemblyLocation | RegisterLocation, float]]:
    """Every point, the disabled ones too: the meter has them all the same."""
    for group in profile.group:
        for point in group.point:
            at = point.ethernet_ip if protocol == "ethernet_ip" else point.modbus
            if at is not None:
                scale = at.scale if at.scale is not None else point.scale
                yield point.quantity, at, scale
    for told in profile.description.point:
        at = told.ethernet_ip if protocol == "ethernet_ip" else told.modbus
        if at is not None:
            yield told.name, at, 1.0


def _place(
    name: str, at: AssemblyLocation | RegisterLocation, offset: int, scale: float
) -> Place:
    return Place(
        name=name,
        type=at.type,
        offset=offset,
        bit=at.bit,
        length=at.length,
        scale=scale,
    )


def memory_of(profile: Profile, multiplier: float) -> Memory:
    """The memory of a profile; the same one for the same profile and multiplier."""
    return _memory(_Key(profile), multiplier)


@dataclass(frozen=True, slots=True)
class _Key:
    profile: Profile

    def __hash__(self) -> int:
        return hash((self.profile.name, self.profile.version))


@cache
def _memory(key: _Key, multiplier: float) -> Memory:
    return Memory(key.profile, multiplier)
