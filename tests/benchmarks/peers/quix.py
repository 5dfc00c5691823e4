"""Kafka to Delta in Quix Streams: a peer, run by an environment of its own.

``python quix.py SERVERS FRAMES FOLDER``: decode with fastavro by the schema found
in ``pm500.schemas``, one row a frame, batches by partition to one Delta table. Prints the
seconds from the first message to the last commit. It imports nothing of pm500.
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime

import pyarrow as pa
from deltalake import write_deltalake
from quix_frames import CONSUMER, TOPIC, Frame, schema_of
from quixstreams import Application
from quixstreams.sinks import BatchingSink, SinkBatch


class Delta(BatchingSink):
    """Appends each batch to one table, by site and date."""

    def __init__(self, folder: str) -> None:
        super().__init__()
        self._folder = folder

    def write(self, batch: SinkBatch) -> None:
        rows = []
        for item in batch:
            row = dict(item.value)
            row["site"], row["area"], row["asset"] = item.key.decode().split("/")
            row["date"] = datetime.fromtimestamp(row["slot"] / 1e6, UTC).date()
            row["quality"] = max(row["quality"])
            rows.append(row)
        write_deltalake(
            self._folder,
            pa.Table.from_pylist(rows),
            mode="append",
            partition_by=["site", "date"],
        )


def main() -> None:
    servers, frames, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    app = Application(
        broker_address=servers,
        consumer_group="peer",
        auto_offset_reset="earliest",
        commit_every=125_000,
        commit_interval=60.0,
        consumer_extra_config=CONSUMER,
        loglevel="ERROR",
    )
    decode = Frame(schema_of(servers))
    topic = app.topic(TOPIC, key_deserializer="bytes", value_deserializer=decode)
    app.dataframe(topic).sink(Delta(folder))
    app.run(count=frames, collect=False)
    print(time.perf_counter() - decode.first)


main()
