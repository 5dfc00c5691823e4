"""A process of its own that works on a log: ``python -m tests.connectors.log.child``.

Arguments: what to do, the pickled factory in hex, the topic, numbers.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
import time
from hashlib import blake2b
from pathlib import Path

import structlog

from tests.connectors.log.factories import LogFactory

ROOT = Path(__file__).parents[3]


def start(what: str, factory: LogFactory, *arguments: object) -> subprocess.Popen[str]:
    """Start such a process; its output is text, a line at a time."""
    pickled = pickle.dumps(factory).hex()
    words = [str(word) for word in arguments]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.connectors.log.child", what, pickled, *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def value_at(offset: int) -> bytes:
    """The value that ``append_for_ever`` writes at an offset, of about 190 bytes."""
    return blake2b(str(offset).encode()).digest() * (2 + offset % 3)


def append(factory: LogFactory, topic: str, key: str, batches: int, size: int) -> None:
    """Append numbered records in batches."""
    log = factory.open()
    for batch in range(batches):
        first = batch * size
        log.append(topic, [(key, f"{first + n}".encode()) for n in range(size)])
    log.close()


def append_for_ever(factory: LogFactory, topic: str, size: int) -> None:
    """As the only writer: append, then print the last acknowledged offset."""
    log = factory.open()
    _, following = log.bounds(topic, log.partitions(topic)[0])
    while True:
        numbers = range(following, following + size)
        offsets = log.append(topic, [(f"key-{n % 7}", value_at(n)) for n in numbers])
        following = offsets[-1] + 1
        print(offsets[-1], flush=True)


def read(factory: LogFactory, topic: str, reader: str, wanted: int) -> None:
    """Follow a topic from the reader's position; print values, store the position."""
    log = factory.open()
    print("ready", flush=True)
    while wanted:
        for partition in log.partitions(topic):
            start_at = log.position(reader, topic, partition) or 0
            records = log.read(topic, partition, start_at, 10)
            for record in records[:wanted]:
                print(record.value.decode(), flush=True)
            wanted -= len(records[:wanted])
            if records:
                log.store_position(reader, topic, partition, records[-1].offset + 1)
        time.sleep(0.001)
    log.close()


def tail(factory: LogFactory, topic: str, duty: float) -> None:
    """Read the newest records over and over, ``duty`` of the time, for ever."""
    log = factory.open()
    print("ready", flush=True)
    while True:
        started = time.perf_counter()
        _, following = log.bounds(topic, 0)
        log.read(topic, 0, max(0, following - 1000), 1000)
        time.sleep((time.perf_counter() - started) * (1 / duty - 1))


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    what, pickled, topic, *rest = sys.argv[1:]
    factory: LogFactory = pickle.loads(bytes.fromhex(pickled))
    match what:
        case "append":
            append(factory, topic, rest[0], int(rest[1]), int(rest[2]))
        case "append_for_ever":
            append_for_ever(factory, topic, int(rest[0]))
        case "read":
            read(factory, topic, rest[0], int(rest[1]))
        case "tail":
            tail(factory, topic, float(rest[0]))
