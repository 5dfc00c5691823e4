"""A file that is being written and that nobody sees yet."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import IO, Any

__all__ = ["Draft"]


class Draft:
    """A binary file that is only written to, and knows its size and digest."""

    closed = False

    def __init__(self, file: IO[bytes], path: Path | None) -> None:
        self.file = file
        self.path = path
        self.size = 0
        self._hash = sha256()

    @property
    def digest(self) -> str:
        """Of all that was written: another content has another one."""
        return self._hash.hexdigest()[:12]

    def write(self, content: Any) -> int:
        """Append."""
        self._hash.update(content)
        self.size += memoryview(content).nbytes
        return self.file.write(content)

    def tell(self) -> int:
        """The bytes written."""
        return self.size

    def flush(self) -> None:
        """Hand everything to the file."""
        self.file.flush()

    def close(self) -> None:
        """Its writer has ended; the draft goes with its block."""

    def readable(self) -> bool:
        """It is not."""
        return False

    def writable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is not."""
        return False
