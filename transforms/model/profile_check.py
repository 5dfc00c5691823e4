"""Every mistake of a profile at once, each with its path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from transforms.model.profile import (
    AssemblyBlock,
    AssemblyLocation,
    Expectation,
    Location,
    Profile,
    RegisterBlock,
    RegisterLocation,
)
from transforms.model.quantity import QUANTITIES

__all__ = ["ProfileError", "mistakes_of", "parse_profile", "path_of"]

M = TypeVar("M", bound=BaseModel)


class ProfileError(ValueError):
    """A profile that cannot be used; ``mistakes`` lists every one with its path."""

    def __init__(self, name: str, mistakes: Sequence[str]) -> None:
        self.mistakes = tuple(mistakes)
        lines = "\n".join(f"  {mistake}" for mistake in mistakes)
        super().__init__(f"profile {name}: {len(mistakes)} mistake(s)\n{lines}")


def path_of(location: Sequence[str | int]) -> str:
    """A pydantic location as a path.

    >>> path_of(("group", 0, "point", 3, "modbus", "address"))
    'group[0].point[3].modbus.address'
    """
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path


def mistakes_of(error: ValidationError) -> list[str]:
    """What pydantic found, a line each: the path and what is wrong there."""
    return [
        f"{path_of(e['loc'])}: {e['msg'].removeprefix('Value error, ')}"
        for e in error.errors(include_url=False, include_input=False)
    ]


def parse_profile(name: str, raw: Mapping[str, Any]) -> Profile:
    """The profile, or ProfileError with every mistake."""
    profile: Profile | None = None
    mistakes: list[str] = []
    try:
        profile = Profile.model_validate(raw)
    except ValidationError as error:
        mistakes = mistakes_of(error)
    mistakes += _cross(raw)
    if profile is None or mistakes:
        raise ProfileError(name, mistakes)
    return profile


def _cross(raw: Mapping[str, Any]) -> Iterator[str]:
    """Mistakes between values; parts that are wrong by themselves are passed over."""
    modbus = _modbus(raw)
    seen: dict[str, str] = {}
    names: set[str] = set()
    for where, group in _tables(raw, "group"):
        name = str(group.get("name"))
        if name in names:
            yield f"{where}.name: group {name!r} stands twice"
        names.add(name)
        yield from _period(where, group, raw)
        yield from _blocks(where, group, raw, modbus)
        for path, point in _tables(group, "point", where):
            quantity = str(point.get("quantity"))
            if quantity not in QUANTITIES:
                yield f"{path}.quantity: {quantity!r} is not in the table of quantities"
            elif quantity in seen:
                yield f"{path}.quantity: {quantity!r} stands already at {seen[quantity]}"
            seen.setdefault(quantity, path)
        yield from _points(where, group)
        points = [point for _, point in _tables(group, "point")]
        if all(point.get("enabled") is False for point in points):
            yield f"{where}: has no enabled point"
    description = raw.get("description")
    if isinstance(description, dict):
        yield from _blocks("description", description, raw, modbus)
        yield from _points("description", description)
    for where, expected in _tables({"identity": modbus.identity}, "identity"):
        if (valid := _valid(Expectation, expected)) is not None:
            path = f"modbus.{where}"
            yield from _never_read(path, valid.address, valid.count, modbus)


class _ModbusLimits(NamedTuple):
    """What of the [modbus] table bounds every read, as far as it is right."""

    max_registers: int
    forbidden: tuple[int, ...]
    identity: list[Any]


def _modbus(raw: Mapping[str, Any]) -> _ModbusLimits:
    table = raw.get("modbus")
    table = table if isinstance(table, dict) else {}
    most, forbidden, identity = map(table.get, _ModbusLimits._fields)
    return _ModbusLimits(
        most if isinstance(most, int) else 125,
        tuple(r for r in forbidden if isinstance(r, int))
        if isinstance(forbidden, list)
        else (),
        identity if isinstance(identity, list) else [],
    )


def _never_read(
    path: str, address: int, count: int, modbus: _ModbusLimits
) -> Iterator[str]:
    for register in modbus.forbidden:
        if address <= register < address + count:
            yield f"{path}: register {register:#06x} is never read"


def _tables(
    raw: Mapping[str, Any], key: str, prefix: str = ""
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    tables = raw.get(key, ())
    for index, table in enumerate(tables if isinstance(tables, list) else ()):
        if isinstance(table, dict):
            yield f"{prefix}.{key}[{index}]".lstrip("."), table


def _period(
    where: str, group: Mapping[str, Any], raw: Mapping[str, Any]
) -> Iterator[str]:
    limits = raw.get("limits")
    floor = limits.get("minimum_period_seconds") if isinstance(limits, dict) else None
    period = group.get("period_seconds")
    if not isinstance(period, int | float) or not isfinite(period):
        return
    if isinstance(floor, int | float) and period < floor:
        yield f"{where}.period_seconds: {period} is under the minimum of {floor} s"
    period_us = period * 1_000_000
    if abs(period_us - round(period_us)) > 1e-3:  # 1.001 s is 1000999.9999999999 us
        yield f"{where}.period_seconds: {period} is not a whole number of us"


def _blocks(
    where: str,
    group: Mapping[str, Any],
    raw: Mapping[str, Any],
    modbus: _ModbusLimits,
) -> Iterator[str]:
    for protocol in ("ethernet_ip", "modbus"):
        if group.get(protocol) and not raw.get(protocol):
            yield f"{where}.{protocol}: the profile has no [{protocol}]"
    for path, block in _tables(group, "modbus", where):
        if (valid := _valid(RegisterBlock, block)) is None:
            continue
        if valid.count > modbus.max_registers:
            yield f"{path}.count: {valid.count} is over modbus.max_registers"
        if valid.address + valid.count > 0x10000:
            yield f"{path}: ends beyond register 0xFFFF"
        yield from _never_read(path, valid.address, valid.count, modbus)


def _points(where: str, group: Mapping[str, Any]) -> Iterator[str]:
    """Points lie in blocks, none overlap, inferred ones have a level."""
    taken: dict[tuple[str, int, int], str] = {}
    assemblies = [_valid(AssemblyBlock, b) for _, b in _tables(group, "ethernet_ip")]
    registers = [_valid(RegisterBlock, b) for _, b in _tables(group, "modbus")]
    for path, point in _tables(group, "point", where):
        if not point.get("ethernet_ip") and not point.get("modbus"):
            yield f"{path}: has neither ethernet_ip nor modbus"
        for protocol, model in (
            ("ethernet_ip", AssemblyLocation),
            ("modbus", RegisterLocation),
        ):
            raw = point.get(protocol)
            at = _valid(model, raw) if isinstance(raw, dict) else None
            if at is None:
                continue
            here = f"{path}.{protocol}"
            yield from _marking(here, at)
            if isinstance(at, AssemblyLocation):
                block, start = at.instance, at.offset
                inside = any(
                    b and b.instance == block and start + at.size <= b.size
                    for b in assemblies
                )
            else:
                assert isinstance(at, RegisterLocation)
                block, start = 0, 2 * at.address
                inside = any(
                    b
                    and b.address <= at.address
                    and at.address + at.size // 2 <= b.address + b.count
                    for b in registers
                )
            if not inside:
                yield f"{here}: lies in no {protocol} block of its group"
            first = 8 * start
            bits = (at.bit,) if at.type == "bit" else range(8 * at.size)
            cells = [(protocol, block, first + bit) for bit in bits]
            if clash := next((taken[cell] for cell in cells if cell in taken), None):
                yield f"{here}: overlaps {clash}"
            taken.update(dict.fromkeys(cells, here))


def _marking(path: str, at: Location) -> Iterator[str]:
    if (at.status == "inferred") != (at.level is not None):
        yield f"{path}.level: goes with status 'inferred', and only with it"


def _valid(model: type[M], raw: Any) -> M | None:
    try:
        return model.model_validate(raw)
    except ValidationError:
        return None
