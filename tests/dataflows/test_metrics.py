from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from dataflows.metrics import METRICS, PrometheusMetrics

ROOT = Path(__file__).parents[2]
KINDS = {"count": "counter", "gauge": "gauge", "observe": "histogram"}


def test_counters_gauges_and_histograms_show_in_the_text() -> None:
    metrics = PrometheusMetrics()
    metrics.count("pm500_frames_total", 3, group="realtime", status="ok")
    metrics.count("pm500_queue_dropped_total")
    metrics.gauge("pm500_queue_frames", 7)
    metrics.observe("pm500_poll_seconds", 0.004, protocol="modbus")
    lines = metrics.text().decode().splitlines()
    assert 'pm500_frames_total{group="realtime",status="ok"} 3.0' in lines
    assert "pm500_queue_dropped_total 1.0" in lines
    assert "pm500_queue_frames 7.0" in lines
    assert 'pm500_poll_seconds_bucket{le="0.005",protocol="modbus"} 1.0' in lines


def test_the_process_itself_shows_in_the_text() -> None:
    assert b"\nprocess_resident_memory_bytes " in PrometheusMetrics().text()


def test_a_name_outside_the_table_is_an_error() -> None:
    with pytest.raises(KeyError):
        PrometheusMetrics().count("pm500_typing_mistakes_total")


def test_other_labels_than_the_table_has_are_an_error() -> None:
    with pytest.raises(ValueError, match="label"):
        PrometheusMetrics().count("pm500_frames_total", group="realtime")


def test_counters_end_in_total_and_nothing_else_does() -> None:
    counters = {name for name, row in METRICS.items() if row.kind == "counter"}
    assert {name for name in METRICS if name.endswith("_total")} == counters


def test_what_the_packages_count_stands_in_the_table() -> None:
    """A rare path must not be the first to find a typing mistake."""
    wrong = [
        f"{path.relative_to(ROOT)}:{call.lineno}: {name}"
        for path, call, name, kind, labels in _uses()
        if name not in METRICS
        or METRICS[name].kind != kind
        or (labels is not None and set(METRICS[name].labels) != labels)
    ]
    assert wrong == []


def _uses() -> Iterator[tuple[Path, ast.Call, str, str, set[str] | None]]:
    """Every ``.count("pm500_…", …)`` and its like; labels None where unknown."""
    for package in ("connectors", "sinks", "dataflows"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for call in ast.walk(ast.parse(path.read_text("utf-8"))):
                match call:
                    case ast.Call(
                        func=ast.Attribute(attr=attr),
                        args=[ast.Constant(value=str(name)), *_],
                        keywords=keywords,
                    ) if attr in KINDS and name.startswith("pm500_"):
                        given = {each.arg for each in keywords}
                        labels = {arg for arg in given if arg and arg != "amount"}
                        yield (
                            path,
                            call,
                            name,
                            KINDS[attr],
                            None if None in given else labels - {"value"},
                        )
