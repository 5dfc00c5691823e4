"""A topic full of realtime frames, and the raw loop that only touches their bytes.

``python -m tests.benchmarks.kafka_topic SERVERS FRAMES`` is the raw loop; it prints its
seconds.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np
from confluent_kafka import TopicPartition

from connectors.log.contract import FRAMES
from connectors.log.kafka.client import KafkaClient
from connectors.log.kafka.forwarded import edge_header
from connectors.log.kafka.log import KafkaLog
from connectors.log.kafka.topics import TopicRules, make
from connectors.log.schemas import publish_schemas
from connectors.profiles import load_profile
from transforms.codec.frame import frame_schema

__all__ = ["ASSETS", "PARTITIONS", "fill", "read_raw"]

ASSETS = 500
PARTITIONS = 4
# 2026-03-01 12:00:00 UTC
_NOON_US = 1_772_366_400_000_000
_SECOND_US = 1_000_000


def fill(servers: str, frames: int) -> None:
    """Produce so many frames, one a second of each of 500 assets, by 4 partitions."""
    client = KafkaClient(bootstrap_servers=servers)
    rules = TopicRules(partitions=PARTITIONS)
    make(client, rules.plans())
    log = KafkaLog(client, rules)
    profile = load_profile("pm500")
    schema = frame_schema(profile, profile.group_named("realtime"))
    publish_schemas(log, [schema])
    log.close()
    producer = client.producer({"queue.buffering.max.messages": 500_000})
    dice = np.random.default_rng(1)
    base = dice.random((ASSETS, len(schema.columns))) * 400
    keys = [f"plant/hall{n // 50}/m{n}".encode() for n in range(ASSETS)]
    good = bytes(len(schema.columns))
    for second in range(frames // ASSETS):
        slot = _NOON_US + second * _SECOND_US
        noise = 1 + 0.01 * dice.standard_normal(base.shape)
        rows = (base * noise).astype(np.float32).tolist()
        for n, key in enumerate(keys):
            sent, received = slot + 300 + n, slot + 4300 + 3 * n
            value = schema.encode(
                slot // _SECOND_US, _SECOND_US, slot, sent, received, 0, good, rows[n]
            )
            header: Any = edge_header("0" * 36, second * ASSETS + n)
            while True:
                try:
                    producer.produce(
                        FRAMES, value, key, partition=n % PARTITIONS, headers=header
                    )
                    break
                except BufferError:
                    producer.poll(0.1)
        producer.poll(0)
    assert producer.flush(60) == 0


def read_raw(servers: str, frames: int) -> float:
    """Consume them and touch nothing but their bytes; the seconds that it took."""
    consumer = KafkaClient(bootstrap_servers=servers).consumer("raw")
    consumer.assign([TopicPartition(FRAMES, n, 0) for n in range(PARTITIONS)])
    seen = size = 0
    started = time.perf_counter()
    while seen < frames:
        messages = consumer.consume(5000, 0.1)
        for message in messages:
            size += len(message.value() or b"")
        seen += len(messages)
    took = time.perf_counter() - started
    consumer.close()
    return took


if __name__ == "__main__":
    print(read_raw(sys.argv[1], int(sys.argv[2])))
