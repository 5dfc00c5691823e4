"""Batch decode to typed columns against fastavro reading the same records."""

from __future__ import annotations

import io
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import fastavro

from connectors.profiles import load_profile
from tests.benchmarks.result import Result
from transforms.codec.batch import decode_batch
from transforms.codec.frame import FrameSchema, frame_schema
from transforms.codec.framing import HEADER_BYTES

_FRAMES = 5_000


def run(fast: bool) -> Iterator[Result]:
    """5,000 frames of each group of the PM500, best of several passes."""
    profile = load_profile("pm500")
    for name in ("realtime", "energy"):
        schema = frame_schema(profile, profile.group_named(name))
        values = _frames(schema)
        parsed: Any = fastavro.parse_schema(schema.avro)

        def ours(schema: FrameSchema = schema, values: list[bytes] = values) -> None:
            decode_batch(schema, values)

        def peer(parsed: dict[str, Any] = parsed, values: list[bytes] = values) -> None:
            for value in values:
                body = io.BytesIO(value[HEADER_BYTES:])
                fastavro.schemaless_reader(body, parsed, None)

        passes = 3 if fast else 9
        mine, theirs = _best(ours, passes), _best(peer, passes)
        yield Result(
            what=f"batch decode, {name} ({len(schema.columns)} readings)",
            against="fastavro.schemaless_reader",
            value=theirs / mine,
            unit="x",
            bar=20.0 if name == "realtime" else None,
            at_most=False,
            detail=f"{mine / _FRAMES * 1e6:.2f} against {theirs / _FRAMES * 1e6:.2f} "
            "µs a frame",
        )


def _frames(schema: FrameSchema) -> list[bytes]:
    dice = random.Random(1)
    now = time.time_ns() // 1000
    first = now // 1_000_000
    return [
        schema.encode(
            first + n,
            1_000_000,
            (first + n) * 1_000_000,
            now + n * 1_000_000 + 300,
            now + n * 1_000_000 + 4_300,
            0,
            bytes(len(schema.columns)),
            [dice.random() * 100 for _ in schema.columns],
        )
        for n in range(_FRAMES)
    ]


def _best(work: Callable[[], None], passes: int) -> float:
    times = []
    for _ in range(passes):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)
