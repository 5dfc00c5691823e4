"""One EtherNet/IP session with one meter over an asyncio stream."""

from __future__ import annotations

import itertools

from connectors.ethernet_ip import message
from connectors.ethernet_ip.message import Request
from connectors.link import Block, Identity, LinkError
from connectors.streams import Channel, open_stream
from transforms.model.metrics import NO_METRICS, Metrics
from transforms.model.profile import AssemblyBlock, EthernetIp
from transforms.model.quality import Status

__all__ = ["EthernetIpLink"]


class EthernetIpLink:
    """Unconnected reads over one TCP session; a late answer is known by its context."""

    def __init__(
        self,
        host: str,
        port: int,
        device: EthernetIp,
        *,
        timeout_seconds: float,
        metrics: Metrics = NO_METRICS,
    ) -> None:
        self._host = host
        self._port = port
        self._device = device
        self._timeout = timeout_seconds
        self._metrics = metrics
        self._contexts = itertools.count(1)
        self._channel: Channel | None = None
        self._session = 0
        self._requests: dict[int, Request] = {}

    async def connect(self) -> Identity:
        """Register a session and accept only the profile's device."""
        self.close()
        try:
            streams = await open_stream(self._host, self._port, self._timeout)
            self._channel = Channel(streams, message.length_of, self._timeout)
            context = self._context()
            answer = await self._exchange(
                message.register_session(context), context, "session"
            )
            self._session = message.session_of(answer)
            return await self._identity()
        except BaseException:
            self.close()
            raise

    async def read(self, block: Block) -> bytes:
        """The data of an assembly, of exactly the profile's size."""
        assert isinstance(block, AssemblyBlock)
        request = self._requests.get(block.instance)
        if request is None:
            request = message.get_attribute(block.instance, self._session)
            self._requests[block.instance] = request
        value = await self._ask(request)
        if len(value) != block.size:
            why = f"{len(value)} bytes, not {block.size}"
            raise message.malformed(f"assembly {block.instance}", why, lost=False)
        return value

    async def assembly_size(self, instance: int) -> int:
        """What the meter says of an assembly's size (attribute 4), in bytes."""
        value = await self._ask(message.get_size(instance, self._session))
        return int.from_bytes(value, "little")

    def close(self) -> None:
        """Drop the connection; the meter sees its end."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        self._requests.clear()

    def _context(self) -> bytes:
        return next(self._contexts).to_bytes(8, "little")

    async def _identity(self) -> Identity:
        value = await self._ask(message.get_identity(self._session))
        vendor, kind, identity = message.parse_identity(value)
        wanted = self._device
        if (vendor, kind, identity.product) != (
            wanted.vendor,
            wanted.device_type,
            wanted.product_name,
        ) or identity.code not in wanted.product_codes:
            text = (
                f"vendor {vendor}, type {kind}, {identity.product!r}, "
                f"code {identity.code} is not a {wanted.product_name}"
            )
            raise LinkError(Status.FOREIGN_DEVICE, text, True)
        return identity

    async def _ask(self, request: Request) -> bytes:
        context = self._context()
        answer = await self._exchange(
            request.bytes_with(context), context, request.what
        )
        return request.value_of(answer)

    async def _exchange(self, request: bytes, context: bytes, what: str) -> bytes:
        """The whole answer to this context; older ones are late: counted, passed over."""
        if self._channel is None:
            raise LinkError(Status.CLOSED, "not connected", True)

        def answers(answer: bytes) -> bool:
            if answer[12:20] == context:
                return True
            number = int.from_bytes(answer[12:20], "little")
            if number >= int.from_bytes(context, "little"):
                raise message.malformed(what, "under a context that was never sent")
            self._metrics.count("pm500_late_answers_total", protocol="ethernet_ip")
            return False

        return await self._channel.ask(request, answers, what)
