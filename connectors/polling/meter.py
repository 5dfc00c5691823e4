"""One meter's task: every slot of every group becomes exactly one outcome."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

import structlog

from connectors.link import Block, LinkError
from connectors.polling.backoff import Backoff
from connectors.polling.describe import Describer
from connectors.polling.links import Links
from connectors.polling.plan import MeterPlan, PollSettings
from connectors.polling.schedule import Slots
from transforms.assemble import PolledGroup
from transforms.codec.records import Event
from transforms.model.metrics import Metrics
from transforms.model.outcome import UNCHECKED, Outcome
from transforms.model.quality import Status

__all__ = ["MeterPoller"]

Emit = Callable[[Outcome | Event], None]

# How a meter looks from outside while its Modbus keeps EtherNet/IP quiet.
_SILENCE = frozenset({Status.TIMEOUT, Status.REFUSED, Status.UNREACHABLE})
# Time-outs in a row after which a link is given up, and asked for anew.
_PATIENCE = 2
_LONGEST_SLEEP_SECONDS = 1.0


def _now_us() -> int:
    return time.time_ns() // 1000


class MeterPoller:
    """Polls one meter for ever; its troubles stay its own."""

    def __init__(
        self,
        plan: MeterPlan,
        settings: PollSettings,
        emit: Emit,
        metrics: Metrics,
        now_us: Callable[[], int] = _now_us,
    ) -> None:
        self._plan = plan
        self._emit = emit
        self._metrics = metrics
        self._now_us = now_us
        self._links = Links(plan, settings, metrics)
        self._describer = Describer(plan.polled)
        self._backoff = Backoff(
            plan.polled.asset,
            round(settings.backoff_seconds * 1e6),
            round(settings.backoff_maximum_seconds * 1e6),
        )
        self._grace_us = round(settings.suspension_grace_seconds * 1e6)
        self._suspended_until_us = 0
        self._timeouts = 0
        self._meaning = UNCHECKED
        self._last = Status.OK
        self._missed = 0
        self._log = structlog.get_logger().bind(asset=plan.polled.asset)

    async def run(self) -> None:
        """Poll until cancelled."""
        now = self._now_us()
        slots = [
            Slots(group.period_us, self._plan.stagger_us, now)
            for group in self._plan.polled.groups
        ]
        try:
            while True:
                wait = (min(s.due_us for s in slots) - self._now_us()) / 1e6
                if wait > 0:
                    await asyncio.sleep(min(wait, _LONGEST_SLEEP_SECONDS))
                    continue
                await self._round(slots)
        finally:
            self._links.close()

    async def _round(self, slots: list[Slots]) -> None:
        """Poll every group that is due, one after the other."""
        for index, (group, own) in enumerate(
            zip(self._plan.polled.groups, slots, strict=True)
        ):
            taken = own.take(self._now_us())
            if taken is None:
                continue
            overrun, seq = taken
            for passed in overrun:
                self._nothing(index, group, passed, Status.OVERRUN)
            await self._slot(index, group, seq)
        await self._describe()

    async def _slot(self, index: int, group: PolledGroup, seq: int) -> None:
        now = self._now_us()
        if self._backoff.waits(now):
            self._nothing(index, group, seq, Status.BACKING_OFF)
            return
        blocks: list[bytes | None] = [None] * group.group.requests(group.protocol)
        status = Status.OK
        try:
            await self._open(group)
            await self._read(group, blocks)
        except LinkError as error:
            status = self._trouble(error, group, blocks)
        received = self._now_us()
        self._told(status)
        self._emit(
            Outcome(
                self._plan.index,
                index,
                seq,
                seq * group.period_us,
                now,
                received,
                status,
                blocks,
                self._meaning,
            )
        )
        if group.protocol == "modbus" and self._shares_the_device():
            # pm500 suspends EtherNet/IP while a Modbus session is open: keep it short.
            await self._describe()
            self._links.close()
            self._suspended_until_us = self._now_us() + self._grace_us

    async def _open(self, group: PolledGroup) -> None:
        identity = await self._links.open(group.protocol)
        if identity is not None:
            self._meaning = self._plan.meaning(identity.serial)
            if not self._shares_the_device():
                self._describer.forget()

    async def _read(self, group: PolledGroup, blocks: list[bytes | None]) -> None:
        link = self._links.link(group.protocol)
        wanted: Iterable[Block] = (
            group.group.ethernet_ip
            if group.protocol == "ethernet_ip"
            else group.group.modbus
        )
        trouble: LinkError | None = None
        for place, block in enumerate(wanted):
            try:
                blocks[place] = await link.read(block)
                self._timeouts = 0
            except LinkError as error:
                if error.lost or error.status is Status.TIMEOUT:
                    raise
                trouble = trouble or error
        if trouble is not None:
            raise trouble
        self._backoff.succeeded()

    def _trouble(
        self, error: LinkError, group: PolledGroup, blocks: list[bytes | None]
    ) -> Status:
        """What a failed slot is called, and what it does to the link."""
        now = self._now_us()
        status = error.status
        if status is Status.TIMEOUT:
            self._timeouts += 1
        suspended = group.protocol == "ethernet_ip" and now < self._suspended_until_us
        gave_up = self._timeouts >= _PATIENCE
        if error.lost or gave_up or self._links.open_protocol is None:
            self._links.close()
            self._timeouts = 0
            if not suspended:
                self._backoff.failed(now)
        if status is Status.FOREIGN_DEVICE and self._last is not status:
            self._event("foreign_device", "error", error.detail)
        if self._last is Status.OK:
            self._log.warning("meter_lost", status=status.label, detail=error.detail)
        if any(block is not None for block in blocks):
            return Status.PARTIAL
        if suspended and status in _SILENCE:
            return Status.SUSPENDED
        return status

    def _told(self, status: Status) -> None:
        """Log changes, not repetitions."""
        if status is Status.OK:
            if self._last is not Status.OK:
                self._log.info("meter_back", polls_missed=self._missed)
            self._missed = 0
        else:
            self._missed += 1
        self._last = status

    def _shares_the_device(self) -> bool:
        """Whether this meter's Modbus and EtherNet/IP exclude each other."""
        modbus = self._plan.polled.profile.modbus
        by_both = len({group.protocol for group in self._plan.polled.groups}) > 1
        return by_both and modbus is not None and modbus.suspends_ethernet_ip

    def _nothing(
        self, index: int, group: PolledGroup, seq: int, status: Status
    ) -> None:
        """The outcome of a slot in which nothing was sent."""
        now = self._now_us()
        if status is Status.BACKING_OFF:
            self._missed += 1
        self._emit(
            Outcome(
                self._plan.index,
                index,
                seq,
                seq * group.period_us,
                now,
                now,
                status,
                (),
                self._meaning,
            )
        )

    async def _describe(self) -> None:
        """Read what the meter says of itself, hourly and after each reconnect."""
        protocol = self._links.open_protocol
        if protocol is None or self._backoff.waits(self._now_us()):
            return
        try:
            event = await self._describer.read(
                self._links.link(protocol), protocol, self._now_us()
            )
        except LinkError as error:
            self._log.info("description_not_read", detail=str(error))
            if error.lost:
                self._links.close()
            return
        if event is not None:
            self._emit(event)

    def _event(self, kind: str, severity: str, text: str) -> None:
        self._emit(
            Event(
                asset=self._plan.polled.asset,
                kind=kind,
                time=self._now_us(),
                severity=severity,
                text=text,
            )
        )
