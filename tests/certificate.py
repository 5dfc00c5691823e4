"""A certificate for servers that tests start on loopback."""

from __future__ import annotations

import subprocess
from pathlib import Path

__all__ = ["make_certificate"]


def make_certificate(certificate: Path, key: Path) -> None:
    """One for this machine that signs itself, so that it is its own authority."""
    kind = "-x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30"
    names = ["-subj", "/CN=pm500 test"]
    names += ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    command = ["openssl", "req", *kind.split(), *names, *files]
    subprocess.run(command, capture_output=True, check=True)
