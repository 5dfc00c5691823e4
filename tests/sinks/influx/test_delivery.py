"""What a roll makes of a strict server's answers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sinks.influx.answer import Answer
from sinks.influx.delivery import Backoff
from sinks.influx.gate import Gate
from sinks.influx.server import InfluxServer
from sinks.rolls.contract import Refused, roll_now
from tests.line_protocol import Value
from tests.mosquitto import free_port
from tests.sinks.influx.making import Records, Writer, target
from tests.strict_influx import DISK_FULL, Refusal, StrictInflux

VERSIONS = (1, 2)


@pytest.fixture
def influx() -> Iterator[StrictInflux]:
    with StrictInflux() as server:
        yield server


def lines(count: int, first: int = 0) -> list[str]:
    return [f"m,n=a value={n} {n}" for n in range(first, first + count)]


def stored(influx: StrictInflux) -> list[Value]:
    return [fields["value"] for _, fields in sorted(influx.points.items())]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_batch_is_one_compressed_request_and_then_the_position_moves(
    influx: StrictInflux, version: int
) -> None:
    own = Writer(target(influx, version))
    own.writer.add(Records.of(*lines(5)))
    own.writer.add(Records.of(*lines(5, 5), first=5))
    assert own.stored == []
    roll_now(own.writer)
    assert stored(influx) == list(map(float, range(10)))
    assert own.stored == [10]
    (request,) = influx.requests
    assert request.headers["content-encoding"] == "gzip"
    assert request.path == ("/write" if version == 1 else "/api/v2/write")
    assert request.query["precision"] == "ns"


def test_the_user_of_a_version_1_server_is_told(influx: StrictInflux) -> None:
    influx.behave(username="pm500", password="secret")
    own = Writer(target(influx, 1, username="pm500", secret="secret"))
    own.writer.add(Records.of(*lines(1)))
    roll_now(own.writer)
    assert stored(influx) == [0.0]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("bad", [{0}, {7}, {3, 4, 12}, set(range(0, 16, 2))])
def test_bad_lines_are_set_aside_and_the_rest_is_stored(
    influx: StrictInflux, version: int, bad: set[int]
) -> None:
    influx.behave(poison=frozenset({"poison"}))
    own = Writer(target(influx, version))
    texts = [
        f'm value={n},text="poison" {n}' if n in bad else f"m value={n} {n}"
        for n in range(16)
    ]
    own.writer.add(Records.of(*texts))
    roll_now(own.writer)
    assert stored(influx) == [float(n) for n in range(16) if n not in bad]
    assert [each.offset for each in own.buried] == sorted(bad)
    assert all("InfluxDB: 400 " in each.reason for each in own.buried)
    assert own.stored == [16]


def test_a_record_without_lines_is_set_aside_once_the_rest_is_stored(
    influx: StrictInflux,
) -> None:
    own = Writer(target(influx))
    own.writer.add(Records.of("m value=0 0", "?", "m value=2 2"))
    assert own.buried == []
    roll_now(own.writer)
    assert own.buried_lines == ["?"]
    assert own.stored == [3]


def test_a_batch_of_nothing_but_such_records_moves_the_position(
    influx: StrictInflux,
) -> None:
    own = Writer(target(influx))
    own.writer.add(Records.of("?", "?"))
    roll_now(own.writer)
    assert len(own.buried) == 2
    assert own.stored == [2]
    assert influx.requests == []


@pytest.mark.parametrize("version", VERSIONS)
def test_a_server_that_refuses_every_line_is_held_and_nothing_is_set_aside(
    influx: StrictInflux, version: int
) -> None:
    influx.behave(poison=frozenset({"value"}))
    own = Writer(target(influx, version))
    own.writer.add(Records.of(*lines(200)))
    delivery = own.writer.cut()
    assert delivery is not None
    for _ in range(2):
        with pytest.raises(Refused, match="every line is refused: 400"):
            delivery.commit()
    assert delivery.rejected == []
    assert len(influx.requests) < 150
    influx.behave(poison=frozenset())
    delivery.commit()
    assert stored(influx) == list(map(float, range(200)))


@pytest.mark.parametrize("count", [1, 4, 9, 30])
def test_however_few_records_none_is_set_aside_by_a_server_that_takes_nothing(
    influx: StrictInflux, count: int
) -> None:
    influx.behave(refuses=Refusal(400, "unable to read data: unexpected EOF"))
    own = Writer(target(influx))
    own.writer.add(Records.of(*lines(count)))
    delivery = own.writer.cut()
    assert delivery is not None
    for _ in range(3):
        with pytest.raises(Refused, match="every line is refused: 400 unable"):
            delivery.commit()
    assert delivery.rejected == []
    influx.behave(refuses=None)
    delivery.commit()
    assert stored(influx) == list(map(float, range(count)))


@pytest.mark.parametrize("count", [1, 5, 30])
def test_what_is_refused_of_one_kind_is_set_aside_where_another_kind_is_taken(
    influx: StrictInflux, count: int
) -> None:
    influx.behave(poison=frozenset({"event"}))
    frames = Writer(target(influx))
    events = Writer(target(influx), gate=Gate(frames.server.post))
    both = Writer(target(influx), gate=frames.gate)
    texts = [f'm value={n},t="event" {n}' for n in range(count)]
    for own in (events, both):
        own.writer.add(Records.of(*texts))
    frames.writer.add(Records.of(*lines(3)))
    roll_now(frames.writer)
    roll_now(both.writer)
    assert both.buried_lines == texts
    # Who knows of no line that was taken sets nothing aside.
    with pytest.raises(Refused, match="every line is refused"):
        roll_now(events.writer)


def test_what_it_took_before_it_was_away_says_nothing_of_now(
    influx: StrictInflux,
) -> None:
    troubles = [Refusal(503)]

    def post(text: bytes, seconds: float | None) -> None:
        if troubles and len(influx.points) >= 10:
            influx.behave(refuses=troubles.pop())
        server.post(text, seconds)

    influx.behave(max_bytes=200)
    server = InfluxServer(target(influx))
    own = Writer(target(influx), gate=Gate(post))
    own.writer.add(Records.of(*lines(40)))
    delivery = own.writer.cut()
    assert delivery is not None
    with pytest.raises(Refused, match="503"):
        delivery.commit()
    influx.behave(refuses=Refusal(400, "unable to read data: unexpected EOF"))
    with pytest.raises(Refused, match="every line is refused: 400"):
        delivery.commit()
    assert delivery.rejected == []
    influx.behave(refuses=None)
    delivery.commit()
    assert stored(influx) == list(map(float, range(40)))


@pytest.mark.parametrize("code", [400, 413])
def test_a_refusal_with_retry_after_costs_no_other_record(
    influx: StrictInflux, code: int
) -> None:
    def post(text: bytes, seconds: float | None) -> None:
        try:
            server.post(text, seconds)
        except Answer as answer:
            if answer.status == code:
                answer.retry_after = 30.0
            raise

    influx.behave(poison=frozenset({"poison"}), max_bytes=300)
    server = InfluxServer(target(influx))
    own = Writer(target(influx), gate=Gate(post))
    texts = lines(100)
    texts[70] = 'm value=1,t="poison" 70'
    own.writer.add(Records.of(*texts))
    roll_now(own.writer)
    assert own.buried_lines == [texts[70]]
    assert len(stored(influx)) == 99


def test_a_secret_that_was_changed_is_read_again(influx: StrictInflux) -> None:
    file = ["an old token"]
    own = Writer(target(influx, secret=file[0]), secret=lambda: file[0])
    own.writer.add(Records.of(*lines(3)))
    delivery = own.writer.cut()
    assert delivery is not None
    with pytest.raises(Refused, match="401"):
        delivery.commit()
    file[0] = "the token"
    delivery.commit()
    assert stored(influx) == [0.0, 1.0, 2.0]


def test_bad_records_before_points_that_are_too_old_hold_up_nothing() -> None:
    with StrictInflux(clock_ns=lambda: 10**18) as influx:
        influx.behave(keeps_seconds=1.0, poison=frozenset({"poison"}))
        own = Writer(target(influx, 1))
        bad = [f'm value={n},t="poison" {10**18 + n}' for n in range(10)]
        own.writer.add(Records.of(*bad, *lines(30)))
        roll_now(own.writer)
        assert own.buried_lines == bad


def test_the_first_lines_may_all_be_bad_where_others_are_taken(
    influx: StrictInflux,
) -> None:
    influx.behave(poison=frozenset({"poison"}))
    own = Writer(target(influx))
    bad = [f'm value={n},t="poison" {n}' for n in range(3 * 10)]
    own.writer.add(Records.of(*bad, *lines(50, len(bad))))
    roll_now(own.writer)
    assert own.buried_lines == bad
    assert len(stored(influx)) == 50


@pytest.mark.parametrize("version", VERSIONS)
def test_a_batch_that_is_too_large_is_split(influx: StrictInflux, version: int) -> None:
    influx.behave(max_bytes=120)
    own = Writer(target(influx, version))
    own.writer.add(Records.of(*lines(64)))
    roll_now(own.writer)
    assert stored(influx) == list(map(float, range(64)))
    assert {request.code for request in influx.requests} == {204, 413}


def test_a_record_that_is_too_large_by_itself_is_set_aside(
    influx: StrictInflux,
) -> None:
    influx.behave(max_bytes=500)
    own = Writer(target(influx))
    large = f'm text="{"x" * 1000}" 1'
    own.writer.add(Records.of("m value=0 0", large, "m value=2 2"))
    roll_now(own.writer)
    assert own.buried_lines == [large]
    assert stored(influx) == [0.0, 2.0]


@pytest.mark.parametrize(
    ("refusal", "text"),
    [
        (Refusal(429, "slow down"), "429 slow down"),
        (Refusal(503, "starting"), "503 starting"),
        (Refusal(500, DISK_FULL), "500 .*no space left on device"),
        (Refusal(401, "unauthorized"), "401 "),
        (Refusal(403, "forbidden"), "403 "),
        (Refusal(404, "no bucket"), "404 "),
    ],
)
def test_what_is_refused_for_now_is_kept_and_delivered_later(
    influx: StrictInflux, refusal: Refusal, text: str
) -> None:
    influx.behave(refuses=refusal)
    own = Writer(target(influx))
    own.writer.add(Records.of(*lines(3)))
    delivery = own.writer.cut()
    assert delivery is not None
    for _ in range(2):
        with pytest.raises(Refused, match=text) as refused:
            delivery.commit()
        assert refused.value.retry_seconds > 0
    assert stored(influx) == []
    influx.behave(refuses=None)
    delivery.commit()
    assert stored(influx) == [0.0, 1.0, 2.0]


def test_retry_after_is_honored(influx: StrictInflux) -> None:
    influx.behave(refuses=Refusal(429, retry_after="77"))
    own = Writer(target(influx))
    own.writer.add(Records.of(*lines(1)))
    with pytest.raises(Refused) as refused:
        roll_now(own.writer)
    assert refused.value.retry_seconds == 77


def test_what_was_taken_is_not_sent_again(influx: StrictInflux) -> None:
    influx.behave(max_bytes=70)
    own = Writer(target(influx))
    own.writer.add(Records.of(*lines(8)))
    delivery = own.writer.cut()
    assert delivery is not None
    delivery.commit()
    assert sum(r.lines for r in influx.requests if r.code == 204) == 8
    delivery.commit()
    assert sum(r.lines for r in influx.requests if r.code == 204) == 8


def test_a_server_that_is_not_there_is_asked_again() -> None:
    from sinks.influx.server import Target

    url = f"http://127.0.0.1:{free_port()}"
    own = Writer(Target(url=url, version=1, bucket="pm500"))
    own.writer.add(Records.of(*lines(1)))
    with pytest.raises(Refused, match="Connection refused") as one:
        roll_now(own.writer)
    own.writer.add(Records.of(*lines(1)))
    with pytest.raises(Refused) as two:
        roll_now(own.writer)
    # In the same words: what is said once is not said again.
    assert str(one.value) == str(two.value)
    assert two.value.retry_seconds == 2 * one.value.retry_seconds


def test_a_server_that_hangs_up_is_asked_again(influx: StrictInflux) -> None:
    influx.behave(away=True)
    own = Writer(target(influx))
    own.writer.add(Records.of(*lines(2)))
    delivery = own.writer.cut()
    assert delivery is not None
    with pytest.raises(Refused):
        delivery.commit()
    influx.behave(away=False)
    delivery.commit()
    assert stored(influx) == [0.0, 1.0]


def test_a_server_that_does_not_answer_in_time_is_told_in_the_same_words(
    influx: StrictInflux,
) -> None:
    influx.behave(slow_seconds=1.0)
    own = Writer(target(influx, timeout_seconds=0.2))
    own.writer.add(Records.of(*lines(1)))
    delivery = own.writer.cut()
    assert delivery is not None
    for _ in range(3):
        with pytest.raises(Refused, match=r"^no answer within 0\.2 s$"):
            delivery.commit()


@pytest.mark.parametrize("version", VERSIONS)
def test_points_that_the_server_does_not_keep_are_no_dead_letters(version: int) -> None:
    with StrictInflux(clock_ns=lambda: 10**18) as influx:
        influx.behave(keeps_seconds=1.0)
        own = Writer(target(influx, version))
        own.writer.add(Records.of("m value=1 5", f"m value=2 {10**18}"))
        roll_now(own.writer)
        assert own.buried == []
        assert own.stored == [2]
        assert stored(influx) == [2.0]


def test_pauses_double_up_to_half_a_minute_and_a_yes_forgets_them() -> None:
    backoff = Backoff(lambda: 0.5)
    pauses = [backoff.pause() for _ in range(8)]
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    backoff.reset()
    assert backoff.pause() == 0.5


def test_pauses_are_up_to_a_fifth_longer_or_shorter() -> None:
    assert Backoff(lambda: 0.0).pause() == pytest.approx(0.4)
    assert Backoff(lambda: 1.0).pause() == pytest.approx(0.6)
