"""What the peers in Quix Streams share: frames of the topic, decoded with fastavro.

It imports nothing of pm500, and runs in an environment of its own.
"""

from __future__ import annotations

import io
import json
import time
from typing import Any

import confluent_kafka
import fastavro
from quixstreams.models.serializers import Deserializer

__all__ = ["CONSUMER", "TOPIC", "Frame", "schema_of"]

TOPIC = "pm500.frames"
# As the flows' own consumer: at the default of 1000 ms a full queue stalls the fetcher.
CONSUMER = {"fetch.queue.backoff.ms": 5}
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
    """One frame as a dictionary; ``first`` is when the first one came."""

    def __init__(self, schema: Any) -> None:
        super().__init__()
        self._schema = schema
        self.first = 0.0

    def __call__(self, value: bytes, ctx: Any) -> dict[str, Any]:
        self.first = self.first or time.perf_counter()
        body = io.BytesIO(value[_HEADER:])
        return fastavro.schemaless_reader(body, self._schema, None)
