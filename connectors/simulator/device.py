"""One simulated meter at work: its load, memory and faults at an instant."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from connectors.simulator.cip import Identity
from connectors.simulator.counters import Counter, counter_of
from connectors.simulator.faults import ALWAYS_US, STATE_KINDS, Fault
from connectors.simulator.fleet import SYSTEMS, SimulatedMeter
from connectors.simulator.load import PARTS, LoadModel
from connectors.simulator.memory import DESCRIPTION, Stretch, memory_of
from connectors.simulator.record import Value

__all__ = ["CYCLE_US", "Device"]

CYCLE_US = (
    100_000  # readings are renewed every 100 ms, as the display (1420-UM001D p. 66)
)
_DEMAND_MINUTES = (1, 5, 10, 15, 20, 30, 60)  # 1420-UM001E p. 57
_PASSWORD = 4711
_MODULES = 1 << 3 | 1 << 8  # Ethernet Modbus, EtherNet/IP: 1420-UM001D p. 61


class Device:
    """A meter's answers as functions of time; the servers put them on the wire."""

    def __init__(self, meter: SimulatedMeter) -> None:
        self.meter = meter
        self.profile = meter.model
        self.memory = memory_of(
            self.profile,
            meter.energy_high_multiplier or self.profile.energy_high_multiplier,
        )
        self.load = LoadModel(
            meter.seed,
            nominal_volts=meter.nominal_volts,
            rated_amps=meter.rated_amps,
            nominal_hertz=meter.nominal_hertz,
            electrical_system=meter.electrical_system,
            feeds_back=meter.feeds_back,
            demand_minutes=meter.demand_minutes,
        )
        wanted = meter.modbus_suspends_ethernet_ip
        if wanted is None:
            modbus = self.profile.modbus
            wanted = modbus is not None and modbus.suspends_ethernet_ip
        self._suspends = wanted
        self._recovery_us = round(meter.modbus_recovery_seconds * 1_000_000)
        self._modbus_open = 0
        self._modbus_closed_us: int | None = None
        self._realtime: tuple[int, dict[str, float]] = (-1, {})
        self._demand: tuple[int, dict[str, float]] = (-1, {})
        self.set_faults(())

    def set_faults(self, faults: Iterable[Fault]) -> None:
        """Take these faults, all its own, instead of the former ones."""
        mine = list(faults)
        self._state = tuple(
            sorted((f for f in mine if f.kind in STATE_KINDS), key=lambda f: f.start_us)
        )
        self.faults = tuple(f for f in mine if f.kind not in STATE_KINDS)
        self._counters: dict[str, Counter] | None = None
        self._realtime = -1, {}
        # What is active now and how long that holds: found anew at the next change.
        self._now: tuple[int, int, tuple[Fault, ...]] = (0, 0, ())

    def _changed_counters(self) -> dict[str, Counter]:
        """The counters that state faults touch, worked out when first asked for."""
        if self._counters is None:
            energies = {f.start_us: self.load.energy(f.start_us) for f in self._state}
            made = {
                name: counter_of(name, _picked(energies, name), self._state)
                for name in self.load.energy(0)
            }
            self._counters = {n: c for n, c in made.items() if c is not None}
        return self._counters

    # -- what it says ----------------------------------------------------------------

    def assembly(self, instance: int, time_us: int) -> bytes:
        """Attribute 3 of an Assembly instance; KeyError where there is none."""
        stretch = self.memory.assemblies[instance]
        return stretch.pack(self._values(stretch, time_us))

    def registers(
        self, address: int, count: int, time_us: int
    ) -> tuple[bytes, Stretch] | None:
        """Registers as they go on the wire, and who reads them; None: no such address."""
        run = self.memory.registers(address, count)
        if run is None:
            return None
        whole, seen, skip = run
        block = whole.pack(self._values(whole, time_us))
        return block[skip : skip + 2 * count], seen

    def identity(self, time_us: int, faults: Iterable[Fault] = ()) -> Identity | None:
        """Who answers over EtherNet/IP; None where it does not speak it."""
        told = self.profile.ethernet_ip
        if told is None:
            return None
        serial = self._serial(time_us)
        if any(fault.kind == "foreign_identity" for fault in faults):
            return Identity(283, 43, 99, 1, 1, 0x0030, serial, "Some other product")
        return Identity(
            told.vendor,
            told.device_type,
            self.meter.product_code,
            3,
            1,
            0x0030,
            serial,
            told.product_name,
        )

    def is_identity(self, register: int) -> bool:
        """Whether a reader recognizes the meter by this register."""
        modbus = self.profile.modbus
        return modbus is not None and any(
            e.address <= register < e.address + e.count for e in modbus.identity
        )

    def values(self, time_us: int) -> dict[str, Value]:
        """Every quantity as the meter has it, before resolution and spoiling faults."""
        at = time_us - time_us % CYCLE_US
        out: dict[str, Value] = {}
        for part in PARTS:
            out |= self._part(part, at)
        return out

    def _values(self, stretch: Stretch, time_us: int) -> Mapping[str, Value]:
        at = time_us - time_us % CYCLE_US
        if len(stretch.parts) == 1:
            (part,) = stretch.parts
            return self._part(part, at)
        out: dict[str, Value] = {}
        for part in stretch.parts:
            out |= self._part(part, at)
        return out

    def _part(self, part: str, at: int) -> Mapping[str, Value]:
        match part:
            case "realtime":
                return self._reading(at)
            case "energy":
                return self._energy(at)
            case "demand":
                return self._mean(at)
            case "maximum":
                factor = self._factor(at, highest_since=self._maximum_since(at))
                bounds = self.load.maximum(at, self._maximum_since(at))
                return _through_transformers(bounds, factor)
            case _ if part == DESCRIPTION:
                return self._description(at)
            case _:
                return self.load.status(at)

    def _reading(self, at: int) -> dict[str, float]:
        if self._realtime[0] != at:
            values = self.load.realtime(at)
            if self._state:
                values = _through_transformers(values, self._factor(at))
            self._realtime = at, values
        return self._realtime[1]

    def _mean(self, at: int) -> dict[str, float]:
        end = at - at % self.load.demand_us
        if self._demand[0] != end:
            self._demand = end, self.load.demand(at)
        # The ratio is that of the interval's end.
        return _through_transformers(self._demand[1], self._factor(end))

    def _energy(self, at: int) -> dict[str, float]:
        values = self.load.energy(at)
        for name, counter in self._changed_counters().items():
            values[name] = counter.value(at, values[name])
        return values

    def _description(self, at: int) -> dict[str, Value]:
        meter = self.meter
        # 1420-UM001E p. 49: high byte ASCII model, A = V2 and B = V1; low byte revision.
        model = ord("B") if meter.product_code in (4, 5, 6) else ord("A")
        return {
            "firmwareBase": model << 8 | 3,
            "firmwareEthernet": model << 8 | 2,
            "firmwareAnalog": model << 8 | 1,
            "serialText": f"PM5{self._serial(at):010d}",
            "password": _PASSWORD,
            "modules": _MODULES,
            "electricalSystem": SYSTEMS.index(meter.electrical_system),
            "demandMode": 0,
            "demandInterval": _DEMAND_MINUTES.index(meter.demand_minutes),
            "demandSynchronization": 1,
            "ctRatio": meter.ct_ratio * self._factor(at),
            "vtRatio": meter.vt_ratio,
        }

    # -- what the state faults made of it ----------------------------------------------

    def _begun(self, kind: str, at: int) -> list[Fault]:
        return [f for f in self._state if f.kind == kind and f.start_us <= at]

    def _serial(self, at: int) -> int:
        swaps = self._begun("meter_swap", at)
        if not swaps:
            return self.meter.serial
        # A meter put in later, of the same years of make: 940000000...950000000.
        return swaps[-1].serial or self.meter.serial + 500_000 * len(swaps)

    def _factor(self, at: int, *, highest_since: int | None = None) -> float:
        """The CT factor at an instant, or the highest since another one."""
        factor = highest = 1.0
        for fault in self._begun("ct_ratio_change", at):
            if highest_since is not None and fault.start_us <= highest_since:
                highest = factor * fault.factor
            factor *= fault.factor
            highest = max(highest, factor)
        return factor if highest_since is None else highest

    def _maximum_since(self, at: int) -> int:
        resets = [
            f.start_us
            for f in self._state
            if f.kind in ("maximum_reset", "meter_swap") and f.start_us <= at
        ]
        return resets[-1] if resets else self.load.installed_us

    # -- who may speak ------------------------------------------------------------------

    def active(self, time_us: int) -> tuple[Fault, ...]:
        """The faults of this instant, state faults left out."""
        if not self.faults:
            return ()
        since, until, found = self._now
        if not since <= time_us < until:
            found = tuple(fault for fault in self.faults if fault.active(time_us))
            edges = [edge for f in self.faults for edge in (f.start_us, f.end_us)]
            until = min((e for e in edges if e > time_us), default=ALWAYS_US)
            self._now = time_us, until, found
        return found

    def ethernet_ip_is_silent(self, time_us: int) -> bool:
        """Whether a Modbus client, ours or a foreign one, suspends EtherNet/IP."""
        if self._suspends:
            if self._modbus_open:
                return True
            closed = self._modbus_closed_us
            if closed is not None and closed <= time_us < closed + self._recovery_us:
                return True
        return any(f.kind == "suspend" for f in self.active(time_us))

    @property
    def modbus_is_taken(self) -> bool:
        """Whether the only Modbus socket is in use."""
        return self.meter.single_modbus_socket and self._modbus_open > 0

    def modbus_opened(self) -> None:
        """A Modbus connection is open."""
        self._modbus_open += 1

    def modbus_closed(self, time_us: int) -> None:
        """A Modbus connection has gone."""
        self._modbus_open -= 1
        self._modbus_closed_us = time_us


_BASES = ("current", "realPower", "apparentPower", "reactivePower")
_SCALED = _BASES + tuple(
    prefix + name[0].upper() + name[1:]
    for prefix in ("demand", "maximum")
    for name in _BASES
)


def _picked(
    energies: Mapping[int, Mapping[str, float]], name: str
) -> Callable[[int], float]:
    return lambda at: energies[at][name]


def _through_transformers(values: dict[str, float], factor: float) -> dict[str, float]:
    if factor == 1:
        return values
    return {
        name: value * factor if name.startswith(_SCALED) else value
        for name, value in values.items()
    }
