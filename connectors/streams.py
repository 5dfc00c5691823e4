"""Asyncio streams with a deadline, and link errors by their plant status."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from connectors.link import LinkError
from transforms.model.quality import Status

__all__ = ["Channel", "open_stream"]

_READ_BYTES = 4096

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def open_stream(host: str, port: int, timeout_seconds: float) -> Streams:
    """Connect by TCP; LinkError says why it failed. Asyncio sets TCP_NODELAY."""
    where = f"{host}:{port}"
    try:
        async with asyncio.timeout(timeout_seconds):
            reader, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        raise LinkError(Status.UNREACHABLE, f"{where} does not answer", True) from None
    except ConnectionRefusedError:
        raise LinkError(Status.REFUSED, f"{where} refused", True) from None
    except ConnectionResetError:
        raise LinkError(Status.CLOSED, f"{where} closed at once", True) from None
    except (OSError, ValueError) as error:  # a name that is none is a ValueError
        raise LinkError(Status.UNREACHABLE, f"{where}: {error}", True) from error
    return reader, writer


class Channel:
    """Requests and answers over one stream, one at a time, each with its deadline.

    ``whole`` tells from the beginning of the received bytes how long the next message
    is, None while too few are there; it raises LinkError where they are none. What
    came after a deadline stays in order, so that a late answer is met as such.
    """

    def __init__(
        self,
        streams: Streams,
        whole: Callable[[bytes], int | None],
        timeout_seconds: float,
    ) -> None:
        self._reader, self._writer = streams
        self._whole = whole
        self._timeout = timeout_seconds
        self._data = b""

    async def ask(
        self, request: bytes, answers: Callable[[bytes], bool], what: str
    ) -> bytes:
        """Send, and wait for the message that ``answers``; others are passed over.

        LinkError: TIMEOUT with the link kept, CLOSED with the link lost.
        """
        try:
            async with asyncio.timeout(self._timeout):
                self._writer.write(request)
                while True:
                    message = await self._next(what)
                    if answers(message):
                        return message
        except TimeoutError:
            text = f"{what}: no answer in {self._timeout:g} s"
            raise LinkError(Status.TIMEOUT, text, False) from None
        except OSError as error:
            raise LinkError(Status.CLOSED, f"{what}: {error}", True) from error

    def close(self) -> None:
        """Drop the connection; the meter sees its end."""
        self._writer.transport.abort()

    async def _next(self, what: str) -> bytes:
        while (size := self._whole(self._data)) is None or len(self._data) < size:
            more = await self._reader.read(_READ_BYTES)
            if not more:
                text = f"{what}: closed after {len(self._data)} bytes of the answer"
                raise LinkError(Status.CLOSED, text, True)
            self._data = self._data + more if self._data else more
        message, self._data = self._data[:size], self._data[size:]
        return message
