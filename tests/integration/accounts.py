"""What a log, a topic and an archive hold, as identities that can be counted."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

import polars as pl

from connectors.log.contract import FRAMES
from connectors.log.embedded import EmbeddedLog
from dataflows.ledger import Summary, summarize
from tests.integration.frames import logged_frames

__all__ = ["archived", "frames_in", "holes_in", "logged", "summary_of"]

Identity = tuple[str, str, int]


def logged(log_path: Path) -> Counter[Identity]:
    """Asset, group and seq of every frame in the embedded log."""
    return Counter(frame.identity for frame in logged_frames(log_path))


def archived(archive: Path) -> Counter[Identity]:
    """The same of every row in an archive's tables of frames."""
    found: Counter[Identity] = Counter()
    for table in archive.glob("frames/*"):
        if not any(table.glob("_delta_log/*.json")):
            continue  # it is being made: nothing is committed yet
        rows = pl.scan_delta(str(table)).select(
            pl.format("{}/{}/{}", "site", "area", "asset"), pl.lit(table.name), "seq"
        )
        found.update(rows.collect().rows())
    return found


def frames_in(log_path: Path) -> int:
    """How many frames the embedded log has acknowledged."""
    if not log_path.exists():
        return 0
    log = EmbeddedLog(log_path, create=False)
    try:
        return log.bounds(FRAMES, 0)[1]
    finally:
        log.close()


def holes_in(identities: Iterable[Identity]) -> int:
    """The slots between each group's first and last frame that have none."""
    series: dict[tuple[str, str], set[int]] = defaultdict(set)
    for asset, group, seq in identities:
        series[asset, group].add(seq)
    return sum(max(seqs) - min(seqs) + 1 - len(seqs) for seqs in series.values())


def summary_of(log_path: Path) -> Summary:
    """The ledger of the embedded log."""
    log = EmbeddedLog(log_path, create=False)
    try:
        return summarize(log)
    finally:
        log.close()
