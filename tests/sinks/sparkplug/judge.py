"""A Sparkplug host that believes nothing: it keeps its own state of every node.

``violations`` holds what a message broke, each with the id of the specification's
assertion. ``seen`` holds every message in order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.sinks.sparkplug.wire import Metric, Payload, decode


@dataclass
class Seen:
    type: str
    node: str
    device: str | None
    payload: Payload
    qos: int
    retain: bool

    @property
    def historical(self) -> bool:
        return any(metric.historical for metric in self.payload.metrics)


@dataclass
class _Node:
    online: bool = False
    seq: int = 0
    bd_seq: int = -1
    devices: set[str] = field(default_factory=set)
    births_over: bool = False
    names: dict[int, tuple[str | None, str]] = field(default_factory=dict)
    datatypes: dict[int, int] = field(default_factory=dict)


class Judge:
    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.violations: list[str] = []
        self._nodes: dict[str, _Node] = {}

    def hear(self, topic: str, data: bytes, qos: int, retain: bool) -> None:
        namespace, _, kind, node, *device = topic.split("/")
        payload = decode(data)
        seen = Seen(kind, node, device[0] if device else None, payload, qos, retain)
        state = self._nodes.setdefault(node, _Node())
        say = self._sayer(seen)
        say("topic-structure", namespace == "spBv1.0")
        say("payloads-retain", not retain)
        if kind not in ("NCMD", "DCMD", "NDEATH"):
            say("topics-qos", qos == 0)
        self.seen.append(seen)
        if kind in _RULES:
            _RULES[kind](state, seen, say)

    def of(self, kind: str, device: str | None = None) -> list[Seen]:
        return [
            seen
            for seen in self.seen
            if seen.type == kind and device in (None, seen.device)
        ]

    def readings(self, name: str, *, historical: bool | None = None) -> list[Metric]:
        """Every value of a metric in DBIRTH and DDATA, whichever name it came by."""
        aliases = {
            metric.alias
            for seen in self.of("DBIRTH")
            for metric in seen.payload.metrics
            if metric.name == name
        }
        return [
            metric
            for seen in self.seen
            if seen.type in ("DBIRTH", "DDATA")
            for metric in seen.payload.metrics
            if metric.alias in aliases
            and historical in (None, metric.historical)
            and not metric.null
        ]

    def _sayer(self, seen: Seen) -> Callable[[str, bool], None]:
        def say(assertion: str, holds: bool) -> None:
            if not holds:
                where = f"{seen.type} {seen.node} {seen.device}"
                self.violations.append(
                    f"{assertion}: message {len(self.seen)}, {where}"
                )

        return say


Say = Callable[[str, bool], None]


def _nbirth(state: _Node, seen: Seen, say: Say) -> None:
    payload = seen.payload
    say("payloads-nbirth-seq", payload.seq == 0)
    say("payloads-nbirth-timestamp", payload.timestamp is not None)
    names = [metric.name for metric in payload.metrics]
    say("topics-nbirth-bdseq-included", "bdSeq" in names)
    say("topics-nbirth-rebirth-metric", "Node Control/Rebirth" in names)
    rebirth = payload.named("Node Control/Rebirth")
    say("operational-behavior-data-commands-rebirth-value", rebirth.value is False)
    say(
        "operational-behavior-data-commands-rebirth-name-aliases", rebirth.alias is None
    )
    bd_seq = payload.named("bdSeq")
    say("payloads-nbirth-bdseq", bd_seq.datatype == 4 and bd_seq.alias is None)
    state.online, state.seq, state.bd_seq = True, 1, bd_seq.value
    state.devices, state.births_over = set(), False
    state.names, state.datatypes = {}, {}
    _birth_metrics(state, seen, say)


def _dbirth(state: _Node, seen: Seen, say: Say) -> None:
    say("payloads-dbirth-order", state.online)
    _numbered(state, seen, say)
    state.devices.add(seen.device or "")
    _birth_metrics(state, seen, say)


def _ndata(state: _Node, seen: Seen, say: Say) -> None:
    say("payloads-ndata-order", state.online)
    _numbered(state, seen, say)
    _data_metrics(state, seen, say)


def _ddata(state: _Node, seen: Seen, say: Say) -> None:
    say("payloads-ddata-order", state.online and seen.device in state.devices)
    _numbered(state, seen, say)
    _data_metrics(state, seen, say)


def _ddeath(state: _Node, seen: Seen, say: Say) -> None:
    say("payloads-ddeath-order", seen.device in state.devices)
    _numbered(state, seen, say)
    say("payloads-ddeath-metrics", not seen.payload.metrics)
    state.devices.discard(seen.device or "")


def _ndeath(state: _Node, seen: Seen, say: Say) -> None:
    say("payloads-ndeath-seq", seen.payload.seq is None)
    names = [metric.name for metric in seen.payload.metrics]
    say("topics-ndeath-payload", names == ["bdSeq"])
    if state.online:
        matches = seen.payload.metrics[0].value == state.bd_seq
        say("topics-nbirth-bdseq-matching", matches)
    state.online = False


def _numbered(state: _Node, seen: Seen, say: Say) -> None:
    say("payloads-sequence-num-incrementing", seen.payload.seq == state.seq)
    say("payloads-timestamp", seen.payload.timestamp is not None)
    state.seq = ((seen.payload.seq or 0) + 1) % 256


def _birth_metrics(state: _Node, seen: Seen, say: Say) -> None:
    for metric in seen.payload.metrics:
        say("payloads-name-birth-data-requirement", bool(metric.name))
        say("payloads-metric-datatype-req", metric.datatype is not None)
        say("payloads-metric-timestamp", metric.timestamp is not None)
        say("payloads-null-value", metric.null == (metric.wire_field is None))
        typed = metric.property_types.keys() == metric.properties.keys()
        say("payloads-propertyset-type", typed)
        if metric.alias is not None:
            own = seen.device, metric.name or ""
            unique = state.names.setdefault(metric.alias, own) == own
            say("payloads-alias-uniqueness", unique)
            state.datatypes[metric.alias] = metric.datatype or 0


_FIELDS = {3: 10, 4: 11, 9: 12, 10: 13, 11: 14, 12: 15}


def _data_metrics(state: _Node, seen: Seen, say: Say) -> None:
    say("payloads-data-metrics", bool(seen.payload.metrics))
    for metric in seen.payload.metrics:
        say("payloads-alias-data-requirement", metric.name is None)
        known = state.names.get(metric.alias or 0, (None, ""))
        say("payloads-alias-birth-requirement", known[0] == seen.device)
        say("payloads-metric-timestamp", metric.timestamp is not None)
        born = state.datatypes.get(metric.alias or 0)
        say("payloads-metric-datatype", metric.datatype in (None, born))
        if not metric.null and born is not None:
            say("payloads-metric-datatype-value", metric.wire_field == _FIELDS[born])


_RULES: dict[str, Callable[[_Node, Seen, Say], None]] = {
    "NBIRTH": _nbirth,
    "NDEATH": _ndeath,
    "NDATA": _ndata,
    "DBIRTH": _dbirth,
    "DDEATH": _ddeath,
    "DDATA": _ddata,
}
