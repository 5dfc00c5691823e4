"""The numbers every flow counts, in one table, and their Prometheus side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

__all__ = ["METRICS", "Metric", "PrometheusMetrics"]

Kind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One row: what it counts, its labels, and a histogram's bounds."""

    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = Histogram.DEFAULT_BUCKETS


def _counter(text: str, *labels: str) -> Metric:
    return Metric(kind="counter", help=text, labels=labels)


def _gauge(text: str, *labels: str) -> Metric:
    return Metric(kind="gauge", help=text, labels=labels)


# A poll takes milliseconds and ends at its deadline, half a second by default.
_POLL_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)

METRICS: Mapping[str, Metric] = {
    "pm500_frames_total": _counter(
        "Frames made, one per slot, by outcome.", "group", "status"
    ),
    "pm500_poll_seconds": Metric(
        kind="histogram",
        help="Time from the first request of a poll to its outcome.",
        labels=("protocol",),
        buckets=_POLL_SECONDS,
    ),
    "pm500_late_answers_total": _counter(
        "Answers that came after their deadline and were thrown away.", "protocol"
    ),
    "pm500_queue_frames": _gauge("Frames between the poller and the log."),
    "pm500_queue_dropped_total": _counter(
        "Frames lost because that queue was full: holes in the ledger."
    ),
    "pm500_log_appended_total": _counter("Records appended to the log.", "topic"),
    "pm500_log_held_records": _gauge(
        "Records held in memory while the log is full.", "topic"
    ),
    "pm500_log_dropped_total": _counter(
        "Records lost because that buffer was full.", "topic"
    ),
    "pm500_forwarded_total": _counter("Records moved on to Kafka.", "topic"),
    "pm500_dead_letters_total": _counter(
        "Records set aside that a flow could not use.", "flow"
    ),
    "pm500_mqtt_messages_total": _counter("MQTT messages sent, by type.", "type"),
    "pm500_mqtt_connected": _gauge("1 while the MQTT session is up.", "node"),
    "pm500_mqtt_publish_seconds": Metric(
        kind="histogram",
        help="From the answer of the meter to the live message handed to MQTT.",
        buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0),
    ),
    "pm500_mqtt_backlog_records": _gauge(
        "Records that wait to be sent as historical.", "node"
    ),
    "pm500_archive_rows_total": _counter("Rows committed to the archive.", "table"),
    "pm500_archive_commits_total": _counter("Commits of the archive.", "table"),
    "pm500_archive_file_bytes": Metric(
        kind="histogram",
        help="Size of the archive's files.",
        buckets=(1e4, 1e5, 1e6, 4e6, 16e6, 64e6, 256e6),
    ),
    "pm500_influx_points_total": _counter("Points that InfluxDB took."),
    "pm500_influx_expired_total": _counter(
        "Points that InfluxDB dropped as older than it keeps."
    ),
    "pm500_influx_requests_total": _counter(
        "Batches sent to InfluxDB, by the status of its answer; none where none came.",
        "answer",
    ),
    "pm500_derive_frames_total": _counter(
        "Frames that derive took: frames, and of these reordered (in time), duplicate, "
        "late, ancient (its ledger is forgotten) and future.",
        "outcome",
    ),
    "pm500_derived_total": _counter("Derived records, by kind.", "kind"),
    "pm500_ledger_slots_total": _counter(
        "Slots of the ledger's hours that are over: good, failed, missing. As each hour "
        "was told first: a late frame corrects the hour's record and not this.",
        "group",
        "outcome",
    ),
    "pm500_events_total": _counter("Events, by kind.", "kind"),
}


class PrometheusMetrics:
    """``transforms.model.metrics.Metrics`` on a registry of its own.

    Only rows of METRICS can be counted, with exactly their labels: KeyError and
    ValueError show a typing mistake in the first test that gets there.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._histograms: dict[str, Histogram] = {}
        for name, row in METRICS.items():
            text, labels, where = row.help, row.labels, self._registry
            match row.kind:
                case "counter":
                    self._counters[name] = Counter(name, text, labels, registry=where)
                case "gauge":
                    self._gauges[name] = Gauge(name, text, labels, registry=where)
                case "histogram":
                    self._histograms[name] = Histogram(
                        name, text, labels, registry=where, buckets=row.buckets
                    )

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        """Add to a counter."""
        counter = self._counters[name]
        (counter.labels(**labels) if labels else counter).inc(amount)

    def gauge(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge."""
        gauge = self._gauges[name]
        (gauge.labels(**labels) if labels else gauge).set(value)

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Add a value to a histogram."""
        histogram = self._histograms[name]
        (histogram.labels(**labels) if labels else histogram).observe(value)

    def text(self) -> bytes:
        """The exposition: our numbers, then the process's own."""
        return generate_latest(self._registry) + generate_latest(REGISTRY)
