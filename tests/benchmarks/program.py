"""Programs that print their seconds: modules of ours, and peers with other libraries."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

__all__ = ["peer_seconds", "seconds"]

_ROOT = Path(__file__).parents[2]
_PEERS = Path(__file__).parent / "peers"
_ENVIRONMENT = _ROOT / ".benchmarks" / "quix"
_PACKAGES = ("quixstreams==3.28.1", "fastavro", "pyarrow", "deltalake==1.6.6")


def seconds(module: str, *arguments: object) -> float:
    """What a module of the benchmarks prints."""
    return _printed(sys.executable, "-m", f"tests.benchmarks.{module}", *arguments)


def peer_seconds(script: str, *arguments: object) -> float:
    """What a script of ``peers/`` prints, in the environment with Quix Streams.

    That is made where it is missing.
    """
    python = _ENVIRONMENT / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(_ENVIRONMENT)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", *_PACKAGES]
        subprocess.run(install, check=True)
    return _printed(python, _PEERS / script, *arguments)


def _printed(*command: object) -> float:
    done = subprocess.run(
        list(map(str, command)),
        cwd=_ROOT,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return float(done.stdout.splitlines()[-1])
