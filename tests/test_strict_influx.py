"""The strict InfluxDB: what it reads, keeps and answers, and that real ones agree."""

from __future__ import annotations

import gzip
import http.client
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.parse import urlencode

import pytest

from tests.influxdb import InfluxDb
from tests.kit import until
from tests.line_protocol import Point, parse
from tests.strict_influx import DISK_FULL, Refusal, StrictInflux

pytestmark = pytest.mark.integration

NOON_NS = 1_767_182_400_000_000_000
TOKEN = {"Authorization": "Token the token"}
V1 = {"db": "pm500", "precision": "ns"}
V2 = {"org": "plant", "bucket": "meters", "precision": "ns"}
PARTIAL = "partial write: unable to parse"
CONFLICT = (
    'partial write: field type conflict: input field "kW" on measurement "m" is type'
    " integer, already exists as type float dropped=1"
)


class Answer(NamedTuple):
    code: int
    body: dict[str, str]
    headers: dict[str, str]


@pytest.fixture
def influx() -> Iterator[StrictInflux]:
    with StrictInflux(clock_ns=lambda: NOON_NS) as server:
        yield server


def ask(
    influx: StrictInflux,
    method: str,
    path: str,
    body: bytes = b"",
    headers: dict[str, str] | None = None,
) -> Answer:
    port = int(influx.url.rpartition(":")[2])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        content = answer.read()
    finally:
        connection.close()
    found = json.loads(content) if content else {}
    return Answer(answer.status, found, dict(answer.getheaders()))


def write_v1(influx: StrictInflux, lines: str, **query: str) -> Answer:
    return ask(influx, "POST", f"/write?{urlencode(V1 | query)}", lines.encode())


def write_v2(influx: StrictInflux, lines: str, **query: str) -> Answer:
    path = f"/api/v2/write?{urlencode(V2 | query)}"
    return ask(influx, "POST", path, lines.encode(), TOKEN)


def problem(text: str) -> str:
    [line] = parse(text)
    assert line.point is None
    return line.problem


def test_every_part_of_a_line_is_read() -> None:
    text = (
        "# a comment\n"
        r"my\,\ m,b\=\,\ =x\ \=y,a=z\w f\ \,\=1=1,i=-2i,e=-1.5E-3,t=T,n=false,"
        r's="say \"no\", a=1 \\ \n' + f'\nnext" {NOON_NS}\n\nlast f=1e5'
    )
    first, last = parse(text)
    assert first.point == Point(
        measurement="my, m",
        tags=(("a", r"z\w"), ("b=, ", "x =y")),
        fields={
            "f ,=1": 1.0,
            "i": -2,
            "e": -0.0015,
            "t": True,
            "n": False,
            "s": 'say "no", a=1 \\ \\n\nnext',
        },
        time=NOON_NS,
    )
    assert last.point == Point(
        measurement="last", tags=(), fields={"f": 1e5}, time=None
    )


# What InfluxDB 1.6.7 refuses, in its words.
REFUSED = {
    "bad": "missing fields",
    "m,a=1": "missing fields",
    ",a=1 f=1": "missing measurement",
    "m,a= f=1": "missing tag value",
    "m,=1 f=1": "missing tag key",
    "m,a=1,a=2 f=1": "duplicate tags",
    "m,a=b=c f=1": "invalid tag format",
    "m f=": "missing field value",
    "m =1": "missing field key",
    "m f=NaN": "invalid number",
    "m f=inf": "invalid boolean",
    "m f=+1": "invalid boolean",
    "m f=12i3": "invalid number",
    "m f=abc": "invalid boolean",
    'm f="x': "unbalanced quotes",
    "m f=1 noon": "bad timestamp",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_influxdb_refuses_is_refused(text: str) -> None:
    assert problem(text) == REFUSED[text]


@pytest.mark.parametrize("text", REFUSED)
def test_influxdb_refuses_it_in_the_same_words(text: str, influxdb: InfluxDb) -> None:
    with pytest.raises(HTTPError) as raised:
        influxdb.write(text)
    said = json.loads(raised.value.read())["error"]
    assert said == f"unable to parse '{text}': {REFUSED[text]}"


@pytest.mark.parametrize(
    "text",
    [
        "m  f=1",
        "m f=1  1",
        "m f=1 ",
        " m f=1",
        "m f=1\r",
        "m f=1,f=2",
        "m f=1.",
        "m f=.5",
        "m f=1e999",
        "m f=9223372036854775808i",
        "m f=1 99999999999999999999",
        "_m f=1",
        "m,time=1 f=1",
        "m time=1",
    ],
)
def test_what_a_server_may_put_up_with_is_refused(text: str) -> None:
    assert problem(text)


def test_an_open_string_takes_the_lines_after_it() -> None:
    [line] = parse('m f="x\nm f=1\nm f=2')
    assert line.text == 'm f="x\nm f=1\nm f=2'


@pytest.mark.parametrize(
    "line",
    [
        r"agree\,\ 1,a=x\ \=y,b=z\w f=1,g=-1.5E-3,h=2i,k=T",
        r'agree\ 2 s="say \"no\", a=1 \\ \w",t="é"',
        "agree_3=,ü=ß f=1e+20,g=1e-05,h=-0",
    ],
)
def test_influxdb_reads_the_same_of_a_line(line: str, influxdb: InfluxDb) -> None:
    influxdb.write(f"{line} {NOON_NS}")
    [read] = parse(line)
    assert read.point
    name = read.point.measurement
    [row] = influxdb.query(f'SELECT * FROM "{name}"')
    assert row == {"time": NOON_NS} | dict(read.point.tags) | read.point.fields


def test_points_are_merged_and_the_last_field_stands(influx: StrictInflux) -> None:
    assert write_v2(influx, f"m,b=1,a=2 kW=1,kVA=2 {NOON_NS}").code == 204
    assert write_v1(influx, f"m,a=2,b=1 kW=3 {NOON_NS}\nm kW=4").code == 204
    assert influx.points == {
        ("m", (("a", "2"), ("b", "1")), NOON_NS): {"kW": 3.0, "kVA": 2.0},
        ("m", (), NOON_NS): {"kW": 4.0},
    }


@pytest.mark.parametrize(
    ("precision", "time_ns"),
    [("ns", 7), ("us", 7_000), ("ms", 7_000_000), ("s", 7_000_000_000)],
)
def test_precisions_of_the_second_api(
    influx: StrictInflux, precision: str, time_ns: int
) -> None:
    assert write_v2(influx, "m kW=1 7", precision=precision).code == 204
    assert list(influx.points) == [("m", (), time_ns)]


def test_the_first_api_does_not_know_us(influx: StrictInflux) -> None:
    assert write_v1(influx, "m kW=1 7", precision="us").code == 400
    assert write_v1(influx, "m kW=1 7", precision="u").code == 204
    assert list(influx.points) == [("m", (), 7_000)]


def test_gzip_is_unpacked_and_counted_as_sent(influx: StrictInflux) -> None:
    body = gzip.compress(b"m kW=1 1\nm kW=2 2")
    packed = {"Content-Encoding": "gzip"}
    path = f"/write?{urlencode(V1)}"
    assert ask(influx, "POST", path, body, packed).code == 204
    assert ask(influx, "POST", path, b"m kW=1 1", packed).code == 400
    first, second = influx.requests
    assert (first.path, first.query, first.code) == ("/write", V1, 204)
    assert (first.size, first.lines) == (len(body), 2)
    assert first.headers["content-encoding"] == "gzip"
    assert second.at >= first.at


def test_the_second_api_stores_nothing_of_a_body_with_a_bad_line(
    influx: StrictInflux,
) -> None:
    answer = write_v2(influx, "m kW=1 1\nbad\nm kW=2 2")
    assert answer.code == 400
    said = "unable to parse 'bad': missing fields"
    assert answer.body == {"code": "invalid", "message": said}
    assert influx.points == {}


def test_the_first_api_stores_the_good_lines(influx: StrictInflux) -> None:
    answer = write_v1(influx, "m kW=1 1\nbad\nm kW=2 2")
    said = f"{PARTIAL} 'bad': missing fields dropped=0"
    assert (answer.code, answer.body) == (400, {"error": said})
    assert answer.headers["X-Influxdb-Error"] == said
    assert len(influx.points) == 2


def test_poison_is_a_bad_line_in_both_modes(influx: StrictInflux) -> None:
    influx.behave(poison=frozenset({"asset=m7"}), stores_good_lines=True)
    lines = "m,asset=m6 kW=1 1\nm,asset=m7 kW=2 2"
    said = f"{PARTIAL} 'm,asset=m7 kW=2 2': poison dropped=0"
    assert write_v2(influx, lines).body["message"] == said
    assert list(influx.points) == [("m", (("asset", "m6"),), 1)]
    influx.behave(stores_good_lines=False)
    assert write_v1(influx, "m,asset=m8 kW=1 1\nm,asset=m7 kW=2 2").code == 400
    assert len(influx.points) == 1


def test_a_field_keeps_its_type(influx: StrictInflux) -> None:
    lines = "m kW=1 1\nm kW=2i 2\nm kW=3 3"
    first = write_v1(influx, lines)
    assert (first.code, first.body) == (400, {"error": CONFLICT})
    second = write_v2(influx, lines)
    assert second.code == 422
    assert second.body == {
        "code": "unprocessable entity",
        "message": f"failure writing points to database: {CONFLICT}",
    }
    assert [time_ns for _, _, time_ns in influx.points] == [1, 3]


def test_old_points_are_beyond_the_retention_policy(influx: StrictInflux) -> None:
    influx.behave(keeps_seconds=3600)
    old = NOON_NS - 3601 * 10**9
    answer = write_v1(influx, f"m kW=1 {NOON_NS}\nm kW=2 {old}\nm kW=3 {old - 1}")
    said = "partial write: points beyond retention policy dropped=2"
    assert (answer.code, answer.body) == (400, {"error": said})
    assert list(influx.points) == [("m", (), NOON_NS)]
    answer = write_v2(influx, f"m kW=2 {old}")
    assert (answer.code, answer.body["code"]) == (422, "unprocessable entity")
    said = answer.body["message"]
    assert said.startswith(
        "failure writing points to database: partial write: dropped 1 points outside"
        " retention policy of duration 1h0m0s - oldest point "
    )
    assert said.endswith(
        " dropped=1 for database: 0a1b2c3d4e5f6071 for retention policy: autogen"
    )


def test_influxdb_says_the_same_of_types_and_of_old_points(influxdb: InfluxDb) -> None:
    def refused(lines: str, **query: str) -> Any:
        with pytest.raises(HTTPError) as raised:
            influxdb.post("/write", lines.encode(), **query)
        assert raised.value.code == 400
        return json.loads(raised.value.read())["error"]

    influxdb.execute("CREATE DATABASE short WITH DURATION 1h")
    assert refused("m kW=1 1\nm kW=2 2", db="short") == (
        "partial write: points beyond retention policy dropped=2"
    )
    influxdb.execute("CREATE DATABASE types")
    lines = "m kW=1 1\nm kW=2i 2\nm kW=3 3"
    # The first body of a shard is refused as a whole, unlike any later one.
    assert refused(lines, db="types") == "field type conflict"
    assert refused(lines, db="types") == CONFLICT


def test_a_wrong_token_bucket_or_org_is_told(influx: StrictInflux) -> None:
    unauthorized = {"code": "unauthorized", "message": "unauthorized access"}
    path = f"/api/v2/write?{urlencode(V2)}"
    answer = ask(influx, "POST", path, b"m kW=1")
    assert (answer.code, answer.body) == (401, unauthorized)
    answer = write_v2(influx, "m kW=1", bucket="other")
    missing = {"code": "not found", "message": 'bucket "other" not found'}
    assert (answer.code, answer.body) == (404, missing)
    assert write_v2(influx, "m kW=1", org="other").code == 404
    influx.behave(bucket="other")
    assert write_v2(influx, "m kW=1", bucket="other").code == 204


def test_the_first_api_asks_for_database_and_password(influx: StrictInflux) -> None:
    answer = write_v1(influx, "m kW=1", db="other")
    missing = {"error": 'database not found: "other"'}
    assert (answer.code, answer.body) == (404, missing)
    influx.behave(username="u", password="p")
    assert write_v1(influx, "m kW=1").body == {"error": "authorization failed"}
    assert write_v1(influx, "m kW=1", u="u", p="p").code == 204
    path = f"/write?{urlencode(V1)}"
    basic = {"Authorization": "Basic dTpw"}
    assert ask(influx, "POST", path, b"m kW=1", basic).code == 204


def test_a_refusal_holds_until_it_is_taken_back(influx: StrictInflux) -> None:
    influx.behave(refuses=Refusal(429, retry_after="7"))
    answer = write_v2(influx, "m kW=1")
    assert (answer.code, answer.headers["Retry-After"]) == (429, "7")
    assert answer.body == {"code": "too many requests", "message": "not now"}
    influx.behave(refuses=Refusal(503))
    assert "Retry-After" not in write_v2(influx, "m kW=1").headers
    influx.behave(refuses=Refusal(500, DISK_FULL))
    assert write_v1(influx, "m kW=1").body == {"error": DISK_FULL}
    influx.behave(refuses=Refusal(403))
    assert write_v2(influx, "m kW=1").body["code"] == "forbidden"
    assert influx.points == {}
    influx.behave(refuses=None)
    assert write_v2(influx, "m kW=1").code == 204
    assert [each.code for each in influx.requests] == [429, 503, 500, 403, 204]
    assert {each.lines for each in influx.requests} == {1}


def test_a_large_body_is_refused(influx: StrictInflux) -> None:
    influx.behave(max_bytes=20)
    body = gzip.compress(b"m kW=1 1\n" * 1000)
    assert len(body) < 100
    influx.behave(max_bytes=100)
    packed = {"Content-Encoding": "gzip"}
    first = ask(influx, "POST", f"/write?{urlencode(V1)}", body, packed)
    assert first.code == 204
    path = f"/api/v2/write?{urlencode(V2)}"
    second = ask(influx, "POST", path, body, packed | TOKEN)
    assert (second.code, second.body["code"]) == (413, "request too large")
    assert write_v1(influx, "m kW=1 1\n" * 12).code == 413
    assert write_v2(influx, "m kW=1 1\n" * 11).code == 204


def test_one_that_is_away_answers_nobody(influx: StrictInflux) -> None:
    influx.behave(away=True)
    with pytest.raises(http.client.RemoteDisconnected):
        write_v2(influx, "m kW=1")
    with pytest.raises(http.client.RemoteDisconnected):
        ask(influx, "GET", "/ping")
    influx.behave(away=False)
    assert write_v2(influx, "m kW=1").code == 204
    assert [each.code for each in influx.requests] == [0, 204]


def test_one_that_goes_away_leaves_writes_without_an_answer(
    influx: StrictInflux,
) -> None:
    influx.behave(slow_seconds=60)
    with ThreadPoolExecutor() as threads:
        writes = [threads.submit(write_v2, influx, f"m kW=1 {n}") for n in range(3)]
        until(lambda: influx.most_in_flight == 3, "three writes are there", 20)
        influx.behave(away=True)
        for write in writes:
            assert isinstance(write.exception(20), OSError)
    until(lambda: len(influx.requests) == 3, "all have ended", 20)
    assert {each.code for each in influx.requests} == {0}
    assert len(influx.points) == 3


def test_a_slow_one_stores_before_it_answers(influx: StrictInflux) -> None:
    influx.behave(slow_seconds=60)
    with ThreadPoolExecutor() as threads:
        write = threads.submit(write_v2, influx, "m kW=1 1")
        until(lambda: influx.points, "it is stored", 20)
        assert not write.done()
        influx.behave(away=True)
        assert isinstance(write.exception(20), OSError)


def test_ping_and_health_answer(influx: StrictInflux) -> None:
    for method in ("GET", "HEAD"):
        answer = ask(influx, method, "/ping")
        assert (answer.code, answer.body) == (204, {})
        assert answer.headers["X-Influxdb-Version"]
    assert ask(influx, "GET", "/health").body["status"] == "pass"
    assert ask(influx, "GET", "/query").code == 404


def test_the_client_writes_bytes_and_reads_refusals(influx: StrictInflux) -> None:
    clients = pytest.importorskip("influxdb_client.client.influxdb_client")
    writes = pytest.importorskip("influxdb_client.client.write_api")
    rest = pytest.importorskip("influxdb_client.rest")
    with clients.InfluxDBClient(
        url=influx.url, token="the token", org="plant", enable_gzip=True
    ) as client:
        api = client.write_api(write_options=writes.SYNCHRONOUS)
        api.write("meters", record=b"m kW=1 1\nm kW=2 2", write_precision="ns")
        influx.behave(refuses=Refusal(503, retry_after="7"))
        with pytest.raises(rest.ApiException) as raised:
            api.write("meters", record=b"m kW=3 3")
    error = raised.value
    assert (error.status, error.retry_after, error.message) == (503, "7", "not now")
    assert len(influx.points) == 2
    assert influx.points["m", (), 2] == {"kW": 2.0}
