"""The frames of one lane, encoded by column; what is rare goes the real way.

The real way is that of acquire: blocks of the simulated meter, the reader of blocks.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from connectors.simulator.faults import Fault
from tests.generated.load import Longs
from tests.generated.plan import LanePlan, among
from tests.generated.shown import shown
from tests.generated.strange import NO_FRAMES, ahead
from tests.generated.trouble import TroubleKind
from tests.generated.work import MeterAtWork, requests
from transforms.codec.batch import FrameColumns
from transforms.codec.frame import frame_schema
from transforms.codec.unbatch import encode_batch
from transforms.model.quality import Quality, Status
from transforms.readings import GroupReader

__all__ = ["Lane", "Records"]

_BY_COLUMN = ("realtime", "energy", "status")
_RADIX_KWH = 1e6
_SPOILING: tuple[TroubleKind, ...] = ("nan", "counter_zero")
_WEEK_US = 604_800_000_000
_NUMPY = {"float": np.float32, "double": np.float64, "boolean": np.bool_}

Row = tuple[bytes, tuple[float | bool, ...]]
Table = tuple[npt.NDArray[np.uint8], dict[str, npt.NDArray[Any]]]


class Records(NamedTuple):
    """Records of one lane with the times of their arrival."""

    values: list[bytes]
    arrival_us: Longs


class Lane:
    """One group of one asset at work."""

    def __init__(self, work: MeterAtWork, plan: LanePlan) -> None:
        self.plan = plan
        self.schema = frame_schema(work.profile, plan.polled.group)
        self.work = work
        self._readers = [
            GroupReader(
                work.profile,
                plan.polled.group,
                plan.polled.protocol,
                work.meter.meaning(swapped=swapped),
            )
            for swapped in (False, True)
        ]
        self._rows: dict[int, Row] = {}

    def records(self, where: slice) -> Records:
        """Everything that these slots bring, copies and strange records too."""
        plan = self.plan
        places = plan.told(where)
        values = encode_batch(self.columns(places))
        arrival = plan.arrival_us(places)
        more: list[tuple[bytes, int]] = []
        for trouble, own in plan.having("duplicate", "future", "no_frame"):
            inside = among(places, own)
            for n in np.flatnonzero(inside).tolist():
                value, at = values[n], int(arrival[n])
                if trouble.kind == "duplicate":
                    more.append((value, at + trouble.delay_us))
                elif trouble.kind == "future":
                    more.append((ahead(self.schema, value, trouble.delay_us), at))
                else:
                    more += [(spoil(value), at) for spoil in NO_FRAMES]
        late = np.array([at for _, at in more], np.int64)
        return Records(
            values + [value for value, _ in more], np.concatenate((arrival, late))
        )

    def columns(self, places: Longs) -> FrameColumns:
        """The frames of these slots, none of which is missing."""
        plan = self.plan
        status = plan.status[places]
        quality, readings = self._answers(places)
        self._spoil(places, quality, readings)
        failed = (status != Status.OK) & (status != Status.PARTIAL)
        quality[failed] = Quality.BAD_NO_VALUE
        for column in self.schema.columns:
            nothing = False if column.type == "boolean" else np.nan
            readings[column.name][failed] = nothing
        slot = plan.slot_us(places)
        sent = slot + plan.offset_us
        return FrameColumns(
            schema=self.schema,
            seq=plan.first_seq + places,
            period_us=np.full(len(places), plan.period_us),
            slot_us=slot,
            sent_us=sent,
            received_us=sent + plan.taken_us(places),
            status=status,
            quality=quality,
            readings=readings,
        )

    # -- answers -----------------------------------------------------------------------

    def _answers(self, places: Longs) -> Table:
        """What the meter answers to all of them, if nothing spoils it."""
        read = self.plan.read_us(places)
        swapped = self.work.swapped(read)
        if self.plan.group not in _BY_COLUMN:
            return self._looked_up(read, swapped)
        quality = np.zeros((len(places), len(self.schema.columns)), np.uint8)
        polled = self.plan.polled
        values = self.work.values(self.plan.group, read)
        readings: dict[str, npt.NDArray[Any]] = {
            name: np.array(column)
            for name, column in shown(
                polled.group, polled.protocol, _RADIX_KWH, values
            ).items()
        }
        for new in (False, True):
            own = swapped == new
            if own.any():
                quality[own] = self._usual(int(read[np.argmax(own)]), new)
        for n, name in enumerate(self.schema.names):
            readings[name][quality[:, n] >= Quality.BAD_NO_VALUE] = np.nan
        return quality, readings

    def _looked_up(self, read: Longs, swapped: npt.NDArray[np.bool_]) -> Table:
        """For groups that stand still for long: each answer once, the real way."""
        still = self._still(read) * 2 + swapped
        keys, first, which = np.unique(still, return_index=True, return_inverse=True)
        rows = [
            self._kept(key, int(read[place]), bool(swapped[place]))
            for key, place in zip(keys.tolist(), first.tolist(), strict=True)
        ]
        codes = np.zeros((len(rows), len(self.schema.columns)), np.uint8)
        for n, (code, _) in enumerate(rows):
            codes[n] = np.frombuffer(code, np.uint8)
        readings: dict[str, npt.NDArray[Any]] = {
            column.name: np.array([v[n] for _, v in rows], _NUMPY[column.type])[which]
            for n, column in enumerate(self.schema.columns)
        }
        return codes[which], readings

    def _still(self, read: Longs) -> Longs:
        """Equal numbers where the meter shows the same."""
        if self.plan.group == "demand":
            return read // self.work.device.load.demand_us
        kinds = {fault.kind for fault in self.work.faults}
        young = self.plan.start_us < self.work.device.load.installed_us + _WEEK_US
        if young or kinds & {"meter_swap", "maximum_reset"}:
            return read
        return self.work.ratios_begun(read)

    def _usual(self, read_us: int, new: bool) -> npt.NDArray[np.uint8]:
        """The quality of every good answer, of the first meter or a new one."""
        code, _ = self._kept(-1 - new, read_us, new)
        return np.frombuffer(code, np.uint8)

    def _kept(self, key: int, read_us: int, swapped: bool) -> Row:
        if key not in self._rows:
            self._rows[key] = self._row(read_us, swapped)
        return self._rows[key]

    def _row(
        self,
        read_us: int,
        swapped: bool,
        faults: tuple[Fault, ...] = (),
        status: int = Status.OK,
    ) -> Row:
        """One answer the real way."""
        work, polled = self.work, self.plan.polled
        blocks: list[bytes | None] = []
        for asked in requests(polled):
            block, stretch = work.block(polled.protocol, asked, read_us)
            for fault in faults:
                block = stretch.spoilt(block, fault)
            blocks.append(work.in_plain_order(polled.protocol, block))
        if status == Status.PARTIAL:
            blocks[1:] = [None] * (len(blocks) - 1)
        quality, values = self._readers[swapped].read(blocks)
        return quality, tuple(values)

    def _spoil(
        self, places: Longs, quality: npt.NDArray[np.uint8],
        readings: dict[str, npt.NDArray[Any]],
    ) -> None:  # fmt: skip
        """Write the answers anew that are not whole or not right."""
        if not len(places):
            return
        faults: dict[int, tuple[Fault, ...]] = {}
        status = self.plan.status[places]
        for n in np.flatnonzero(status == Status.PARTIAL).tolist():
            faults[n] = ()
        answered = (status == Status.OK) | (status == Status.PARTIAL)
        for trouble, where in self.plan.having(*_SPOILING):
            inside = answered & among(places, where)
            for n in np.flatnonzero(inside).tolist():
                faults[n] = (*faults.get(n, ()), trouble.fault())
        read = self.plan.read_us(places[list(faults)])
        swapped = self.work.swapped(read)
        for at, n in enumerate(faults):
            code, values = self._row(
                int(read[at]), bool(swapped[at]), faults[n], int(status[n])
            )
            quality[n] = np.frombuffer(code, np.uint8)
            for name, value in zip(self.schema.names, values, strict=True):
                readings[name][n] = value
