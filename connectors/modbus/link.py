"""One Modbus TCP connection to one meter over an asyncio stream."""

from __future__ import annotations

import re

from connectors.link import Block, Identity, LinkError
from connectors.modbus.message import length_of, read_request, registers_of
from connectors.streams import Channel, open_stream
from transforms.model import wire
from transforms.model.metrics import NO_METRICS, Metrics
from transforms.model.profile import Expectation, Modbus, RegisterBlock
from transforms.model.quality import Status

__all__ = ["ModbusLink"]


class ModbusLink:
    """Register reads; an answer to an older transaction is late and passed over."""

    def __init__(
        self,
        host: str,
        port: int,
        unit: int,
        device: Modbus,
        *,
        timeout_seconds: float,
        metrics: Metrics = NO_METRICS,
    ) -> None:
        self._host = host
        self._port = port
        self._unit = unit
        self._device = device
        self._timeout = timeout_seconds
        self._metrics = metrics
        self._transaction = 0
        self._channel: Channel | None = None

    async def connect(self) -> Identity:
        """Open the link and hold the meter to the profile's expectations."""
        self.close()
        try:
            streams = await open_stream(self._host, self._port, self._timeout)
            self._channel = Channel(streams, length_of, self._timeout)
            texts = [await self._expect(e) for e in self._device.identity]
        except BaseException:
            self.close()
            raise
        named = [text for text in texts if text]
        return Identity("", self._unit, "".join(named[:-1]), "".join(named[-1:]))

    async def read(self, block: Block) -> bytes:
        """The registers in plain byte order, exactly ``count`` of them."""
        assert isinstance(block, RegisterBlock)
        return await self._registers(block.address, block.count)

    def close(self) -> None:
        """Drop the connection; the meter's only socket is free again."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    async def _expect(self, expected: Expectation) -> str:
        """The text that a register holds, empty for a number; LinkError where neither fits."""
        block = await self._registers(expected.address, expected.count)
        order = "<" if self._device.word_order == "little" else ">"
        value = wire.unpack(expected.type, block, 0, order, length=expected.length)
        text = str(value)
        if isinstance(value, str):
            fits = bool(re.fullmatch(expected.pattern or ".*", text))
        else:
            fits = (expected.low is None or value >= expected.low) and (
                expected.high is None or value <= expected.high
            )
        if not fits:
            where = f"register {expected.address:#06x}"
            why = f"{where} holds {text!r}: another device"
            raise LinkError(Status.FOREIGN_DEVICE, why, True)
        return text if isinstance(value, str) else ""

    async def _registers(self, address: int, count: int) -> bytes:
        if self._channel is None:
            raise LinkError(Status.CLOSED, "not connected", True)
        what = f"register {address:#06x}"
        self._transaction = transaction = self._transaction % 0xFFFF + 1
        number = transaction.to_bytes(2, "big")

        def answers(answer: bytes) -> bool:
            if answer[:2] == number:
                return True
            # 0xFFFF requests later at the earliest a number comes again.
            self._metrics.count("pm500_late_answers_total", protocol="modbus")
            return False

        request = read_request(self._device, self._unit, transaction, address, count)
        answer = await self._channel.ask(request, answers, what)
        words = registers_of(
            answer, self._device.function, self._unit, transaction, count, what
        )
        block, _ = wire.plain(words, self._device.word_order)
        return block
