"""The bound of acquisition: an asyncio loop that sends and receives the same bytes.

Hand-made EtherNet/IP requests over ``asyncio.Protocol``, one connection a meter, at the
same instants as acquire; answers are taken whole and thrown away. Run as a process:
``python -m tests.benchmarks.bare_loop PORT ADDRESS…``.
"""

from __future__ import annotations

import asyncio
import struct
import sys
import time

# Group by group: period in seconds, assembly instances.
GROUPS: tuple[tuple[int, tuple[int, ...]], ...] = (
    (1, (101, 102)),
    (10, (107,)),
    (60, (105, 106)),
    (60, (103, 104)),
    (1, (108,)),
)


class _Link(asyncio.Protocol):
    def __init__(self) -> None:
        self._answer: asyncio.Future[bytes] | None = None
        self._data = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        if len(self._data) < 24:
            return
        if len(self._data) < 24 + int.from_bytes(self._data[2:4], "little"):
            return
        answer, self._answer = self._answer, None
        whole, self._data = self._data, b""
        if answer is not None and not answer.done():
            answer.set_result(whole)

    async def ask(self, request: bytes) -> bytes:
        assert self._transport is not None
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._answer = answer
        self._transport.write(request)
        return await answer


def _read(instance: int, session: bytes) -> bytes:
    cip = bytes([0x0E, 3, 0x20, 4, 0x24, instance, 0x30, 3])
    items = struct.pack("<IHHHHHH", 0, 10, 2, 0, 0, 0xB2, len(cip))
    head = struct.pack("<HH4sI8sI", 0x6F, len(items + cip), session, 0, bytes(8), 0)
    return head + items + cip


async def _meter(address: str, port: int, stagger_seconds: float) -> None:
    loop = asyncio.get_running_loop()
    _, link = await loop.create_connection(_Link, address, port)
    hello = struct.pack("<HHII8sIHH", 0x65, 4, 0, 0, bytes(8), 0, 1, 0)
    session = (await link.ask(hello))[4:8]
    requests = [(p, [_read(i, session) for i in instances]) for p, instances in GROUPS]
    second = int(time.time()) + 1
    while True:
        await asyncio.sleep(max(0.0, second + stagger_seconds - time.time()))
        for period, group in requests:
            if second % period == 0:
                for request in group:
                    await link.ask(request)
        second += 1


async def _main(port: int, addresses: list[str]) -> None:
    async with asyncio.TaskGroup() as group:
        for index, address in enumerate(addresses):
            stagger = 0.8 * index / len(addresses)
            group.create_task(_meter(address, port, stagger))


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), sys.argv[2:]))
