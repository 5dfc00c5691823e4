"""``python -m tests.chaos``: the long runs of the storm and of the outage.

``--kills 100 --seed N`` and ``--away 60`` say how long; 0 leaves one out.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from functools import partial
from pathlib import Path

from tests.chaos.outage import outage
from tests.chaos.storm import storm

_say = partial(print, flush=True)


def main() -> int:
    """Exit code 1 where a frame is lost or doubled."""
    arguments = _arguments()
    good = True
    if arguments.kills:
        good &= _storm(arguments.kills, arguments.seed)
    if arguments.away:
        good &= _outage(arguments.away)
    return 0 if good else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument(
        "--seed", type=int, default=random.SystemRandom().randrange(10**6)
    )
    parser.add_argument("--away", type=float, default=60.0)
    return parser.parse_args()


def _storm(kills: int, seed: int) -> bool:
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="pm500-chaos-") as folder:
        found = storm(Path(folder), kills, seed, _say)
    lost = found.logged - found.archived
    more = found.archived - found.logged
    ledger = found.ledger
    print("kills     ", ", ".join(f"{n} of {w}" for w, n in found.kills.most_common()))
    print("frames    ", sum(found.logged.values()), "in the edge's log")
    print("rows      ", sum(found.archived.values()), "in the archive")
    print("lost      ", sum(lost.values()))
    print("doubled   ", sum(more.values()))
    print("slots due ", ledger.due, "=", ledger.good, "good +", end=" ")
    print(sum(ledger.failed.values()), "failed +", ledger.missing, "missing")
    print("holes     ", found.holes)
    adds_up = found.logged == found.archived and ledger.missing == found.holes
    print("It adds up." if adds_up else "IT DOES NOT ADD UP.")
    return adds_up


def _outage(seconds: float) -> bool:
    print(f"Kafka away for {seconds:g} s, three times", flush=True)
    with tempfile.TemporaryDirectory(prefix="pm500-chaos-") as folder:
        found = outage(Path(folder), seconds, _say)
    everything = sorted(n for own in found.offsets.values() for n in own)
    once = everything == list(range(found.logged.total()))
    ordered = all(own == sorted(own) for own in found.offsets.values())
    kept = found.archived == found.logged and found.holes == 0
    unnoticed = all(
        away.meanwhile_ms[1] <= max(2 * away.before_ms[1], 100) for away in found.aways
    )
    soon = all(away.moved_in_seconds < 15 for away in found.aways)
    print("frames    ", found.logged.total(), "in the edge's log, holes", found.holes)
    print("in Kafka  ", "each once" if once else "NOT EACH ONCE", end=", ")
    print("in order by asset" if ordered else "OUT OF ORDER")
    print("archive   ", "has each once" if kept else "HAS NOT EACH ONCE")
    print("MQTT      ", "did not notice" if unnoticed else "NOTICED")
    print("backlog   ", "moved on in seconds" if soon else "TOOK ITS TIME")
    return once and ordered and kept and unnoticed and soon


if __name__ == "__main__":
    raise SystemExit(main())
