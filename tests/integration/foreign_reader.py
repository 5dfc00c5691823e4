"""A consumer that knows nothing of pm500 but its topics: Kafka, Avro and the schemas.

``python foreign_reader.py SERVERS PREFIX COUNT`` prints COUNT frames as JSON lines. It
imports nothing of this project, and finds every schema in ``pm500.schemas``.
"""

import io
import json
import sys
from typing import Any

import fastavro
from confluent_kafka import Consumer, Message, TopicPartition
from fastavro.schema import fingerprint, to_parsing_canonical_form

HEADER = 10  # C3 01 and eight bytes of the schema's fingerprint
SECONDS = 20.0


def messages(servers: str, topic: str, count: int) -> list[Message]:
    """The first messages of all partitions; fewer where no more come."""
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "a stranger",
            "enable.auto.commit": False,
        }
    )
    found = consumer.list_topics(topic, timeout=SECONDS).topics[topic]
    consumer.assign([TopicPartition(topic, n, 0) for n in found.partitions])
    got: list[Message] = []
    while len(got) < count:
        message = consumer.poll(SECONDS if not got else 2.0)
        if message is None:
            break
        if message.error() is None:
            got.append(message)
    consumer.close()
    return got


def main(servers: str, prefix: str, count: int) -> None:
    """Print the frames."""
    schemas: dict[bytes, Any] = {}
    for message in messages(servers, f"{prefix}pm500.schemas", 10_000):
        schema = json.loads(message.value() or b"")
        # The fingerprint is Avro's own: CRC-64-AVRO of the canonical form.
        own = fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO")
        assert (message.key() or b"").decode() == own
        schemas[bytes.fromhex(own)] = fastavro.parse_schema(schema)
    for message in messages(servers, f"{prefix}pm500.frames", count):
        value = message.value() or b""
        assert value[:2] == b"\xc3\x01"
        body = io.BytesIO(value[HEADER:])
        frame: Any = fastavro.schemaless_reader(body, schemas[value[2:HEADER]], None)
        assert body.read() == b""
        headers: Any = message.headers() or []
        line = {
            "key": (message.key() or b"").decode(),
            "partition": message.partition(),
            "offset": message.offset(),
            "headers": {name: text.decode() for name, text in headers},
            "frame": frame | {"quality": frame["quality"].hex()},
        }
        print(json.dumps(line))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
