"""librdkafka's cluster in this process, for the faults that a real broker cannot be told.

It lives in memory, keeps about 5 MiB a partition, and knows neither CreateTopics nor
look-ups by time: what claims delivery is tested on a real broker (kafka_broker.py).
"""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_char_p, c_int, c_int16, c_int32, c_size_t, c_void_p
from enum import IntEnum
from pathlib import Path

import confluent_kafka

__all__ = ["MockCluster", "Request"]

PRODUCER = 0
EVERY_BROKER = -1


class Request(IntEnum):
    """The kinds of requests, by Kafka's numbers."""

    PRODUCE = 0
    FETCH = 1
    LIST_OFFSETS = 2
    METADATA = 3
    OFFSET_COMMIT = 8
    OFFSET_FETCH = 9
    FIND_COORDINATOR = 10
    INIT_PRODUCER_ID = 22


def librdkafka() -> ctypes.CDLL:
    """The library that confluent_kafka itself has loaded, its functions declared."""
    folder = Path(confluent_kafka.__file__).parents[1] / "confluent_kafka.libs"
    # By its file, since the name has a hash in it; loaded once, whoever asks.
    library = ctypes.CDLL(str(next(folder.glob("librdkafka-*.so*"))))
    broker = [c_void_p, c_int32]
    for name, result, arguments in [
        ("conf_new", c_void_p, []),
        ("conf_set", c_int, [c_void_p, c_char_p, c_char_p, c_char_p, c_size_t]),
        ("new", c_void_p, [c_int, c_void_p, c_char_p, c_size_t]),
        ("destroy", None, [c_void_p]),
        ("mock_cluster_new", c_void_p, [c_void_p, c_int]),
        ("mock_cluster_destroy", None, [c_void_p]),
        ("mock_cluster_bootstraps", c_char_p, [c_void_p]),
        ("mock_topic_create", c_int, [c_void_p, c_char_p, c_int, c_int]),
        ("mock_broker_set_down", c_int, broker),
        ("mock_broker_set_up", c_int, broker),
        ("mock_broker_set_rtt", c_int, [*broker, c_int]),
        (
            "mock_push_request_errors_array",
            None,
            [c_void_p, c_int16, c_size_t, POINTER(c_int)],
        ),
    ]:
        function = getattr(library, f"rd_kafka_{name}")
        function.restype = result
        function.argtypes = arguments
    return library


class MockCluster:
    """Brokers 1 to ``brokers`` on loopback; a context manager.

    Other clients and processes can use ``bootstrap_servers`` until it is left. A topic
    that is not created by ``topic_create`` appears on its first use with 4 partitions.
    """

    def __init__(self, brokers: int = 1) -> None:
        self._library = librdkafka()
        self._brokers = brokers
        self.bootstrap_servers = ""

    def __enter__(self) -> MockCluster:
        said = ctypes.create_string_buffer(512)
        settings = self._library.rd_kafka_conf_new()
        self._library.rd_kafka_conf_set(settings, b"log_level", b"0", said, len(said))
        self._client = self._library.rd_kafka_new(PRODUCER, settings, said, len(said))
        assert self._client, said.value
        self._cluster = self._library.rd_kafka_mock_cluster_new(
            self._client, self._brokers
        )
        assert self._cluster, "librdkafka made no mock cluster"
        addresses: bytes = self._library.rd_kafka_mock_cluster_bootstraps(self._cluster)
        self.bootstrap_servers = addresses.decode()
        return self

    def __exit__(self, *_: object) -> None:
        self._library.rd_kafka_mock_cluster_destroy(self._cluster)
        self._library.rd_kafka_destroy(self._client)

    def topic_create(self, name: str, partitions: int = 1) -> None:
        """A topic with one replica."""
        self._done(
            self._library.rd_kafka_mock_topic_create(
                self._cluster, name.encode(), partitions, 1
            )
        )

    def set_down(self, broker: int = EVERY_BROKER) -> None:
        """It drops its connections and takes no new ones; all of them without a number."""
        for one in self._numbers(broker):
            self._done(self._library.rd_kafka_mock_broker_set_down(self._cluster, one))

    def set_up(self, broker: int = EVERY_BROKER) -> None:
        """It takes connections again."""
        for one in self._numbers(broker):
            self._done(self._library.rd_kafka_mock_broker_set_up(self._cluster, one))

    def set_rtt(self, milliseconds: int, broker: int = EVERY_BROKER) -> None:
        """From now on its answers take this long."""
        for one in self._numbers(broker):
            self._done(
                self._library.rd_kafka_mock_broker_set_rtt(
                    self._cluster, one, milliseconds
                )
            )

    def push_request_errors(self, request: Request, *codes: int) -> None:
        """The next requests of this kind are answered by these codes, one each.

        Codes are those of ``confluent_kafka.KafkaError``; 0 is a request that succeeds.
        """
        errors = (c_int * len(codes))(*codes)
        self._library.rd_kafka_mock_push_request_errors_array(
            self._cluster, request, len(codes), errors
        )

    def _numbers(self, broker: int) -> range:
        if broker == EVERY_BROKER:
            return range(1, self._brokers + 1)
        return range(broker, broker + 1)

    @staticmethod
    def _done(code: int) -> None:
        if code:
            raise ValueError(
                f"the mock cluster refused: {confluent_kafka.KafkaError(code)}"
            )
