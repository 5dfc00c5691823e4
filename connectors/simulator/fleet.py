"""Which meters there are: built from a number or read from a TOML, checked at once."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from connectors.profiles import load_profile, profile_names
from connectors.simulator.faults import ALWAYS_US, Fault
from transforms.model.profile import Profile
from transforms.model.profile_check import path_of
from transforms.model.quantity import QUANTITIES

__all__ = [
    "Fleet",
    "FleetError",
    "SimulatedMeter",
    "check_fleet",
    "fleet_of",
    "read_fleet",
]

LOOPBACK = IPv4Network("127.0.0.0/8")
SYSTEMS = ("1P", "2P", "3P", "3P.2", "3P.1", "3P.n")
_Table = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedMeter:
    """One meter: its place on the loopback net, its model and its load.

    ``profile`` is a shipped profile's name or a profile. ``seed`` decides load and
    first counter readings. ``modbus_suspends_ethernet_ip``: None takes it from the
    profile; EtherNet/IP comes back ``modbus_recovery_seconds`` after the last Modbus
    connection closed (the true time is unknown).
    """

    name: str
    address: str
    profile: str | Profile = "pm500"
    seed: int = 0
    nominal_volts: Annotated[float, Field(gt=0)] = 230.0
    rated_amps: Annotated[float, Field(gt=0)] = 100.0
    nominal_hertz: Annotated[float, Field(gt=0)] = 50.0
    electrical_system: Literal["1P", "2P", "3P", "3P.2", "3P.1", "3P.n"] = "3P.n"
    feeds_back: bool = False
    product_code: Annotated[int, Field(ge=0, le=0xFFFF)] = 7
    serial: Annotated[int, Field(ge=0, le=0xFFFF_FFFF)] = 940_000_000
    energy_high_multiplier: Annotated[float, Field(gt=0)] | None = None
    ct_ratio: Annotated[float, Field(ge=1, le=9999)] = 1.0
    vt_ratio: Annotated[float, Field(ge=1, le=9999)] = 1.0
    demand_minutes: Literal[1, 5, 10, 15, 20, 30, 60] = 15
    single_modbus_socket: bool = True
    modbus_suspends_ethernet_ip: bool | None = None
    modbus_recovery_seconds: Annotated[float, Field(ge=0)] = 0.5

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    @property
    def model(self) -> Profile:
        """The profile itself; ProfileError where it is none of the shipped ones."""
        if isinstance(self.profile, Profile):
            return self.profile
        return load_profile(self.profile)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Meters and faults; the faults' times count from the simulator's start."""

    meters: tuple[SimulatedMeter, ...]
    faults: tuple[Fault, ...] = ()


class FleetError(ValueError):
    """A fleet that cannot be simulated; ``mistakes`` lists every one with its path."""

    def __init__(self, name: str, mistakes: Sequence[str]) -> None:
        self.mistakes = tuple(mistakes)
        lines = "\n".join(f"  {mistake}" for mistake in mistakes)
        super().__init__(f"{name}: {len(mistakes)} mistake(s)\n{lines}")


def fleet_of(
    count: int, *, profile: str | Profile = "pm500", seed: int = 0
) -> tuple[SimulatedMeter, ...]:
    """``count`` meters ``meter0001`` ... at 127.1.0.1, 127.1.0.2 ... 127.1.0.250, 127.1.1.1.

    They differ in seed, serial and rated current.
    """
    return tuple(
        SimulatedMeter(
            name=f"meter{index + 1:04d}",
            address=f"127.1.{index // 250}.{index % 250 + 1}",
            profile=profile,
            seed=seed * 1_000_003 + index,
            rated_amps=(63.0, 100.0, 250.0, 400.0)[index % 4],
            serial=940_000_000 + index,
        )
        for index in range(count)
    )


def read_fleet(path: Path) -> Fleet:
    """A fleet from ``[[meter]]`` and ``[[fault]]`` tables; FleetError lists all mistakes.

    The keys are the fields of ``SimulatedMeter`` and ``Fault``, but a fault's window is
    ``start_seconds`` and ``end_seconds`` after the simulator's start.
    """
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise FleetError(str(path), [str(error)]) from error
    mistakes = [f"{key}: unknown" for key in raw if key not in ("meter", "fault")]
    meters = _tables("meter", raw, mistakes)
    faults = [
        _windowed(f"fault[{index}]", table, mistakes)
        for index, table in enumerate(_tables("fault", raw, mistakes))
    ]
    mistakes += _all_mistakes(meters, faults)
    if mistakes:
        raise FleetError(str(path), mistakes)
    return Fleet(
        meters=tuple(_METER.validate_python(table) for table in meters),
        faults=tuple(_FAULT.validate_python(table) for table in faults),
    )


def check_fleet(meters: Sequence[SimulatedMeter], faults: Sequence[Fault]) -> list[str]:
    """Every mistake of meters and faults that were built in code."""
    return _all_mistakes(
        [_table_of(meter) for meter in meters], [_table_of(fault) for fault in faults]
    )


def _all_mistakes(meters: Sequence[_Table], faults: Sequence[_Table]) -> list[str]:
    return [
        *_field_mistakes(_METER, "meter", meters),
        *_field_mistakes(_FAULT, "fault", faults),
        *_meter_mistakes(meters),
        *_fault_mistakes({meter.get("name") for meter in meters}, faults),
    ]


def _field_mistakes(
    adapter: TypeAdapter[Any], name: str, tables: Sequence[_Table]
) -> Iterator[str]:
    for index, table in enumerate(tables):
        try:
            adapter.validate_python(table)
        except ValidationError as error:
            for e in error.errors():
                yield f"{path_of((name, index, *e['loc']))}: {e['msg']}"


def _meter_mistakes(meters: Sequence[_Table]) -> Iterator[str]:
    """Mistakes that one field's type cannot show."""
    if not meters:
        yield "meter: there must be one at least"
    seen: dict[str, str] = {}
    for index, meter in enumerate(meters):
        where = f"meter[{index}]"
        for key in ("name", "address"):
            text = str(meter.get(key))
            if text in seen:
                yield f"{where}.{key}: {text!r} stands already at {seen[text]}"
            seen.setdefault(text, where)
        address = meter.get("address")
        if isinstance(address, str) and not _is_loopback(address):
            yield f"{where}.address: {address!r} is no address of {LOOPBACK}"
        profile = meter.get("profile", "pm500")
        if isinstance(profile, str) and profile not in profile_names():
            known = ", ".join(profile_names())
            yield f"{where}.profile: {profile!r} is not shipped; there are: {known}"


def _is_loopback(address: str) -> bool:
    try:
        place = IPv4Address(address)
    except ValueError:
        return False
    return place in LOOPBACK and place != LOOPBACK.broadcast_address


def _fault_mistakes(names: set[Any], faults: Sequence[_Table]) -> Iterator[str]:
    for index, fault in enumerate(faults):
        where = f"fault[{index}]"
        meter, quantity = fault.get("meter"), fault.get("quantity")
        if meter is not None and meter not in names:
            yield f"{where}.meter: there is no meter {meter!r}"
        if quantity is not None and quantity not in QUANTITIES:
            yield f"{where}.quantity: {quantity!r} is not in the table"
        start, end = fault.get("start_us", 0), fault.get("end_us", ALWAYS_US)
        if isinstance(start, int) and isinstance(end, int) and end <= start:
            yield f"{where}: ends before it starts"


def _tables(name: str, raw: _Table, mistakes: list[str]) -> list[_Table]:
    tables = raw.get(name, [])
    if isinstance(tables, list) and all(isinstance(t, dict) for t in tables):
        return tables
    mistakes.append(f"{name}: must be [[{name}]] tables")
    return []


def _table_of(value: SimulatedMeter | Fault) -> _Table:
    return {field.name: getattr(value, field.name) for field in fields(value)}


def _windowed(where: str, table: _Table, mistakes: list[str]) -> _Table:
    """A fault's table with its window in microseconds."""
    out = {k: v for k, v in table.items() if k not in ("start_seconds", "end_seconds")}
    for key, default in (("start", 0), ("end", ALWAYS_US)):
        if out.pop(f"{key}_us", None) is not None:
            mistakes.append(f"{where}.{key}_us: unknown; give {key}_seconds")
        seconds = table.get(f"{key}_seconds")
        if seconds is None:
            out[f"{key}_us"] = default
        elif isinstance(seconds, int | float) and 0 <= seconds < 1e12:
            out[f"{key}_us"] = round(seconds * 1_000_000)
        else:
            mistakes.append(f"{where}.{key}_seconds: {seconds!r} is no time")
    return out


_METER = TypeAdapter(SimulatedMeter)
_FAULT = TypeAdapter(Fault)
