"""A generated meter with what happens to it: values by column, blocks, energy."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from functools import cached_property

import numpy as np
import numpy.typing as npt

from connectors.link import Block
from connectors.simulator.counters import Counter, counter_of
from connectors.simulator.device import CYCLE_US
from connectors.simulator.memory import Stretch
from tests.generated.load import Doubles, LoadTwin, Longs
from tests.generated.meter import GeneratedMeter
from tests.generated.trouble import Trouble, state_faults
from transforms.assemble import PolledGroup
from transforms.model import wire
from transforms.model.profile import AssemblyBlock, Profile, Protocol

__all__ = ["MeterAtWork", "requests"]

_THROUGH_TRANSFORMERS = ("current", "realPower", "apparentPower", "reactivePower")


class MeterAtWork:
    """One meter under its state troubles; instants are microseconds since the epoch."""

    def __init__(self, meter: GeneratedMeter, troubles: Iterable[Trouble]) -> None:
        self.meter = meter
        self.faults = state_faults(meter.asset, troubles)
        self.device = meter.device()
        self.device.set_faults(self.faults)
        self._twin = LoadTwin(self.device.load)
        ratios = [f for f in self.faults if f.kind == "ct_ratio_change"]
        self._ratio_starts = [fault.start_us for fault in ratios]
        self._factors = np.cumprod([1.0, *(fault.factor for fault in ratios)])
        self._swaps = [f.start_us for f in self.faults if f.kind == "meter_swap"]

    @property
    def profile(self) -> Profile:
        """Its model."""
        return self.device.profile

    def swapped(self, read_us: Longs) -> npt.NDArray[np.bool_]:
        """Where another meter than the first answers."""
        return read_us >= min(self._swaps, default=2**62)

    # -- values ------------------------------------------------------------------------

    def values(
        self, part: str, read_us: Longs
    ) -> Mapping[str, npt.NDArray[np.generic]]:
        """``realtime``, ``energy`` or ``status`` as it has them at these instants."""
        at = read_us - read_us % CYCLE_US
        match part:
            case "realtime":
                return self._through_transformers(self._twin.realtime(at), at)
            case "energy":
                return self._counted(at)
            case "status":
                return self._twin.status(at)
            case _:
                raise ValueError(part)

    def _through_transformers(
        self, values: dict[str, Doubles], at: Longs
    ) -> dict[str, Doubles]:
        if not self._ratio_starts:
            return values
        factor = self._factors[self.ratios_begun(at)]
        return {
            name: value * factor if name.startswith(_THROUGH_TRANSFORMERS) else value
            for name, value in values.items()
        }

    def ratios_begun(self, at: Longs) -> Longs:
        """How often the transformer ratio had changed."""
        return np.searchsorted(self._ratio_starts, at, side="right").astype(np.int64)

    def _counted(self, at: Longs) -> dict[str, Doubles]:
        values = self._twin.energy(at)
        for name, counter in self._changed.items():
            pairs = zip(at.tolist(), values[name].tolist(), strict=True)
            values[name] = np.array([counter.value(*pair) for pair in pairs])
        return values

    @cached_property
    def _changed(self) -> dict[str, Counter]:
        """The counters that troubles change."""
        energy = {f.start_us: self.device.load.energy(f.start_us) for f in self.faults}
        made = {
            name: counter_of(name, lambda at, n=name: energy[at][n], self.faults)  # type: ignore[misc]
            for name in self.device.load.energy(0)
        }
        return {name: counter for name, counter in made.items() if counter is not None}

    def flowed_kwh(self, quantity: str, start_us: int, end_us: int) -> float:
        """What a counter without end would have counted between two instants.

        Kilowatt hours (or kvarh, h) through its transformers at their ratio, whatever
        else happened to the meter.
        """
        start, end = (us - us % CYCLE_US for us in (start_us, end_us))
        inner = [us for us in self._ratio_starts if start < us < end]
        if quantity == "operatingHours":
            inner = []
        edges = [start, *inner, end]
        energy = [self.device.load.energy(us)[quantity] for us in edges]
        flowed = 0.0
        for place in range(len(edges) - 1):
            begun = bisect_right(self._ratio_starts, edges[place])
            factor = 1.0 if quantity == "operatingHours" else self._factors[begun]
            flowed += float(factor) * (energy[place + 1] - energy[place])
        return flowed

    # -- bytes -------------------------------------------------------------------------

    def block(
        self, protocol: Protocol, block: Block, read_us: int
    ) -> tuple[bytes, Stretch]:
        """A block as it goes over the wire, and who reads it."""
        if isinstance(block, AssemblyBlock):
            stretch = self.device.memory.assemblies[block.instance]
            return self.device.assembly(block.instance, read_us), stretch
        found = self.device.registers(block.address, block.count, read_us)
        assert found is not None, f"{protocol}: no such registers"
        return found

    def in_plain_order(self, protocol: Protocol, block: bytes) -> bytes:
        """The bytes of a block as a link hands them on."""
        modbus = self.profile.modbus
        if protocol == "ethernet_ip" or modbus is None:
            return block
        return wire.plain(block, modbus.word_order)[0]


def requests(polled: PolledGroup) -> tuple[Block, ...]:
    """The blocks of a group, in the order of its requests."""
    if polled.protocol == "ethernet_ip":
        return polled.group.ethernet_ip
    return polled.group.modbus
