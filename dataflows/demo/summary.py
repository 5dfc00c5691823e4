"""The end of a demo: the ledger's sums, and the archive counted by polars."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from dataflows.demo.servers import InfluxDatabase
from dataflows.ledger import Summary

__all__ = ["ArchiveCount", "Outcome", "count_archive", "runnable", "short_path"]

_COUNT_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveCount:
    """What polars found: ``command`` is the one-liner that was run, ``output`` its own.

    ``rows`` is None where it failed.
    """

    command: str
    output: str
    rows: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """All that a demo has to answer for."""

    ledger: Summary
    frames: int
    archive: ArchiveCount
    archive_path: Path
    site_path: Path
    log_path: Path
    p50_ms: float | None
    p99_ms: float | None
    influx: InfluxDatabase | None = None
    influx_frames: int | None = None
    troubles: tuple[str, ...] = ()

    @property
    def wrong(self) -> list[str]:
        """What does not add up, and what went wrong on the way; [] is success."""
        sums, rows = self.ledger, self.archive.rows
        accounted = sums.good + sum(sums.failed.values())
        out = list(self.troubles)
        if sums.due != accounted + sums.missing:
            out.append(f"{sums.due} slots due are not {accounted + sums.missing}")
        if not sums.due:
            out.append("no slot was due: nothing was polled")
        if accounted + sums.duplicates != self.frames:
            out.append(f"the log has {self.frames} frames, the ledger {accounted}")
        if rows != self.frames:
            out.append(f"the log has {self.frames} frames, the archive {rows} rows")
        if self.influx is not None and self.influx_frames != self.frames:
            there = self.influx_frames
            out.append(f"the log has {self.frames} frames, InfluxDB {there}")
        return out

    def json_line(self) -> str:
        """The summary as one JSON object on a line."""
        influx = {} if self.influx is None else {"influx_frames": self.influx_frames}
        return json.dumps(
            {
                "due": self.ledger.due,
                "good": self.ledger.good,
                "failed": dict(self.ledger.failed),
                "missing": self.ledger.missing,
                "archive_rows": self.archive.rows,
                **influx,
                "archive": str(self.archive_path),
                "log": str(self.log_path),
                "latency_ms": {"p50": self.p50_ms, "p99": self.p99_ms},
            }
        )

    def lines(self) -> Iterator[str]:
        """The summary for people."""
        sums = self.ledger
        failed = sum(sums.failed.values())
        yield f"slots due        {sums.due:>8}"
        yield f"  good           {sums.good:>8}  {sums.complete:.1f} %"
        yield f"  failed         {failed:>8}  of these:"
        for label, count in sorted(sums.failed.items(), key=lambda item: -item[1]):
            yield f"    {label:<16} {count:>4}"
        yield f"  missing        {sums.missing:>8}"
        yield f"frames in the log{self.frames:>8}  {short_path(self.log_path)}"
        yield f"archive rows     {self.archive.rows!s:>8}  {short_path(self.archive_path)}"
        if self.influx is not None:
            yield f"frames in InfluxDB{self.influx_frames!s:>7}  {self.influx}"
        if self.p50_ms is not None:
            yield f"poll to MQTT     p50 {self.p50_ms:g} ms, p99 {self.p99_ms:g} ms"
        yield ""
        yield f"$ {self.archive.command}"
        yield self.archive.output
        yield ""
        yield f"By meter: {runnable('pm500')} ledger --site {shlex.quote(short_path(self.site_path))}"
        for wrong in self.wrong:
            yield f"WRONG: {wrong}"
        if not self.wrong:
            yield (
                f"It adds up: {sums.due} due = {sums.good} good + {failed} failed + "
                f"{sums.missing} missing, and archive rows = frames"
                f"{' = frames in InfluxDB' if self.influx is not None else ''}."
            )


def runnable(name: str) -> str:
    """How a command of this environment is called from here."""
    own = Path(sys.executable).parent / name
    found = shutil.which(name)
    if not own.exists() or (found and Path(found).absolute() == own):
        return name
    return shlex.quote(short_path(own))


def short_path(path: Path) -> str:
    """From the current folder, where that is shorter."""
    return min(str(path), os.path.relpath(path), key=len)


def count_archive(folder: Path) -> ArchiveCount:
    """Count the rows of all frame tables by polars, in a process of its own."""
    # polars 2.1 does not find the files of a table below a folder such as `my plant`.
    escaped = quote(str(folder.absolute())) != str(folder.absolute())
    imports = "polars as pl, glob"
    if escaped:
        imports += ", os, deltalake, pyarrow.fs as fs"
    scan = (
        "pl.scan_pyarrow_dataset(deltalake.DeltaTable(p).to_pyarrow_dataset(filesystem="
        "fs.SubTreeFileSystem(os.path.abspath(p), fs.LocalFileSystem())))"
        if escaped
        else "pl.scan_delta(p)"
    )
    code = (
        f"import {imports}; "
        f"t = pl.concat([{scan}.select('status', table=pl.lit(p.split('/')[-1]))"
        f" for p in glob.glob({short_path(folder / 'frames' / '*')!r})])"
        ".group_by('table').agg(rows=pl.len(), failed=(pl.col('status') > 0).sum())"
        ".sort('rows').collect(); print(t); print(t['rows'].sum())"
    )
    plain = not set('"$`\\!') & set(code)
    quoted = f'"{code}"' if plain else shlex.quote(code)
    command = f"{runnable('python')} -c {quoted}"
    try:
        done = subprocess.run(  # noqa: S603 - our own line
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            timeout=_COUNT_SECONDS,
            check=True,
            process_group=0,  # a second Ctrl-C is not for it
        )
        rows = int(done.stdout.split()[-1])
    except subprocess.CalledProcessError as error:
        last = str(error.stderr).strip().rpartition("\n")[2]
        return ArchiveCount(command=command, output=last, rows=None)
    except (subprocess.TimeoutExpired, ValueError, IndexError) as error:
        return ArchiveCount(command=command, output=str(error), rows=None)
    return ArchiveCount(command=command, output=done.stdout.rstrip(), rows=rows)
