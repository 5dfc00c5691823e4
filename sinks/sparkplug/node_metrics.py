"""The edge node's own metrics: its NBIRTH, and the NDATA of those that change."""

from __future__ import annotations

from typing import Any, NamedTuple

from sinks.sparkplug.payload import BD_SEQ, REBIRTH, DataType, Payload, add_metric

__all__ = ["NodeMetrics", "NodeValues"]

_CONTROLS = ("Node Control/Reboot", "Node Control/Next Server")
# The aliases of the node's own metrics, in order; the devices' run on from there.
_CHANGING = (
    "Node Info/uptimeSeconds",
    "Node Info/pollErrors",
    "Node Info/backlogRecords",
)


class NodeValues(NamedTuple):
    """Seconds since start, failed frames since start, log records still to look at."""

    uptime_seconds: int
    poll_errors: int
    backlog_records: int


class NodeMetrics:
    """``scan_rate_ms`` is the shortest period of the node's meters; it is read-only."""

    next_alias = len(_CHANGING) + 1

    def __init__(self, *, scan_rate_ms: int, include_datatype: bool) -> None:
        self._scan_rate_ms = scan_rate_ms
        self._include_datatype = include_datatype
        self._said: tuple[int, ...] = ()

    def birth(self, bd_seq: int, now_ms: int, values: NodeValues) -> bytes:
        """The NBIRTH, whose ``seq`` is 0. bdSeq and the controls have no alias."""
        payload = Payload(timestamp=now_ms, seq=0)
        add_metric(payload, BD_SEQ, DataType.INT64, bd_seq, now_ms)
        for name in (REBIRTH, *_CONTROLS):
            add_metric(payload, name, DataType.BOOLEAN, False, now_ms)
        # Int32: the contract's UInt32 is read as null by JavaScript hosts.
        name = "Node Control/Scan Rate"
        add_metric(payload, name, DataType.INT32, self._scan_rate_ms, now_ms)
        for alias, (name, value) in enumerate(zip(_CHANGING, values, strict=True), 1):
            add_metric(payload, name, DataType.INT64, value, now_ms, alias)
        self._said = values
        return _encoded(payload)

    def data(self, seq: int, now_ms: int, values: NodeValues) -> bytes:
        """The NDATA: what has changed since it was said last."""
        payload = Payload(timestamp=now_ms, seq=seq)
        for alias, value in enumerate(values, 1):
            if self._said and value == self._said[alias - 1]:
                continue
            metric = payload.metrics.add(
                alias=alias, timestamp=now_ms, long_value=value
            )
            if self._include_datatype:
                metric.datatype = DataType.INT64
        self._said = values
        return _encoded(payload)


def _encoded(payload: Any) -> bytes:
    encoded: bytes = payload.SerializeToString()
    return encoded
