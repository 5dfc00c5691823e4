"""Derive against raw Bytewax, and its windows alone against Quix Streams.

Realtime frames of the PM500, one process. (a) Raw Bytewax hands each asset's frames to a
logic that does nothing; (b) derive makes of the same frames all that it can: windows of
10 s to a day, quality over time, demand, ledger and three alerts. Frames lie in memory,
nothing is written; neither keeps its state, which costs a flow a moment every 10 s. The
bar is that of 500 assets: of 50 an empty logic is given twenty frames at once, and there
it costs next to nothing. The profile of (b) is taken in a run of its own and scaled to
the measured cost.

(c) Quix Streams and (d) the same lanes and windows that derive is made of read one topic
of 500 assets in 4 partitions, tell gaps and give 10 s windows of every reading. The
windows of (c) have mean, minimum and maximum; those of (d) the last value and quality
too, and they are encoded. Quix Streams gets a tenth of the frames.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from tests.benchmarks.derive_flows import derived_seconds, raw_seconds
from tests.benchmarks.derive_frames import Frames, frames_of
from tests.benchmarks.derive_rooms import shares
from tests.benchmarks.kafka_topic import fill
from tests.benchmarks.program import peer_seconds, seconds
from tests.benchmarks.result import Result
from tests.kafka_broker import KafkaBroker

_FEW, _SOME, _MANY = 50, 500, 5000
_ROOT = Path(__file__).parents[2]

# Seconds of (a) and of (b) in each round.
Rounds = list[tuple[float, float]]


def run(fast: bool) -> Iterator[Result]:
    """400,000 frames in memory (1,000,000 of 5,000 assets), 200,000 in Kafka; three rounds.

    100,000 of both in one round where it must be fast; only the bar of (d) is left then:
    20 s of 5,000 assets are little but their beginning.
    """
    yield from _against_raw(fast)
    yield from _against_peer(fast)


def _against_raw(fast: bool) -> Iterator[Result]:
    count, rounds = (100_000, 1) if fast else (400_000, 3)
    few, some = frames_of(_FEW, count), frames_of(_SOME, count)
    # So many assets need more frames for their beginnings not to count.
    many = frames_of(_MANY, count * 5 // 2)
    of_few, of_some, of_many = (_rounds(f, rounds) for f in (few, some, many))
    yield _derived(some, of_some, None if fast else 0.2)
    yield _derived(few, of_few, None)
    yield _derived(many, of_many, None)
    yield Result(
        what=f"cost per frame at {_MANY:,} assets",
        against=f"(b) at {_FEW}",
        value=median(
            of_many[n][1] / len(many) * len(few) / of_few[n][1] for n in range(rounds)
        ),
        unit="x",
        bar=None if fast else 1.5,
        at_most=True,
        detail=f"{_cost(many, of_many, 1):.2f} against {_cost(few, of_few, 1):.2f} µs",
    )
    cost = _cost(few, of_few, 1)
    for room, part in shares(lambda: derived_seconds(few), str(_ROOT)).items():
        yield Result(
            what=f"of that: {room}",
            against=f"(b), {_FEW} assets, profiled",
            value=100 * part,
            unit="%",
            bar=None,
            at_most=True,
            detail=f"{cost * part:.2f} µs per frame",
        )


def _rounds(frames: Frames, rounds: int) -> Rounds:
    return [(raw_seconds(frames), derived_seconds(frames)) for _ in range(rounds)]


def _derived(frames: Frames, rounds: Rounds, bar: float | None) -> Result:
    raw, own = _cost(frames, rounds, 0), _cost(frames, rounds, 1)
    return Result(
        what=f"(b) derive, everything on, {frames.assets:,} assets",
        against="(a) raw Bytewax, an empty logic",
        value=median(raw / own for raw, own in rounds),
        unit="x",
        bar=bar,
        at_most=False,
        detail=f"{1e6 / own:,.0f} against {1e6 / raw:,.0f} frames/s, "
        f"{own:.2f} against {raw:.2f} µs per frame",
    )


def _cost(frames: Frames, rounds: Rounds, which: int) -> float:
    """Microseconds per frame, of (a) or (b), the median."""
    return median(each[which] for each in rounds) / len(frames) * 1e6


def _against_peer(fast: bool) -> Iterator[Result]:
    frames, rounds = (100_000, 1) if fast else (200_000, 3)
    some = frames // 10
    with (
        TemporaryDirectory() as folder,
        KafkaBroker(Path(folder) / "kafka", jvm=()) as broker,
    ):
        servers = broker.bootstrap_servers
        fill(servers, frames)
        pairs = [
            (
                frames / seconds("derive_windows", servers, frames),
                some / peer_seconds("quix_windows.py", servers, some),
            )
            for _ in range(rounds)
        ]
    ours, peer = (median(column) for column in zip(*pairs, strict=True))
    yield Result(
        what="(d) gaps and 10 s windows alone, 500 assets in Kafka",
        against="(c) the same in Quix Streams",
        value=median(ours / peer for ours, peer in pairs),
        unit="x",
        bar=10.0,
        at_most=False,
        detail=f"{ours:,.0f} against {peer:,.0f} frames/s",
    )
