"""Kafka to Delta in Quix Streams: a peer, run by an environment of its own.

``python quix.py SERVERS FRAMES FOLDER``: decode with fastavro by the schema found
in ``pm500.schemas``, one row a frame, batches by partition to one Delta table. Prints the
seconds from the first message to the last commit. It imports nothing of pm500.
"""

from __future__ import annotations

import io
import json
import sys
import time
from datetime import UTC, datetime
from typing import Any

import confluent_kafka
import fastavro
import pyarrow as pa
from deltalake import write_deltalake
from quixstreams import Application
from quixstreams.models.serializers import Deserializer
from quixstreams.sinks import BatchingSink, SinkBatch

_HEADER = 10


def schema_of(servers: str) -> Any:
    """The one frame schema in the schemas topic."""
    consumer = confluent_kafka.Consumer(
        {"bootstrap.servers": servers, "group.id": "peer-schemas"}
    )
    consumer.assign([confluent_kafka.TopicPartition("pm500.schemas", 0, 0)])
    while True:
        message = consumer.poll(1.0)
        if message is not None and message.error() is None:
            schema = json.loads(message.value())
            if schema["name"].rpartition(".")[2].startswith("Frame"):
                consumer.close()
                return fastavro.parse_schema(schema)


class Frame(Deserializer):
    """One frame as a dictionary."""

    def __init__(self, schema: Any) -> None:
        super().__init__()
        self._schema = schema
        self.first = 0.0

    def __call__(self, value: bytes, ctx: Any) -> dict[str, Any]:
        self.first = self.first or time.perf_counter()
        body = io.BytesIO(value[_HEADER:])
        return fastavro.schemaless_reader(body, self._schema, None)


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
        consumer_extra_config={"fetch.queue.backoff.ms": 5},
        loglevel="ERROR",
    )
    decode = Frame(schema_of(servers))
    topic = app.topic(
        "pm500.frames", key_deserializer="bytes", value_deserializer=decode
    )
    app.dataframe(topic).sink(Delta(folder))
    app.run(count=frames, collect=False)
    print(time.perf_counter() - decode.first)


main()
