"""Gaps and 10 s windows in Quix Streams: a peer, run by an environment of its own.

``python quix_windows.py SERVERS FRAMES``: decode with fastavro, tell missing numbers of
each asset, and give mean, minimum and maximum of all readings over 10 s of the frames'
own time, 2 s late. Prints the seconds from the first message to the last. It imports
nothing of pm500.

Of what the library offers this is the fastest way: a collector writes each frame once,
where an aggregator reads and writes its state for each; windows are closed by partition,
which spares a search for each frame; no changelog topics, and no commit within the run.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Iterable
from operator import itemgetter
from tempfile import TemporaryDirectory
from typing import Any

from quix_frames import CONSUMER, TOPIC, Frame, schema_of
from quixstreams import Application, State
from quixstreams.dataframe.windows.aggregations import Collector

Row = tuple[float, ...]


class Statistics(Collector):
    """Mean, minimum and maximum of each reading of a window's frames."""

    def result(self, items: Iterable[Row]) -> tuple[list[float], ...]:
        columns = list(zip(*items))  # noqa: B905 - all have the same length
        return (
            [sum(column) / len(column) for column in columns],
            [min(column) for column in columns],
            [max(column) for column in columns],
        )


class Counts:
    """What came out, and when the last frame was done."""

    def __init__(self, frames: int) -> None:
        self._frames = frames
        self.done = self.windows = self.missing = 0
        self.last = 0.0

    def gap(self, frame: dict[str, Any], state: State) -> None:
        before, number = state.get("seq"), frame["seq"]
        if before is not None and number > before + 1:
            self.missing += number - before - 1
        state.set("seq", number)

    def window(self, window: dict[str, Any]) -> None:
        assert len(window["statistics"][0]) > 1
        self.windows += 1

    def processed(self) -> bool:
        """Whether that was the last one."""
        self.done += 1
        if self.done == self._frames:
            self.last = time.perf_counter()
        return self.done >= self._frames


def main(folder: str) -> None:
    servers, frames = sys.argv[1], int(sys.argv[2])
    counts = Counts(frames)
    app = Application(
        broker_address=servers,
        consumer_group="peer-windows",
        auto_offset_reset="earliest",
        commit_every=10 * frames,
        commit_interval=600.0,
        consumer_extra_config=CONSUMER,
        state_dir=folder,
        use_changelog_topics=False,
        on_message_processed=lambda *_: app.stop() if counts.processed() else None,
        loglevel="ERROR",
    )
    schema = schema_of(servers)
    readings = [f["name"] for f in schema["fields"] if f["type"] in ("float", "double")]
    decode = Frame(schema)
    topic = app.topic(
        TOPIC,
        key_deserializer="bytes",
        value_deserializer=decode,
        timestamp_extractor=lambda frame, *_: frame["slot"] // 1000,
    )
    (
        app.dataframe(topic)
        .update(counts.gap, stateful=True)
        .apply(itemgetter(*readings))
        .tumbling_window(10_000, grace_ms=2_000)
        .agg(statistics=Statistics())
        .final(closing_strategy="partition")
        .update(counts.window)
    )
    gc.collect()
    gc.freeze()
    gc.set_threshold(1_000_000, 50, 100)
    app.run()
    assert counts.windows > 0, "no window was closed"
    assert counts.missing == 0, f"{counts.missing} frames are missing"
    print(counts.last - decode.first)


with TemporaryDirectory() as own:
    main(own)
