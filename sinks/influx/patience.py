"""A connection pool whose answers are read for so long, and up to so many bytes.

urllib3's time limit counts each read anew and a body is read whole: a server that sends a
byte at a time, or an error without end, would hold up its client and fill its memory.
"""

from __future__ import annotations

import time
from io import BytesIO
from typing import Any

import urllib3

__all__ = ["PatientPool"]

_LONGEST_BODY = 65_536


class PatientPool:
    """Stands for a ``urllib3.PoolManager`` in whoever asks it for whole answers."""

    def __init__(self, pool: urllib3.PoolManager) -> None:
        self._pool = pool

    def request(
        self, method: str, url: str, *, timeout: urllib3.Timeout, **options: Any
    ) -> urllib3.HTTPResponse:
        """The answer with the beginning of its body; urllib3's HTTPError.

        After the time limit's ``total`` no more of it is read.
        """
        assert isinstance(timeout.total, float)
        until = time.monotonic() + timeout.total
        answer = self._pool.request(
            method, url, **options | {"timeout": timeout, "preload_content": False}
        )
        body, whole = b"", False
        try:
            while not whole and len(body) < _LONGEST_BODY and time.monotonic() < until:
                piece = answer.read1(_LONGEST_BODY - len(body), decode_content=True)
                body += piece
                whole = not piece
            if whole:
                answer.release_conn()
        finally:
            # A connection that went back to the pool stays open.
            answer.close()
        return urllib3.HTTPResponse(
            # The last letter may be cut in two.
            body=BytesIO(body if whole else body.decode("utf-8", "ignore").encode()),
            headers=answer.headers,
            status=answer.status,
            reason=answer.reason,
            decode_content=False,
        )

    def clear(self) -> None:
        """Close all connections."""
        self._pool.clear()
