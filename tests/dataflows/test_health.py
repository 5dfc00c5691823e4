from __future__ import annotations

import socket
from collections.abc import Callable
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from structlog.testing import capture_logs

from dataflows.health import STALE_SECONDS, Health, serve_health


class Clock:
    """A clock wound by hand, in seconds."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def _get(port: int, path: str) -> tuple[int, str]:
    try:
        with urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    return Health(clock)


@pytest.fixture
def get(health: Health) -> Callable[[str], tuple[int, str]]:
    port = serve_health("127.0.0.1", 0, health, lambda: b"numbers 1\n")
    return lambda path: _get(port, path)


def test_a_hold_is_logged_when_it_begins_changes_and_ends(
    health: Health, clock: Clock
) -> None:
    with capture_logs() as logs:
        for reason in ("refused", "refused", "no route", "no route"):
            health.hold("mqtt", reason)
            clock.now += 1.0
        health.clear("mqtt")
        health.clear("mqtt")
    assert logs == [
        {"event": "held", "log_level": "warning", "name": "mqtt", "reason": "refused"},
        {"event": "held", "log_level": "warning", "name": "mqtt", "reason": "no route"},
        {
            "event": "hold_over",
            "log_level": "info",
            "name": "mqtt",
            "held_seconds": 4.0,
        },
    ]


def test_what_never_made_progress_is_not_stale(health: Health, clock: Clock) -> None:
    clock.now = 1000.0
    assert health.stale() == {}


def test_progress_lasts_for_the_stale_time(health: Health, clock: Clock) -> None:
    health.progress("poller")
    clock.now = STALE_SECONDS
    assert health.stale() == {}
    clock.now = STALE_SECONDS + 0.5
    assert health.stale() == {"poller": STALE_SECONDS + 0.5}
    health.progress("poller")
    assert health.stale() == {}


@pytest.mark.integration
def test_healthz_names_what_is_stale(
    health: Health, clock: Clock, get: Callable[[str], tuple[int, str]]
) -> None:
    health.progress("poller")
    assert get("/healthz") == (200, '{"ok": true, "stale_seconds": {}}\n')
    clock.now = 45.0
    stale = '{"ok": false, "stale_seconds": {"poller": 45.0}}\n'
    assert get("/healthz") == (503, stale)


@pytest.mark.integration
def test_readyz_lists_what_is_held(
    health: Health, get: Callable[[str], tuple[int, str]]
) -> None:
    assert get("/readyz") == (200, '{"ok": true, "held": {}}\n')
    health.hold("mqtt", "connection refused")
    held = '{"ok": false, "held": {"mqtt": "connection refused"}}\n'
    assert get("/readyz") == (503, held)
    health.clear("mqtt")
    assert get("/readyz")[0] == 200


@pytest.mark.integration
def test_metrics_are_served_and_other_paths_are_not(
    get: Callable[[str], tuple[int, str]],
) -> None:
    assert get("/metrics?name=x") == (200, "numbers 1\n")
    assert get("/") == (404, "/metrics /healthz /readyz\n")


@pytest.mark.integration
def test_a_client_that_says_nothing_holds_up_nobody(
    health: Health,
) -> None:
    port = serve_health("127.0.0.1", 0, health, lambda: b"")
    with socket.create_connection(("127.0.0.1", port)):
        assert _get(port, "/healthz")[0] == 200


@pytest.mark.integration
def test_the_server_listens_on_its_own_address_only(health: Health) -> None:
    port = serve_health("127.0.0.1", 0, health, lambda: b"")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port), timeout=5)
