"""``python -m tests.benchmarks [--fast] [NAME…]``: run, print, write the page."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.benchmarks import (
    acquire,
    archive_size,
    codec,
    derive,
    influx,
    kafka_archive,
    log,
    mqtt,
    replicas,
    restart,
)
from tests.benchmarks.result import Result, machine, markdown

BENCHMARKS: dict[str, Callable[[bool], Iterator[Result]]] = {
    "codec": codec.run,
    "log": log.run,
    "archive_size": archive_size.run,
    "kafka_archive": kafka_archive.run,
    "acquire": acquire.run,
    "mqtt": mqtt.run,
    "replicas": replicas.run,
    "derive": derive.run,
    "influx": influx.run,
    "restart": restart.run,
}
PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"


def main() -> int:
    """Exit code 1 where a bar does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--fast", action="store_true", help="short windows")
    parser.add_argument("--no-page", action="store_true", help="leave docs/ alone")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(BENCHMARKS):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    results: list[Result] = []
    for name in arguments.names or BENCHMARKS:
        for result in BENCHMARKS[name](arguments.fast):
            print(f"{result.what}: {result.value:.2f} {result.unit}", flush=True)
            results.append(result)
    table = Table("measured", "against", "figure", "bar", "holds", "in detail")
    for result in results:
        table.add_row(*result.cells)
    Console().print(machine(), table, sep="\n")
    if not arguments.names and not arguments.no_page:
        PAGE.write_text(markdown(results, arguments.fast), "utf-8")
        print(f"written to {PAGE}")
    return 0 if all(result.holds for result in results) else 1


if __name__ == "__main__":
    raise SystemExit(main())
