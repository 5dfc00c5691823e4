"""What every log must do. An implementation adds one fixture:

    class TestMine(LogContract):
        @pytest.fixture
        def log_factory(self, tmp_path): return MyFactory(...)   # factories.LogFactory

Records of one key go to one partition, so most tests use one key and look for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.log.contract import Log, LogError, OffsetGone, Record
from tests.connectors.log import child
from tests.connectors.log.factories import LogFactory

TOPIC = "pm500.test"
KEYS = st.text(st.characters(codec="utf-8"), max_size=40)
# A topic of its own for each example: the log may be a dear one.
# Each kind of log runs these tests as a class of its own.
shared_log = settings(
    max_examples=30,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.differing_executors,
    ],
)


def everything(log: Log, topic: str = TOPIC) -> list[Record]:
    """All records of a topic, by partition and offset."""
    found = []
    for partition in log.partitions(topic):
        offset, _ = log.bounds(topic, partition)
        while records := log.read(topic, partition, offset, 1000):
            found += records
            offset = records[-1].offset + 1
    return found


def home(log: Log, topic: str = TOPIC) -> int:
    """The one partition that holds something."""
    (partition,) = (p for p in log.partitions(topic) if log.bounds(topic, p)[1])
    return partition


def numbered(*numbers: int) -> list[tuple[str, bytes]]:
    return [("plant/area/one", str(number).encode()) for number in numbers]


class LogContract:
    @pytest.fixture
    def log(self, log_factory: LogFactory) -> Iterator[Log]:
        log = log_factory.open()
        yield log
        log.close()

    def test_an_unknown_topic_is_empty_and_has_partition_0(self, log: Log) -> None:
        assert log.partitions(TOPIC) == (0,)
        assert log.bounds(TOPIC, 0) == (0, 0)
        assert log.read(TOPIC, 0, 0, 10) == []
        assert log.position("archive", TOPIC, 0) is None

    def test_offsets_start_at_0_and_are_dense(self, log: Log) -> None:
        assert list(log.append(TOPIC, numbered(1, 2, 3))) == [0, 1, 2]
        assert list(log.append(TOPIC, numbered(4))) == [3]
        assert log.bounds(TOPIC, home(log)) == (0, 4)

    def test_an_append_of_nothing_does_nothing(self, log: Log) -> None:
        assert list(log.append(TOPIC, [])) == []
        assert log.bounds(TOPIC, 0) == (0, 0)

    def test_records_are_read_as_they_were_appended(self, log: Log) -> None:
        log.append(TOPIC, numbered(1, 2))
        first, second = log.read(TOPIC, home(log), 0, 10)
        assert first == (0, first.time_us, "plant/area/one", b"1")
        assert second == (1, second.time_us, "plant/area/one", b"2")
        assert first.time_us > 1_700_000_000_000_000

    def test_a_read_starts_at_the_offset_and_ends_at_the_maximum(
        self, log: Log
    ) -> None:
        log.append(TOPIC, numbered(*range(10)))
        records = log.read(TOPIC, home(log), 3, 4)
        assert [record.offset for record in records] == [3, 4, 5, 6]

    def test_a_read_at_the_end_gives_nothing(self, log: Log) -> None:
        log.append(TOPIC, numbered(1))
        assert log.read(TOPIC, home(log), 1, 10) == []

    def test_a_position_beyond_the_end_is_an_error(self, log: Log) -> None:
        log.append(TOPIC, numbered(1))
        with pytest.raises(LogError):
            log.read(TOPIC, home(log), 2, 10)

    def test_topics_do_not_touch_each_other(self, log: Log) -> None:
        log.append(TOPIC, numbered(1, 2))
        log.append("pm500.other", numbered(3))
        assert [record.value for record in everything(log)] == [b"1", b"2"]
        assert [r.value for r in everything(log, "pm500.other")] == [b"3"]
        assert log.bounds("pm500.other", home(log, "pm500.other")) == (0, 1)

    @shared_log
    @given(records=st.lists(st.tuples(KEYS, st.binary(max_size=600)), max_size=30))
    def test_any_key_and_value_come_back_in_order_by_key(
        self, log: Log, records: list[tuple[str, bytes]]
    ) -> None:
        topic = f"pm500.any-{uuid4()}"
        offsets = log.append(topic, records)
        found = everything(log, topic)
        assert len(offsets) == len(records)
        assert sorted((r.key, r.value) for r in found) == sorted(records)
        for key in {key for key, _ in records}:
            appended = [value for own, value in records if own == key]
            assert [r.value for r in found if r.key == key] == appended

    @shared_log
    @given(sizes=st.lists(st.integers(0, 40), max_size=8), step=st.integers(1, 50))
    def test_reading_on_meets_every_record_once(
        self, log: Log, sizes: list[int], step: int
    ) -> None:
        topic = f"pm500.any-{uuid4()}"
        total = 0
        for size in sizes:
            log.append(topic, numbered(*range(total, total + size)))
            total += size
        partition = home(log, topic) if total else 0
        met: list[bytes] = []
        while records := log.read(topic, partition, len(met), step):
            met += [record.value for record in records]
        assert met == [str(number).encode() for number in range(total)]

    def test_another_handle_sees_what_was_appended(
        self, log: Log, log_factory: LogFactory
    ) -> None:
        reader = log_factory.open()
        assert everything(reader) == []
        log.append(TOPIC, numbered(1, 2))
        assert everything(reader) == everything(log)
        reader.close()

    def test_the_log_id_stays_and_is_another_log_s_not(
        self, log: Log, log_factory: LogFactory
    ) -> None:
        again, another = log_factory.open(), log_factory.another().open()
        assert log.identity(TOPIC)
        assert again.identity(TOPIC) == log.identity(TOPIC)
        assert another.identity(TOPIC) != log.identity(TOPIC)
        again.close()
        another.close()

    def test_positions_belong_to_reader_and_topic(
        self, log: Log, log_factory: LogFactory
    ) -> None:
        log.append(TOPIC, numbered(1, 2))
        log.append("pm500.other", numbered(1))
        partition = home(log)
        log.store_position("archive", TOPIC, partition, 1)
        log.store_position("archive", TOPIC, partition, 2)
        log.store_position("publish", TOPIC, partition, 1)
        again = log_factory.open()
        assert again.position("archive", TOPIC, partition) == 2
        assert again.position("publish", TOPIC, partition) == 1
        other = home(again, "pm500.other")
        assert again.position("archive", "pm500.other", other) is None
        again.close()

    def test_a_position_may_go_back(self, log: Log) -> None:
        log.append(TOPIC, numbered(1, 2))
        log.store_position("archive", TOPIC, home(log), 2)
        log.store_position("archive", TOPIC, home(log), 0)
        assert log.position("archive", TOPIC, home(log)) == 0

    def test_what_retention_took_is_said_to_be_gone(
        self, log: Log, log_factory: LogFactory
    ) -> None:
        log.append(TOPIC, numbered(*range(10)))
        partition = home(log)
        log_factory.truncate(TOPIC, partition, 4)
        assert log.bounds(TOPIC, partition) == (4, 10)
        with pytest.raises(OffsetGone) as gone:
            log.read(TOPIC, partition, 3, 10)
        assert (gone.value.asked, gone.value.first) == (3, 4)
        assert (gone.value.topic, gone.value.partition) == (TOPIC, partition)
        assert [r.offset for r in log.read(TOPIC, partition, 4, 2)] == [4, 5]

    def test_offsets_are_never_used_again(
        self, log: Log, log_factory: LogFactory
    ) -> None:
        log.append(TOPIC, numbered(1, 2, 3))
        partition = home(log)
        log_factory.truncate(TOPIC, partition, 3)
        assert log.bounds(TOPIC, partition) == (3, 3)
        assert log.read(TOPIC, partition, 3, 10) == []
        with pytest.raises(OffsetGone):
            log.read(TOPIC, partition, 2, 10)
        again = log_factory.open()
        assert list(again.append(TOPIC, numbered(4))) == [3]
        again.close()

    def test_a_sync_and_a_second_close_are_harmless(
        self, log_factory: LogFactory
    ) -> None:
        log = log_factory.open()
        log.sync()
        log.append(TOPIC, numbered(1))
        log.sync()
        log.close()
        log.close()

    @pytest.mark.integration
    def test_a_reader_in_another_process_follows_and_resumes(
        self, log: Log, log_factory: LogFactory
    ) -> None:
        for first in (0, 50):
            reader = child.start("read", log_factory, TOPIC, "follower", 50)
            try:
                assert reader.stdout is not None
                assert reader.stdout.readline() == "ready\n"
                for number in range(first, first + 50, 5):
                    log.append(TOPIC, numbered(*range(number, number + 5)))
                output = reader.stdout.read()
                assert reader.wait() == 0
            finally:
                reader.kill()
            assert output.split() == [str(n) for n in range(first, first + 50)]
            assert log.position("follower", TOPIC, home(log)) == first + 50

    @pytest.mark.integration
    def test_appenders_in_two_processes_share_dense_offsets(
        self, log: Log, log_factory: LogFactory
    ) -> None:
        sizes = {"plant/area/left": 7, "plant/area/right": 13}
        appenders = [
            child.start("append", log_factory, TOPIC, key, 150, size)
            for key, size in sizes.items()
        ]
        codes = [appender.wait(timeout=60) for appender in appenders]
        assert codes == [0, 0]
        found = everything(log)
        for partition in log.partitions(TOPIC):
            first, following = log.bounds(TOPIC, partition)
            assert first == 0
            records = log.read(TOPIC, partition, 0, 10_000)
            assert [record.offset for record in records] == list(range(following))
        for key, size in sizes.items():
            own = [json.loads(record.value) for record in found if record.key == key]
            assert own == list(range(150 * size))

    def test_times_do_not_go_back_in_a_quiet_world(self, log: Log) -> None:
        for number in range(5):
            log.append(TOPIC, numbered(number))
        times = [record.time_us for record in everything(log)]
        assert all(before <= after for before, after in pairwise(times))
