"""Kafka to Delta: the archive flow against a raw consume loop, and against Quix Streams.

A broker of its own, one topic of 500 assets in 4 partitions, full-precision values; all
read it with the same consumer settings. The flow is timed from where it begins to read
to its last commit, its peers from their first message; the rounds alternate. Quix Streams
gets a tenth of the frames and an environment of its own under ``.benchmarks/``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import psutil
from deltalake import DeltaTable

from tests.benchmarks.kafka_topic import PARTITIONS, fill
from tests.benchmarks.processor import cpu_seconds
from tests.benchmarks.program import peer_seconds, seconds
from tests.benchmarks.result import Result
from tests.kafka_broker import KafkaBroker
from tests.kit import Plant, until

_ROLLS = 4


def run(fast: bool) -> Iterator[Result]:
    """1,000,000 frames in three rounds; 200,000 in one where it must be fast."""
    frames, rounds = (200_000, 1) if fast else (1_000_000, 3)
    with (
        TemporaryDirectory() as folder,
        KafkaBroker(Path(folder) / "kafka", jvm=()) as broker,
    ):
        servers = broker.bootstrap_servers
        fill(servers, frames)
        pairs, replicas = [], []
        for number in range(rounds):
            raw = seconds("kafka_topic", servers, frames)
            ours = _archive(Path(folder) / f"site{number}", servers, frames)
            two = _archive(
                Path(folder) / f"two{number}", servers, frames, ("1/2", "2/2")
            )
            pairs.append((raw, ours.seconds))
            replicas.append((two.cpu, ours.cpu))
        raw, ours = (frames / median(column) for column in zip(*pairs, strict=True))
        yield Result(
            what=f"Kafka to Delta, {frames:,} realtime frames",
            against="a raw consume() loop that touches only bytes",
            value=median(raw / ours for raw, ours in pairs),
            unit="x",
            bar=0.5,
            at_most=False,
            detail=f"{ours:,.0f} against {raw:,.0f} frames/s",
        )
        yield Result(
            what="CPU per frame of two replicas of archive",
            against="one with all partitions",
            value=median(two / one for two, one in replicas),
            unit="x",
            bar=None if fast else 1.15,
            at_most=True,
            detail=" against ".join(
                f"{median(column) / frames * 1e6:.2f}"
                for column in zip(*replicas, strict=True)
            )
            + " µs",
        )
        some = frames // 10
        peer = some / peer_seconds("quix.py", servers, some, Path(folder) / "quix")
        yield Result(
            what="the same",
            against="the same job in Quix Streams",
            value=ours / peer,
            unit="x",
            bar=5.0,
            at_most=False,
            detail=f"{ours:,.0f} against {peer:,.0f} frames/s",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Archived:
    """From the first look at the topic to the end, all processes together."""

    seconds: float
    cpu: float


def _archive(
    folder: Path, servers: str, frames: int, parts: Sequence[str] = ("1/1",)
) -> _Archived:
    """``pm500 run archive``, as so many replicas."""
    sections = {
        "kafka": {"bootstrap_servers": servers},
        # Each partition is a few rolls, so that the last row ends the last of them.
        "archive": {
            "roll_rows": frames // PARTITIONS // _ROLLS,
            "roll_bytes": 10**10,
            "roll_seconds": 600,
        },
    }
    meter: dict[str, object] = {"asset": "hall/m", "host": "127.0.0.1"}
    plant = Plant(folder, [meter], sections)
    flows = [plant.start("run", "archive", PM500_REPLICA=part) for part in parts]
    processes = [psutil.Process(flow.pid) for flow in flows]
    table = plant.archive / "frames" / "realtime"
    files = PARTITIONS * _ROLLS
    try:
        # What it costs to start is no cost of a frame.
        until(
            lambda: flows[0].text().count("archive_starts") >= PARTITIONS + 1,
            "the flows begin",
            60,
            0.005,
        )
        before = cpu_seconds(processes)
        # Looking at the table itself would take part in the race.
        until(lambda: len(list(table.glob("*/*/*.parquet"))) >= files, "files", 120)
        until(lambda: _rows(table) >= frames, "all rows", 30)
        used = cpu_seconds(processes) - before
        assert _rows(table) == frames
        assert [flow.stop() for flow in flows] == [0] * len(flows), flows[0].text()[
            -3000:
        ]
    finally:
        plant.close()
    said = [
        json.loads(line) for line in flows[0].text().splitlines() if line[:1] == "{"
    ]
    begins = max(
        datetime.fromisoformat(line["timestamp"])
        for line in said
        if line["event"] == "archive_starts"
    )
    ends: int = max(commit["timestamp"] for commit in DeltaTable(table).history())
    return _Archived(seconds=ends / 1000 - begins.timestamp(), cpu=used)


def _rows(table: Path) -> int:
    if not (table / "_delta_log").exists():
        return 0
    files: Any = DeltaTable(table).get_add_actions(flatten=True)
    return sum(files["num_records"].to_pylist())
