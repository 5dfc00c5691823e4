from __future__ import annotations

import pytest

from sinks.influx.answer import Answer
from sinks.influx.gate import Gate
from sinks.influx.server import InfluxServer, Target
from tests.mosquitto import free_port


class Server:
    """What is posted, and what comes of it."""

    def __init__(self) -> None:
        self.posted: list[tuple[bytes, float | None]] = []
        self.answer: Answer | None = None
        self.now = 0.0
        self.stopping = False
        self.gate = Gate(
            self.post, stopping=lambda: self.stopping, clock=lambda: self.now
        )

    def post(self, lines: bytes, seconds: float | None) -> None:
        self.posted.append((lines, seconds))
        if self.answer is not None:
            raise self.answer


def test_who_is_told_to_come_back_later_tells_the_others() -> None:
    server = Server()
    server.answer = Answer(429, "slow down", 60.0)
    with pytest.raises(Answer):
        server.gate.post(b"one")
    server.answer, server.now = None, 20.0
    with pytest.raises(Answer, match="429 slow down") as told:
        server.gate.post(b"another")
    assert told.value.retry_after == 40.0
    server.now = 60.0
    server.gate.post(b"another")
    assert [lines for lines, _ in server.posted] == [b"one", b"another"]


@pytest.mark.parametrize("status", [400, 401, 413, 422])
def test_an_answer_to_one_batch_holds_up_no_other(status: int) -> None:
    server = Server()
    server.answer = Answer(status, "not this", 60.0)
    with pytest.raises(Answer):
        server.gate.post(b"one")
    server.answer = None
    server.gate.post(b"another")
    assert len(server.posted) == 2


def test_after_a_stop_a_server_that_does_not_answer_is_asked_once() -> None:
    server = Server()
    server.stopping, server.answer = True, Answer(None, "timed out")
    for _ in range(5):
        with pytest.raises(Answer):
            server.gate.post(b"last")
    assert server.posted == [(b"last", 3.0)]


def test_after_a_stop_a_server_that_answers_gets_all_that_is_left() -> None:
    server = Server()
    server.stopping = True
    for _ in range(3):
        server.gate.post(b"last")
    assert len(server.posted) == 3


def test_before_a_stop_it_is_asked_again_and_again() -> None:
    server = Server()
    server.answer = Answer(None, "timed out")
    for _ in range(3):
        with pytest.raises(Answer):
            server.gate.post(b"more")
    assert server.posted == [(b"more", None)] * 3


def test_a_secret_is_not_shown() -> None:
    to = Target(
        url=f"http://127.0.0.1:{free_port()}", version=2, bucket="b", secret="x9"
    )
    assert "x9" not in repr(to)
    assert "x9" not in str(to)
    with pytest.raises(Answer) as refused:
        InfluxServer(to).post(b"m f=1 1")
    assert "x9" not in str(refused.value)
