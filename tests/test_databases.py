"""The real databases that tests of the time series sink use."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.influxdb import INFLUXDB, InfluxDb
from tests.victoria import VICTORIA, VictoriaMetrics

pytestmark = pytest.mark.integration

NOON_NS = 1_767_182_400_000_000_000


def test_influxdb_gives_rows_with_tags_and_times_in_ns(influxdb: InfluxDb) -> None:
    influxdb.write(f"rows,asset=m1 kW=1.5,kVA=2 {NOON_NS + 1}\nrows,asset=m2 kW=3 7")
    assert influxdb.query("SELECT kW FROM rows GROUP BY asset") == [
        {"asset": "m1", "time": NOON_NS + 1, "kW": 1.5},
        {"asset": "m2", "time": 7, "kW": 3},
    ]
    assert influxdb.query("SELECT kW FROM nothing") == []


def test_influxdb_says_what_is_wrong_with_a_query(influxdb: InfluxDb) -> None:
    with pytest.raises(AssertionError, match="mixing aggregate and non-aggregate"):
        influxdb.query("SELECT mean(kW), kW FROM rows")


@pytest.mark.skipif(INFLUXDB is None, reason="no influxdb")
def test_a_killed_influxdb_comes_back_with_its_data(tmp_path: Path) -> None:
    with InfluxDb(tmp_path) as server:
        first = server.pid, server.port
        server.write("kept kW=1 1")
        server.kill()
        with pytest.raises(OSError, match="refused"):
            server.write("kept kW=2 2")
        server.start()
        assert server.pid != first[0]
        assert server.port == first[1]
        server.write("kept kW=3 3")
        server.stop()
        server.start()
        rows = server.query("SELECT kW FROM kept")
    assert rows == [{"time": 1, "kW": 1}, {"time": 3, "kW": 3}]


def test_victoria_shows_what_was_just_written(victoria: VictoriaMetrics) -> None:
    victoria.write(f"rows,asset=m1 kW=1.5,kVA=2 {NOON_NS}")
    assert victoria.export('{__name__="rows_kW"}') == [
        {
            "metric": {"__name__": "rows_kW", "asset": "m1"},
            "values": [1.5],
            "timestamps": [NOON_NS // 10**6],
        }
    ]
    [sample] = victoria.query("rows_kVA", time=str(NOON_NS // 10**9))
    assert sample["value"] == [NOON_NS // 10**9, "2"]
    assert victoria.export('{__name__="nothing"}') == []


@pytest.mark.skipif(VICTORIA is None, reason="no victoria-metrics")
def test_a_stopped_victoria_comes_back_with_its_data(tmp_path: Path) -> None:
    with VictoriaMetrics(tmp_path) as server:
        server.write("kept kW=1 1767182400000000000")
        server.stop()
        with pytest.raises(OSError, match="refused"):
            server.write("kept kW=2 1767182401000000000")
        server.start()
        [series] = server.export('{__name__="kept_kW"}')
    assert series["values"] == [1]
