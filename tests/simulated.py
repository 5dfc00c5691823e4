"""Simulated meters in a process of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import tomli_w

__all__ = ["SimulatorProcess", "addresses"]


def addresses(count: int) -> list[str]:
    """Loopback addresses, one a meter."""
    return [f"127.1.{n // 250}.{n % 250 + 1}" for n in range(count)]


class SimulatorProcess:
    """``pm500 simulate`` on free ports; a context manager."""

    def __init__(
        self,
        folder: Path,
        hosts: Sequence[str],
        *,
        faults: Sequence[dict[str, object]] = (),
        record: Path | None = None,
        meters: Sequence[dict[str, object]] | None = None,
    ) -> None:
        self._fleet = folder / "fleet.toml"
        self._record = record
        fleet = {
            "meter": meters
            or [
                {"name": f"m{n}", "address": host, "seed": n}
                for n, host in enumerate(hosts)
            ],
            "fault": list(faults),
        }
        folder.mkdir(parents=True, exist_ok=True)
        self._fleet.write_text(tomli_w.dumps(fleet), "utf-8")
        self.ethernet_ip_port = self.modbus_port = 0

    def __enter__(self) -> SimulatorProcess:
        command = [sys.executable, "-m", "dataflows", "simulate"]
        command += ["--fleet", str(self._fleet), "--json"]
        command += ["--ethernet-ip-port", "0", "--modbus-port", "0"]
        if self._record is not None:
            command += ["--record", str(self._record)]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        ready = json.loads(self._process.stdout.readline())
        self.ethernet_ip_port = ready["ethernet_ip_port"]
        self.modbus_port = ready["modbus_port"]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(30)
        finally:
            self._process.kill()
            assert self._process.stdout is not None
            self._process.stdout.close()
