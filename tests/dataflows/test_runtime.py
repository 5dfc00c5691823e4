from __future__ import annotations

import fcntl
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from dataflows.instance import running
from dataflows.runtime import flows_of
from dataflows.site import load_site
from tests.dataflows.processes import (
    PM500,
    SITE,
    TINY,
    events,
    found,
    get,
    process,
    wait_for,
    write_site,
)

RUN = (*TINY, "run", "tiny")


@pytest.mark.integration
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_a_flow_gracefully(
    tmp_path: Path, number: signal.Signals
) -> None:
    site = write_site(tmp_path)
    with process(RUN, site) as flow:
        found(site, "tiny")
        flow.send_signal(number)
        assert flow.wait(30) == 0
    assert events(site, "flow_stopped")


@pytest.mark.integration
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_a_flow_that_bytewax_runs(
    tmp_path: Path, number: signal.Signals
) -> None:
    site = write_site(tmp_path)
    command = (sys.executable, "-m", "bytewax.run", "tests.dataflows.tiny")
    with process(command, site) as flow:
        found(site, "tiny")
        flow.send_signal(number)
        assert flow.wait(30) == 0


@pytest.mark.integration
def test_a_flow_serves_its_metrics_and_health(tmp_path: Path) -> None:
    site = write_site(tmp_path)
    with process(RUN, site):
        run = found(site, "tiny")
        ticks = 'pm500_events_total{kind="tick"}'
        wait_for(lambda: ticks in get(run, "/metrics")[1])
        assert "process_cpu_seconds_total" in get(run, "/metrics")[1]
        assert get(run, "/healthz") == (200, '{"ok": true, "stale_seconds": {}}\n')
        assert get(run, "/readyz") == (
            503,
            '{"ok": false, "held": {"tiny": "warming up"}}\n',
        )
        (tmp_path / "data" / "warm").touch()
        wait_for(lambda: get(run, "/readyz")[0] == 200)


@pytest.mark.integration
def test_a_failure_is_one_line_and_a_log_entry(tmp_path: Path) -> None:
    site = write_site(tmp_path)
    with process(RUN, site, TINY_MODE="raise") as flow:
        assert flow.wait(30) == 1
    text = (tmp_path / "stderr.log").read_text()
    assert text.endswith("pm500 run tiny: ValueError: the tiny flow broke\n")
    assert "next_batch" in events(site, "flow_failed")[0]["exception"]


@pytest.mark.integration
@pytest.mark.parametrize(
    "command",
    [
        (*PM500, "run"),
        RUN,
        (sys.executable, "-m", "bytewax.run", "tests.dataflows.tiny"),
    ],
)
def test_a_wrong_site_is_exit_code_two_with_all_mistakes(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    site = write_site(tmp_path, SITE + 'log_format = "odd"\n[mqtt]\nport = -1\n')
    with process(command, site) as flow:
        assert flow.wait(30) == 2
    assert (tmp_path / "stderr.log").read_text().splitlines() == [
        f"{site}: 3 mistake(s)",
        "  mqtt.host: Field required",
        "  mqtt.port: Input should be greater than or equal to 0",
        "  observe.log_format: Input should be 'auto', 'json' or 'console'",
    ]


@pytest.mark.integration
@pytest.mark.parametrize(
    "command",
    [
        (*PM500, "run"),
        RUN,
        (sys.executable, "-m", "bytewax.run", "tests.dataflows.tiny"),
    ],
)
def test_a_wrong_part_is_exit_code_two_in_one_line(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    site = write_site(tmp_path)
    with process(command, site, PM500_REPLICA="3/2") as flow:
        assert flow.wait(30) == 2
    assert (tmp_path / "stderr.log").read_text() == (
        "PM500_REPLICA: '3/2' is not of the form 2/8, the second of eight\n"
    )


@pytest.mark.integration
def test_a_data_folder_that_cannot_be_is_a_mistake(tmp_path: Path) -> None:
    site = write_site(tmp_path)
    (tmp_path / "data").write_text("a file stands here")
    with process(RUN, site) as flow:
        assert flow.wait(30) == 2
    assert f"{site}: site.data: " in (tmp_path / "stderr.log").read_text()


@pytest.mark.integration
@pytest.mark.slow
def test_a_second_process_of_a_flow_gives_up_and_names_the_first(
    tmp_path: Path,
) -> None:
    site = write_site(tmp_path)
    with process(RUN, site) as first:
        found(site, "tiny")
        with process(RUN, site) as second:
            assert second.wait(30) == 3
        assert first.poll() is None
    text = (tmp_path / "stderr.log").read_text()
    assert f"tiny runs already: pid {first.pid} holds" in text


@pytest.mark.integration
def test_a_flow_waits_for_one_that_is_ending(tmp_path: Path) -> None:
    site = write_site(tmp_path)
    with process(RUN, site) as first:
        found(site, "tiny")
        with process(RUN, site) as second:
            wait_for(lambda: events(site, "waits_for_lock"))
            first.kill()
            first.wait()
            wait_for(
                lambda: (
                    found(site, "tiny").pid == second.pid and events(site, "held")[1:]
                )
            )
            second.terminate()
            assert second.wait(30) == 0


@pytest.mark.integration
def test_a_stop_ends_the_wait_for_the_lock(tmp_path: Path) -> None:
    site = write_site(tmp_path)
    (tmp_path / "data" / "run").mkdir(parents=True)
    with (tmp_path / "data" / "run" / "tiny.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with process(RUN, site) as flow:
            wait_for(lambda: events(site, "waits_for_lock"))
            flow.terminate()
            assert flow.wait(30) == 0


@pytest.mark.integration
def test_a_taken_port_is_an_error_and_a_free_one_serves(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        text = SITE.replace("base_port = 0", f"base_port = {port - 6}")
        site = write_site(tmp_path, text)
        with process(RUN, site):
            run = found(site, "tiny")
            assert run.port != port
            assert get(run, "/healthz")[0] == 200
            assert events(site, "health_port_taken")[0]["wanted"] == port


@pytest.mark.integration
def test_the_next_replica_takes_the_next_ports_and_its_log_lines_say_so(
    tmp_path: Path,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
    text = SITE.replace("base_port = 0", f"base_port = {port - 6 - 6}")
    site = write_site(tmp_path, text)
    with process(RUN, site, PM500_REPLICA="2/3"):
        run = found(site, "tiny-2")
        assert run.port == port
        assert get(run, "/healthz")[0] == 200
        started = wait_for(lambda: events(site, "flow_started"))[0]
    assert (started["flow"], started["replica"]) == ("tiny", "2/3")


@pytest.mark.integration
def test_a_replica_behind_the_last_port_takes_a_free_one(tmp_path: Path) -> None:
    site = write_site(tmp_path, SITE.replace("base_port = 0", "base_port = 65000"))
    with process(RUN, site, PM500_REPLICA="100/100"):
        assert get(found(site, "tiny-100"), "/healthz")[0] == 200
    assert events(site, "health_port_taken") == []


@pytest.mark.integration
def test_a_flow_that_is_alone_says_nothing_of_replicas(tmp_path: Path) -> None:
    site = write_site(tmp_path)
    with process(RUN, site):
        found(site, "tiny")
        started = wait_for(lambda: events(site, "flow_started"))[0]
    assert "replica" not in started


@pytest.mark.integration
def test_the_record_of_a_killed_flow_is_passed_over(tmp_path: Path) -> None:
    site = write_site(tmp_path)
    with process(RUN, site) as flow:
        assert found(site, "tiny").pid == flow.pid
        flow.kill()
        flow.wait()
        assert running(tmp_path / "data" / "run") == {}


@pytest.mark.integration
def test_logs_that_nobody_reads_stop_no_flow(tmp_path: Path) -> None:
    site = write_site(tmp_path)
    flow = subprocess.Popen(
        RUN,
        cwd=Path(__file__).parents[2],
        env={"PM500_SITE": str(site)},
        stderr=subprocess.PIPE,
    )
    try:
        found(site, "tiny")
        assert flow.stderr is not None
        flow.stderr.close()
        (tmp_path / "data" / "warm").touch()
        wait_for(lambda: get(found(site, "tiny"), "/readyz")[0] == 200)
        flow.terminate()
        assert flow.wait(30) == 0
    finally:
        flow.kill()
        flow.wait()


@pytest.mark.parametrize(
    ("tail", "expected"),
    [
        ("", ("acquire", "derive", "archive")),
        ('[mqtt]\nhost = "broker"', ("acquire", "publish", "derive", "archive")),
    ],
)
def test_the_site_says_which_flows_run(
    tmp_path: Path, tail: str, expected: tuple[str, ...]
) -> None:
    assert flows_of(load_site(write_site(tmp_path, SITE + tail))) == expected
