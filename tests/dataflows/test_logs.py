from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Iterator

import pytest
import structlog

from dataflows.logs import configure_logs


@pytest.fixture(autouse=True)
def _unchanged() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_log_line_is_one_json_object(capfd: pytest.CaptureFixture[str]) -> None:
    configure_logs("acquire", "json")
    structlog.get_logger().info("meter_back", polls_missed=312)
    event = json.loads(capfd.readouterr().err)
    assert event.pop("timestamp").endswith("Z")
    assert event == {
        "event": "meter_back",
        "polls_missed": 312,
        "level": "info",
        "flow": "acquire",
        "pid": os.getpid(),
    }


def test_threads_of_a_flow_are_bound_to_it_too(
    capfd: pytest.CaptureFixture[str],
) -> None:
    configure_logs("acquire", "json")
    log = structlog.get_logger()
    thread = threading.Thread(target=log.warning, args=("meter_lost",))
    thread.start()
    thread.join()
    assert json.loads(capfd.readouterr().err)["flow"] == "acquire"


def test_libraries_are_heard_from_warning_on(capfd: pytest.CaptureFixture[str]) -> None:
    configure_logs("publish", "json")
    logging.getLogger("paho").info("small talk")
    logging.getLogger("paho").warning("socket %s", "closed")
    event = json.loads(capfd.readouterr().err)
    assert (event["event"], event["logger"]) == ("socket closed", "paho")
    assert event["flow"] == "publish"


def test_a_traceback_stays_inside_its_line(capfd: pytest.CaptureFixture[str]) -> None:
    configure_logs("archive", "json")
    structlog.get_logger().error("flow_failed", exc_info=ValueError("broke"))
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "ValueError: broke" in json.loads(lines[0])["exception"]


def test_console_is_for_people(capfd: pytest.CaptureFixture[str]) -> None:
    configure_logs("archive", "console")
    structlog.get_logger().info("meter_back", polls_missed=312)
    assert "meter_back" in (line := capfd.readouterr().err)
    assert "polls_missed=312" in line
