"""One meter's task: every slot of every group becomes exactly one outcome."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence

import structlog

from connectors.link import Block, LinkError
from connectors.polling.describe import Describer
from connectors.polling.links import Links
from connectors.polling.plan import MeterPlan, PollSettings
from connectors.polling.schedule import Slots
from connectors.polling.way import Way
from connectors.polling.window import ModbusWindow
from transforms.assemble import PolledGroup
from transforms.codec.records import Event
from transforms.model.metrics import Metrics
from transforms.model.outcome import UNCHECKED, Outcome
from transforms.model.quality import Status

__all__ = ["MeterPoller"]

Emit = Callable[[Outcome | Event], None]

_WELL = frozenset({Status.OK, Status.SUSPENDED})
_NOT_OPENED = frozenset({Status.REFUSED, Status.UNREACHABLE})
# How a meter looks from outside while its Modbus keeps EtherNet/IP quiet.
_SILENCE = frozenset({Status.TIMEOUT, Status.REFUSED, Status.UNREACHABLE})
# Time-outs in a row after which a link is given up, and asked for anew.
_PATIENCE = 2
_LONGEST_SLEEP_SECONDS = 1.0


def _now_us() -> int:
    return time.time_ns() // 1000


class MeterPoller:
    """Polls one meter for ever; its troubles stay its own.

    No slot at or before ``not_before_us`` is polled: its number has been given already,
    by a process whose clock was ahead of ours.
    """

    def __init__(
        self,
        plan: MeterPlan,
        settings: PollSettings,
        emit: Emit,
        metrics: Metrics,
        *,
        not_before_us: int = 0,
        now_us: Callable[[], int] = _now_us,
    ) -> None:
        self._plan = plan
        self._emit = emit
        self._metrics = metrics
        self._not_before_us = not_before_us
        self._now_us = now_us
        self._links = Links(plan, settings, metrics)
        self._describer = Describer(plan.polled)
        self._ways = {
            group.protocol: Way(plan.polled.asset, group.protocol, settings)
            for group in plan.polled.groups
        }
        self._window = ModbusWindow(round(settings.suspension_grace_seconds * 1e6))
        self._meaning = UNCHECKED
        self._slots: list[Slots] = []
        self._log = structlog.get_logger().bind(asset=plan.polled.asset)

    async def run(self) -> None:
        """Poll until cancelled."""
        now = max(self._now_us(), self._not_before_us)
        self._slots = [
            Slots(group.period_us, self._plan.stagger_us, now)
            for group in self._plan.polled.groups
        ]
        try:
            while True:
                wait = (min(s.due_us for s in self._slots) - self._now_us()) / 1e6
                if wait > 0:
                    await asyncio.sleep(min(wait, _LONGEST_SLEEP_SECONDS))
                    continue
                await self._round()
        finally:
            self._links.close()

    async def _round(self) -> None:
        """Poll every group that is due, one after the other."""
        for index, (group, own) in enumerate(
            zip(self._plan.polled.groups, self._slots, strict=True)
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
        way = self._ways[group.protocol]
        if way.backoff.waits(now):
            way.missed += 1
            self._nothing(index, group, seq, Status.BACKING_OFF)
            return
        blocks: list[bytes | None] = [None] * group.group.requests(group.protocol)
        status = Status.OK
        try:
            await self._open(group)
            await self._read(group, blocks)
        except LinkError as error:
            status = self._trouble(error, group, blocks)
        except Exception:  # noqa: BLE001
            # Whatever one meter does must not end the polling of the others.
            self._log.exception("poll_broke")
            self._links.close()
            way.backoff.failed(self._now_us())
            status = Status.MALFORMED
        self._told(way, status)
        received_us = self._now_us()
        if any(block is not None for block in blocks):
            # A reading is known by its meter: what that says of itself comes first.
            await self._describe(self._not_told_us(group, seq))
        self._tell(index, group, seq, now, received_us, status, blocks)
        if group.protocol == "modbus" and self._shares_the_device():
            # pm500 suspends EtherNet/IP while a Modbus session is open: keep it short.
            await self._describe()
            self._links.close()
            self._window.closed(self._now_us())

    async def _open(self, group: PolledGroup) -> None:
        by_modbus = group.protocol == "modbus"
        try:
            identity = await self._links.open(group.protocol)
        except LinkError as error:
            if by_modbus and error.status not in _NOT_OPENED:
                self._window.opened()
            raise
        if by_modbus:
            self._window.opened()
        way = self._ways[group.protocol]
        if identity is not None:
            self._meaning = self._plan.meaning(identity.serial)
            if identity != way.identity or not self._shares_the_device():
                self._describer.forget(group.protocol)
            way.identity = identity

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
                self._ways[group.protocol].timeouts = 0
            except LinkError as error:
                if error.lost or error.status is Status.TIMEOUT:
                    raise
                trouble = trouble or error
        self._ways[group.protocol].backoff.succeeded()
        if group.protocol == "ethernet_ip":
            self._window.ethernet_ip_answered()
        if trouble is not None:
            raise trouble

    def _trouble(
        self, error: LinkError, group: PolledGroup, blocks: list[bytes | None]
    ) -> Status:
        """What a failed slot is called, and what it does to the link."""
        now = self._now_us()
        status = error.status
        way = self._ways[group.protocol]
        if status is Status.TIMEOUT:
            way.timeouts += 1
        by_ethernet_ip = group.protocol == "ethernet_ip"
        suspended = by_ethernet_ip and self._window.silences(now)
        gave_up = way.timeouts >= _PATIENCE
        if error.lost or gave_up or self._links.open_protocol is None:
            self._links.close()
            way.timeouts = 0
            if not suspended:
                way.backoff.failed(now)
        if status is Status.FOREIGN_DEVICE and way.last is not status:
            self._event("foreign_device", "error", error.detail)
        if suspended and status in _SILENCE:
            status = Status.SUSPENDED
        elif way.last in _WELL:
            self._log.warning("meter_lost", status=status.label, detail=error.detail)
        if any(block is not None for block in blocks):
            return Status.PARTIAL
        return status

    def _told(self, way: Way, status: Status) -> None:
        """Log changes, not repetitions."""
        if status in _WELL:
            if way.last not in _WELL:
                self._log.info("meter_back", polls_missed=way.missed)
            way.missed = 0
        else:
            way.missed += 1
        way.last = status

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
        self._tell(index, group, seq, now, now, status, ())

    def _tell(
        self,
        index: int,
        group: PolledGroup,
        seq: int,
        sent_us: int,
        received_us: int,
        status: Status,
        blocks: Sequence[bytes | None],
    ) -> None:
        self._emit(
            Outcome(
                self._plan.index,
                index,
                seq,
                seq * group.period_us,
                sent_us,
                received_us,
                status,
                blocks,
                self._meaning,
            )
        )

    def _not_told_us(self, group: PolledGroup, seq: int) -> int:
        """The oldest slot that has no outcome yet, of any group."""
        return min(seq * group.period_us, *(s.next_us for s in self._slots))

    async def _describe(self, at_us: int | None = None) -> None:
        """Read what the meter says of itself, hourly and after each reconnect."""
        protocol = self._links.open_protocol
        if protocol is None:
            return
        try:
            event = await self._describer.read(
                self._links.link(protocol), protocol, self._now_us(), at_us
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
