"""What went over the wire, exactly: to be asked by tests, kept or written as it happens.

The ``values`` of a request are what an ideal decoder would read from the answer as the
meter meant it: resolution and wire rounding included, spoiling faults left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, TextIO

from connectors.simulator.faults import Fault

__all__ = ["ConnectionEvent", "Record", "Request", "Value"]

Value = float | bool | str
WireProtocol = Literal["ethernet_ip", "modbus"]
PASSWORD_REGISTER = 0x1000  # 1420-UM001E p. 57
CIP_READS = frozenset({0x01, 0x0E})
MODBUS_READS = frozenset({3, 4})


class Decoder(Protocol):
    """Brings the data of an answer back to values."""

    def unpack(self, block: bytes) -> dict[str, Value]:
        """Values by quantity, in the units of the table."""


@dataclass(slots=True, kw_only=True)
class Request:
    """One request with all its bytes, and what came of it.

    ``service`` is the CIP service (the embedded one of an Unconnected_Send) or the
    Modbus function, None for encapsulation commands; ``block`` the assembly instance
    or the first register, ``count`` the registers asked. ``sent_us`` is None and
    ``answer`` empty where nothing was sent.
    """

    time_us: int
    meter: str
    address: str
    protocol: WireProtocol
    request: bytes
    service: int | None = None
    block: int | None = None
    count: int = 0
    answer: bytes = b""
    sent_us: int | None = None
    faults: tuple[str, ...] = ()
    meant: bytes = field(default=b"", repr=False)
    decoder: Decoder | None = field(default=None, repr=False)
    read_values: Mapping[str, Value] | None = field(default=None, repr=False)

    @property
    def fault(self) -> str | None:
        """The first fault that touched it; None where all was well."""
        return self.faults[0] if self.faults else None

    @property
    def values(self) -> dict[str, Any]:
        """Quantity (or name of a description point) to its true value.

        Numbers, but booleans for bits and texts for letters: the name says which.
        """
        if self.read_values is not None:
            return dict(self.read_values)
        return self.decoder.unpack(self.meant) if self.decoder else {}

    @property
    def forbidden(self) -> bool:
        """Whether a reader of ours must never send this."""
        if self.service is None:
            return False
        if self.protocol == "ethernet_ip":
            return self.service not in CIP_READS
        first = self.block or 0
        password = first <= PASSWORD_REGISTER < first + self.count
        return self.service not in MODBUS_READS or password


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionEvent:
    """A connection of a meter was opened, closed (by either side) or refused."""

    time_us: int
    meter: str
    address: str
    protocol: WireProtocol
    what: Literal["opened", "closed", "refused"]


class Record:
    """Every fault, request and connection; in memory, in a JSON-lines file, or nowhere.

    ``requests`` is in order of receipt; safe to read from another thread while the
    simulator runs (take ``list(record.requests)`` first).
    """

    def __init__(self, *, keep: bool = True, path: Path | None = None) -> None:
        self.keep = keep
        self.requests: list[Request] = []
        self.connections: list[ConnectionEvent] = []
        self.faults: list[Fault] = []
        self._file: TextIO | None = (
            path.open("w", encoding="utf-8", buffering=1) if path else None
        )

    @property
    def on(self) -> bool:
        """Whether anything is recorded at all."""
        return self.keep or self._file is not None

    def received(self, request: Request) -> None:
        """A request came in; it changes until ``settled``."""
        if self.keep:
            self.requests.append(request)

    def settled(self, request: Request) -> None:
        """Its answer went out, or never will."""
        if self._file is not None:
            self._file.write(json.dumps(_request_json(request)) + "\n")

    def fault(self, fault: Fault) -> None:
        """A fault was planned."""
        if self.keep:
            self.faults.append(fault)
        if self._file is not None:
            self._file.write(json.dumps(_fault_json(fault)) + "\n")

    def connection(self, event: ConnectionEvent) -> None:
        """A connection changed."""
        if self.keep:
            self.connections.append(event)
        if self._file is not None:
            self._file.write(json.dumps(_connection_json(event)) + "\n")

    def of(
        self,
        *,
        meter: str | None = None,
        protocol: WireProtocol | None = None,
        block: int | None = None,
        fault: str | None = None,
    ) -> list[Request]:
        """The requests that match all that is given."""
        return [
            request
            for request in list(self.requests)
            if meter in (None, request.meter)
            and protocol in (None, request.protocol)
            and block in (None, request.block)
            and (fault is None or fault in request.faults)
        ]

    def forbidden(self) -> list[Request]:
        """The requests that a read-only reader must never send; [] passes the run."""
        return [request for request in list(self.requests) if request.forbidden]

    def open_connections(self, meter: str, protocol: WireProtocol | None = None) -> int:
        """Connections of the meter that are open by the record."""
        change = {"opened": 1, "closed": -1, "refused": 0}
        return sum(
            change[event.what]
            for event in list(self.connections)
            if event.meter == meter and protocol in (None, event.protocol)
        )

    def close(self) -> None:
        """Close the file, where there is one."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def dump(self, path: Path) -> None:
        """Write all that is in memory as JSON lines."""
        lines = [_fault_json(fault) for fault in self.faults]
        lines += [_connection_json(event) for event in self.connections]
        lines += [_request_json(request) for request in self.requests]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")

    @classmethod
    def load(cls, path: Path) -> Record:
        """A record from a file of JSON lines; an unfinished last line is left out."""
        record = cls()
        for line in _whole_lines(path):
            raw = json.loads(line)
            match raw.pop("record"):
                case "connection":
                    record.connections.append(ConnectionEvent(**raw))
                case "fault":
                    record.faults.append(Fault(**raw))
                case _:
                    record.requests.append(_request_of(raw))
        record.requests.sort(key=lambda request: request.time_us)
        return record


def _whole_lines(path: Path) -> Iterator[str]:
    for line in path.read_text("utf-8").splitlines(keepends=True):
        if line.endswith("\n"):
            yield line


def _request_json(request: Request) -> dict[str, Any]:
    return {
        "record": "request",
        "time_us": request.time_us,
        "meter": request.meter,
        "address": request.address,
        "protocol": request.protocol,
        "request": request.request.hex(),
        "service": request.service,
        "block": request.block,
        "count": request.count,
        "answer": request.answer.hex(),
        "sent_us": request.sent_us,
        "faults": list(request.faults),
        "values": request.values,
    }


def _request_of(raw: dict[str, Any]) -> Request:
    return Request(
        **raw
        | {
            "request": bytes.fromhex(raw["request"]),
            "answer": bytes.fromhex(raw["answer"]),
            "faults": tuple(raw["faults"]),
            "read_values": raw.pop("values"),
        }
    )


def _fault_json(fault: Fault) -> dict[str, Any]:
    return {"record": "fault"} | asdict(fault)


def _connection_json(event: ConnectionEvent) -> dict[str, Any]:
    return {
        "record": "connection",
        "time_us": event.time_us,
        "meter": event.meter,
        "address": event.address,
        "protocol": event.protocol,
        "what": event.what,
    }
